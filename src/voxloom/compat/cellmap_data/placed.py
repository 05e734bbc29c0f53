"""What can be asked of a dataset about where it lies."""

from __future__ import annotations

import math
from abc import abstractmethod

from voxloom.compat.cellmap_data.places import Places

__all__ = ["Placed"]


class Placed:
    """A dataset whose patches have places."""

    @property
    @abstractmethod
    def places(self) -> Places:
        """Where the centres of patches lie."""

    @property
    def largest_voxel_sizes(self) -> dict[str, float]:
        """nm by axis: how far two indices lie apart."""
        return self.places.by_axis(self.places.centers.spacing)

    @property
    def bounding_box(self) -> dict[str, list[float]]:
        """From the centre of the first voxel that all images share to that of the last, in nm by axis."""
        return self.places.bounding_box

    @property
    def sampling_box(self) -> dict[str, list[float]]:
        """Where the centres of patches lie, in nm by axis."""
        return self.places.sampling_box

    @property
    def bounding_box_shape(self) -> dict[str, int]:
        """Voxels of the largest size in the bounding box, by axis."""
        return self.places.bounding_box_shape

    @property
    def sampling_box_shape(self) -> dict[str, int]:
        """Places of a patch, by axis."""
        return self.places.by_axis(self.places.centers.shape)

    @property
    def size(self) -> int:
        """Voxels of the largest size in the bounding box."""
        return math.prod(self.bounding_box_shape.values())

    @property
    def center(self) -> dict[str, float]:
        """The middle, in nm by axis."""
        return {axis: (low + high) / 2 for axis, (low, high) in self.bounding_box.items()}

    def get_center(self, idx: int) -> dict[str, float]:
        """Return the centre of patch `idx` in nm by axis."""
        return self.places.by_axis(self.places.center(idx))
