"""How far a loader has come, in words that another number of ranks or another batch size understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import Sampler

from voxloom.errors import CheckpointError
from voxloom.loading.order import Order, Place

__all__ = ["Position"]


class Position(Sampler[Place]):
    """The current step of an order; iterating yields the places that remain of its epoch.

    Attributes
    ----------
    order
        What is walked through.
    step
        Counts from 0 across epochs. Where an epoch was entered from another batch size, its steps
        are counted back from its end.

    Examples
    --------
    >>> before, after = Position(Order(length=10, batch_size=3)), Position(Order(length=10, batch_size=2))
    >>> before.step = 1
    >>> before.state()
    {'step': 1, 'epoch': 0, 'seen': 3}
    >>> after.load(before.state())
    >>> [place.begin for place in after]
    [3, 5, 7, 9]
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.step = 0
        self._entered: Place | None = None  # where an epoch goes on from another batch size

    def __iter__(self) -> Iterator[Place]:
        return map(self._place, self.remaining())

    @property
    def epoch(self) -> int:
        """The epoch that the current step belongs to."""
        return self.step // max(1, self.order.batches_per_epoch)

    def epoch_end(self) -> int:
        """Return the first step of the next epoch."""
        length = self.order.batches_per_epoch
        return (self.step // length + 1) * length if length else self.step

    def remaining(self) -> range:
        """Return the steps from the current one to the end of its epoch at which this rank has samples."""
        end = self.epoch_end()
        last_is_empty = self.step < end and not self.order.share(self._place(end - 1)).indices
        return range(self.step, end - last_is_empty)

    def state(self) -> dict[str, int]:
        """Return the step, and where it begins: the same on all ranks."""
        place = self._place(self.step) if self.order.batches_per_epoch else Place(0, 0)
        return {"step": self.step, "epoch": place.epoch, "seen": place.begin}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go to where a state stands; one with a step alone counts in steps of this order.

        Raises
        ------
        CheckpointError
            If it holds no step, or was made with more samples.
        """
        step, epoch, seen = (state.get(name, 0) for name in ("step", "epoch", "seen"))
        numbers = [step, epoch, seen]
        if "step" not in state or any(type(n) is not int or n < 0 for n in numbers):
            raise CheckpointError(
                f"loader state {dict(state)!r}: expected {{'step': n}} with a number n >= 0, "
                "and 'epoch' and 'seen' beside it where an epoch goes on in other batches"
            )
        if seen > self.order.length:
            raise CheckpointError(
                f"loader state {dict(state)!r} stands after {seen} samples of an epoch, but there are "
                f"{self.order.length}: expected the data that it was made with. Begin at the next epoch "
                f"with {{'step': {(epoch + 1) * self.order.batches_per_epoch}}}."
            )
        self.step, self._entered = step, None
        if "seen" in state and self.order.batches_per_epoch:
            self._enter(Place(epoch, seen))

    def _enter(self, place: Place) -> None:
        if self._place(self.step) == place:
            return
        left = self.order.batches_from(place.begin)
        self.step = (place.epoch + 1) * self.order.batches_per_epoch - left
        self._entered = place if left else None

    def _place(self, step: int) -> Place:
        place, entered = self.order.place(step), self._entered
        if entered is None or entered.epoch != place.epoch:
            return place
        end = (place.epoch + 1) * self.order.batches_per_epoch
        first = end - self.order.batches_from(entered.begin)
        return Place(place.epoch, entered.begin + (step - first) * self.order.global_batch)
