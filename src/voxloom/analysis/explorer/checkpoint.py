"""What a checkpoint does for the page: decode latents along a line, and translate an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.images import Images
from voxloom.analysis.explorer.pictures import coloured, fitted, png, window_for
from voxloom.analysis.explorer.worker import Failed, Progress, Stopped, Wish
from voxloom.analysis.latents.points import Points
from voxloom.errors import VoxloomError
from voxloom.panels import shaded, window_of
from voxloom.sample import Array

__all__ = ["Decoder", "Request", "Titled", "Translated", "Translating", "Translator", "line", "line_pictures"]

_CONDITION, _TARGET = "condition", "target"
_SIZE, _STEP_SIZE = 320, 160  # pixels of a picture that is translated, and of one along a line


class Decoder(Protocol):
    """Turns latents into images."""

    def decode(self, mu: Array) -> Array:
        """Return the images (n, H, W) of latents (n, *shape)."""


class Translator(Protocol):
    """Translates an image, several times where it draws at random."""

    def __call__(
        self,
        image: Array,
        key: str,
        samples: int = 1,
        *,
        seed: int = 42,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[Array, Array | None]:
        """Return mean and deviation (H, W) of the translations of (1, H, W); None where there is one."""


class Titled(NamedTuple):
    """A PNG and what it shows."""

    title: str
    png: bytes


class Translated(NamedTuple):
    """A translation of one image.

    Attributes
    ----------
    pictures
        Condition, target where it is known, mean of the translations, and their deviation where there
        are several.
    note
        Window and highest deviation, in words.
    """

    pictures: tuple[Titled, ...]
    note: str

    @property
    def nbytes(self) -> int:
        """Size of the pictures."""
        return sum(len(picture.png) for picture in self.pictures)


class Request(NamedTuple):
    """Which point is translated, how often, and from which seed."""

    row: int
    samples: int
    seed: int


def line(points: Points, a: int, b: int, steps: int) -> npt.NDArray[np.float32]:
    """Return the latents (steps, *shape) on the straight line from point `a` to point `b`, ends included.

    Straight, not spherical: posterior means of a VAE with a small KL weight do not lie on a sphere, and
    distances on the page are straight ones.

    Examples
    --------
    >>> line(Points.of_arrays({"a": np.array([[0.0], [4.0]])}), 0, 1, 3).tolist()
    [[0.0], [2.0], [4.0]]
    """
    start, end = points.vectors([a, b])
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    latents: npt.NDArray[np.float32] = (1 - share) * start + share * end
    return latents.reshape(steps, *points.shape)


def line_pictures(points: Points, decoder: Decoder, a: int, b: int, steps: int) -> tuple[bytes, ...]:
    """Return PNGs of what is decoded along the line of two points, all in one window."""
    images = decoder.decode(line(points, a, b, steps))
    window = window_of(images)
    return tuple(png(fitted(shaded(image, window), _STEP_SIZE)) for image in images)


@dataclass(frozen=True)
class Translating:
    """Translates one point after the other; `run` is what a `Queue` calls."""

    points: Points
    images: Images
    translator: Translator

    def run(self, request: Request, progress: Progress, wish: Callable[[], Wish]) -> Translated:
        """Return the translation of a point's condition.

        Raises
        ------
        Stopped
            When it is not to go on, after the next sample.
        Failed
            When it cannot be made.
        """

        def told(done: int, total: int) -> None:
            if wish() != "go":
                raise Stopped
            progress(done / total, f"translation {done} of {total}")

        try:
            return self._translated(request, told)
        except (VoxloomError, OSError, ValueError, RuntimeError) as error:  # of torch, for instance memory
            raise Failed(str(error)) from error

    def _translated(self, request: Request, told: Callable[[int, int], object]) -> Translated:
        row, key = request.row, self.points.keys[request.row]
        fields = self.images.fields(row)
        own = _CONDITION if _CONDITION in fields else self.images.field(row)
        condition = self.images.read_field(row, own).array
        mean, deviation = self.translator(
            condition[None], key, request.samples, seed=request.seed, progress=told
        )
        target = self.images.read_field(row, _TARGET).array if _TARGET in fields else None
        return _pictures(condition, target, mean, deviation)


def _pictures(condition: Array, target: Array | None, mean: Array, deviation: Array | None) -> Translated:
    window = window_of(mean if target is None else target)
    found = [Titled("condition", _grey(condition, window_for(condition)))]
    if target is not None:
        found.append(Titled("target", _grey(target, window)))
    found.append(Titled("translation" if deviation is None else "mean translation", _grey(mean, window)))
    note = f"black {window[0]:.4g}, white {window[1]:.4g}"
    if deviation is not None:
        high = float(np.nanmax(deviation, initial=0.0))
        found.append(Titled("deviation", png(fitted(coloured(deviation, high), _SIZE))))
        note += f"; deviation from 0 (dark blue) to {high:.4g} (yellow)"
    else:
        note += "; this model draws nothing at random, so there is no deviation"
    return Translated(tuple(found), note)


def _grey(image: Array, window: tuple[float, float]) -> bytes:
    return png(fitted(shaded(image, window), _SIZE))
