"""What happens to every image before a network sees it, and how a prediction finds its way back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.transforms.augment import Augment
from voxloom.transforms.intensity import (
    ForegroundNormalize,
    MinMaxNormalize,
    PercentileNormalize,
    RangeNormalize,
)
from voxloom.transforms.spatial import Resize
from voxloom.transforms.transform import Compose

__all__ = ["Preparation"]

Normalization = Annotated[
    ForegroundNormalize | PercentileNormalize | MinMaxNormalize | RangeNormalize,
    Setting(discriminator="name"),
]


class Preparation(Component):
    """Resize and normalise: the deterministic steps that training and prediction share.

    Examples
    --------
    >>> preparation = Preparation(normalization={"name": "range", "low": 0, "high": 255})
    >>> preparation.is_invertible
    True
    """

    fit: Literal["stretch", "pad"] = "stretch"
    """Change the aspect ratio to that of patch_size, or keep it and pad with background."""
    interpolation: Literal["area", "linear", "cubic", "nearest"] = "area"
    """How images are resized; masks always take the nearest pixel."""
    normalization: Normalization = ForegroundNormalize()
    """What is done to the intensities of each image: ``foreground`` (mean 0 and deviation 1 over the
    non-zero pixels, background kept at 0), ``percentile``, ``minmax``, or ``range`` (a fixed range to
    [-1, 1], the one that predictions can be turned back from)."""

    def resize(self, size: tuple[int, int]) -> Resize:
        """Return the step that brings an image to (height, width)."""
        return Resize(size=size, fit=self.fit, interpolation=self.interpolation)

    def transform(self, size: tuple[int, int], augment: Augment | None = None) -> Compose:
        """Return all steps in order; augmentation, where given, comes last."""
        steps = (
            self.resize(size),
            self.normalization,
            *([self._onto_background(augment)] if augment else []),
        )
        return Compose(transforms=steps)

    def _onto_background(self, augment: Augment) -> Augment:
        """Have images move over the normalised background: a fixed range puts it at -1, the others at 0."""
        low = -1.0 if isinstance(self.normalization, RangeNormalize) else 0.0
        return augment.model_copy(update={"background": low})

    @property
    def is_invertible(self) -> bool:
        """Whether predictions can be given in the units of the files."""
        return isinstance(self.normalization, RangeNormalize)

    def restore(self, image_CHW: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return a prepared or predicted image in the files' units, or as it is where they are lost."""
        image = image_CHW
        if isinstance(self.normalization, RangeNormalize):
            image = self.normalization.invert(image)
        return np.asarray(image, np.float32)
