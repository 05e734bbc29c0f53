"""Transforms in the chains of other libraries, which hand on bare arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field, Sample, Schema
from voxloom.seeding import rng_for
from voxloom.transforms.transform import Transform

__all__ = ["on_array"]


def on_array(
    transform: Transform, field: str = "image", *, seed: int = 0, axes: str | None = None
) -> Callable[[Any], Any]:
    """Make a transform work on bare arrays, for instance in a chain of another library.

    Parameters
    ----------
    transform
        What is applied.
    field
        Name that the array has inside, as an image.
    seed
        Randomness derives from it, from the number of calls so far and, in a worker process of a
        torch DataLoader, from the worker's seed: no two calls, workers or epochs are alike.
    axes
        One letter an axis, for instance ``yxc`` for channels last. None for yx or cyx; what looks
        like channels last is then refused. PIL images have yx or yxc of themselves.

    Returns
    -------
    callable
        Takes a numpy array, a torch tensor or a PIL image. Tensors come back as tensors, all else as
        numpy arrays (PIL has no colours of float32), with the axes that the transform gives: those
        of the array, but for `ChannelsFirst`. It can be pickled. It raises SchemaError where the
        array has not the axes.

    Examples
    --------
    >>> from voxloom.transforms import MinMaxNormalize
    >>> on_array(MinMaxNormalize())(np.array([[0, 5, 10]])).tolist()
    [[0.0, 0.5, 1.0]]
    """
    return _OnArray(transform, field, seed, axes)


class _OnArray:
    def __init__(self, transform: Transform, field: str, seed: int, axes: str | None) -> None:
        self.transform = transform
        self.field = field
        self.seed = seed
        self.axes = axes
        self.calls = 0

    def __repr__(self) -> str:
        return f"on_array({self.transform!r})"

    def __call__(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return self._apply(array, self.axes or _usual_axes(array.shape))
        from PIL import Image  # where the caller has an image, it is imported already

        if isinstance(array, Image.Image):
            pixels = _pixels_of(array)
            return self._apply(pixels, "yxc"[: pixels.ndim])
        import torch  # heavy, and only needed where the caller has it already

        given = array.detach().cpu().numpy()
        result = self._apply(given, self.axes or _usual_axes(given.shape))
        return torch.from_numpy(np.require(result, requirements="W")).to(array.device)

    def _apply(self, array: Array, axes: str) -> Array:
        if array.ndim != len(axes):
            raise SchemaError(f"an array of shape {array.shape}: expected one axis a letter of {axes!r}")
        schema = Schema([Field(name=self.field, dtype=array.dtype.name, axes=axes)])
        return self.transform(Sample("", schema, {self.field: array}), self._rng())[self.field]

    def _rng(self) -> np.random.Generator:
        self.calls += 1
        if not self.transform.random:
            return rng_for(self.seed)
        from torch.utils.data import get_worker_info  # as above

        worker = get_worker_info()
        return rng_for(self.seed, "on_array", worker.seed if worker else "main", self.calls)


def _usual_axes(shape: tuple[int, ...]) -> str:
    if len(shape) not in (2, 3):
        raise SchemaError(f"an array of shape {shape}: expected (height, width) or (channels, height, width)")
    if len(shape) == 3 and shape[-1] in (1, 3, 4) and min(shape[:2]) > 4:
        raise SchemaError(
            f"an array of shape {shape}: expected (channels, height, width), and this looks like channels "
            "last. Say on_array(..., axes='yxc'), or axes='cyx' if it is not."
        )
    return "cyx"[-len(shape) :]


def _pixels_of(image: Any) -> Array:
    """Return the colours of a PIL image, yx or yxc: those of a palette, too, and not its numbers."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    return np.asarray(image)
