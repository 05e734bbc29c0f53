"""One raw image with its labels, as patches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from voxloom.compat.cellmap_data.annotations import labels_at
from voxloom.compat.cellmap_data.arrays import ArrayInfo, ArraySpec
from voxloom.compat.cellmap_data.base_dataset import CellMapBaseDataset, Item, Transform, weights_of
from voxloom.compat.cellmap_data.image import CellMapImage
from voxloom.compat.cellmap_data.items import PendingItem, PendingTarget
from voxloom.compat.cellmap_data.multidataset import CellMapMultiDataset
from voxloom.compat.cellmap_data.placed import Placed
from voxloom.compat.cellmap_data.places import Places
from voxloom.compat.cellmap_data.poses import SpatialTransforms, augment_of, restored, rng_of, state_of, told
from voxloom.compat.cellmap_data.slicing import asks_for_sections, sections
from voxloom.compat.cellmap_data.sources import LabelSources, raw_image, transform_of, witnesses_of
from voxloom.compat.cellmap_data.unused import report_unused
from voxloom.compat.cellmap_data.utils.sampling import min_redundant_inds
from voxloom.geometry import AXES, Point, Pose
from voxloom.volumes.classes import Classes
from voxloom.volumes.index import class_index
from voxloom.volumes.labels import Labels, split_path

__all__ = ["CellMapDataset"]

Arrays = Mapping[str, ArrayInfo]
AS_IT_LIES = Pose()


class CellMapDataset(Placed, CellMapBaseDataset, Dataset[Item]):
    """Patches of one raw image and its labels: an index for each place that a patch fits in.

    Arrays of two axes make three datasets of it, one across each axis, joined.

    Parameters
    ----------
    raw_path
        Of the raw image.
    target_path
        ``prefix/[mito,er]/suffix``: one group a class.
    classes
        Names, in the order of the channels; None for raw data alone, which targets are then read from.
    input_arrays, target_arrays
        ``{"raw": {"shape": (64, 64, 64), "scale": (8, 8, 8)}}``: voxels and nm.
    spatial_transforms
        How patches are laid at random, where `is_train` is set.
    raw_value_transforms
        Called with each raw patch (z, y, x).
    target_value_transforms
        Called with the patch of each class; or a list or a mapping with one for each class.
    class_relation_dict
        For a class, those that no voxel of it belongs to: where it is not annotated it is 0 where one
        of them is.
    is_train
        Whether patches are laid at random.
    axis_order
        Of shapes, scales and tensors.
    rng
        Decides how patches are laid; None for torch's global generator, or for one of `seed`.
    force_has_data
        Whether a dataset without any labels counts.
    empty_value
        What stands for unknown.
    pad
        Whether images that are smaller than a patch are padded; else they have no place for it.
    device
        Where items are put; None for the CPU.
    context, max_workers
        Have no use any more.
    seed
        Instead of `rng`.

    Raises
    ------
    SchemaError
        A ValueError; if raw and labels do not overlap.
    MissingDataError, VolumeMetadataError
        If an image is not there or says too little.
    ConfigError
        A ValueError; for arguments that cannot be meant.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.volumes import phantom, write_classes, write_volume
    >>> raw = write_volume(mkdtemp() + "/raw", phantom((20, 20, 20)))
    >>> labels = write_classes(mkdtemp(), {"mito": np.ones((20, 20, 20), np.uint8)})
    >>> arrays = {"shape": (16, 16, 16), "scale": (8, 8, 8)}
    >>> dataset = CellMapDataset(raw, labels, ["mito", "er"], {"raw": arrays}, {"labels": arrays})
    >>> len(dataset), dataset[0]["raw"].shape, dataset[0]["labels"].mean(dim=(1, 2, 3))
    (125, torch.Size([1, 16, 16, 16]), tensor([1., nan]))
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a dataset; of arrays with two axes, three of them joined."""
        if not (args or kwargs):  # a copy is being made
            return super().__new__(cls)
        asked = dict(signature(cls.__init__).bind(None, *args, **kwargs).arguments)
        asked.pop("self")
        if not asks_for_sections(asked):
            return super().__new__(cls)
        classes, arrays, targets = (asked.get(n) for n in ("classes", "input_arrays", "target_arrays"))
        return CellMapMultiDataset(classes, arrays or {}, targets, sections(cls, asked))

    def __init__(
        self,
        raw_path: str,
        target_path: str | None,
        classes: Sequence[str] | None,
        input_arrays: Arrays,
        target_arrays: Arrays | None = None,
        spatial_transforms: SpatialTransforms | None = None,
        raw_value_transforms: Transform | None = None,
        target_value_transforms: Any = None,
        class_relation_dict: Mapping[str, Sequence[str]] | None = None,
        is_train: bool = False,
        axis_order: str = AXES,
        context: Any = None,
        rng: torch.Generator | None = None,
        force_has_data: bool = False,
        empty_value: float = math.nan,
        pad: bool = True,
        device: str | torch.device | None = None,
        max_workers: int | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        report_unused("CellMapDataset", context=context, max_workers=max_workers)
        self.raw_path, self.target_path = str(raw_path), str(target_path or "")
        self.target_path_str = split_path(self.target_path)[0]
        self.raw_only = classes is None
        self.classes = list(classes or ())
        self.input_arrays, self.target_arrays = dict(input_arrays), dict(target_arrays or {})
        self.raw_value_transforms, self.target_value_transforms = (
            raw_value_transforms,
            target_value_transforms,
        )
        self.class_relation_dict = dict(class_relation_dict or {})
        self.is_train, self.axis_order = is_train, axis_order
        self.rng = rng if rng is not None or seed is None else torch.Generator().manual_seed(seed)
        self.force_has_data, self.empty_value, self.pad = force_has_data, empty_value, pad
        self._device = torch.device(device or "cpu")
        self.set_spatial_transforms(spatial_transforms)
        relations = self.class_relation_dict
        wanted = [*self.classes, *witnesses_of(self.classes, relations)]
        self.label_sources = LabelSources(labels_at(target_path, wanted), relations, empty_value)
        self.classes_with_path = [name for name in self.classes if name in self.labels.annotated]
        self.reset_arrays("input")
        self.reset_arrays("target")
        len(self.places)  # refuses what does not fit together, here and not at the first patch

    # -- sources ------------------------------------------------------------------------------------

    @property
    def labels(self) -> Labels:
        """What was annotated."""
        return self.label_sources.labels

    def reset_arrays(self, array_type: str = "target") -> None:
        """Make the images of "input" or "target" arrays anew, after the arrays were changed."""
        if array_type.startswith("input"):
            raw, order = self.raw_value_transforms, self.axis_order
            arrays = self.input_arrays.items()
            self.input_sources = {
                name: raw_image(self.raw_path, info, raw, axis_order=order) for name, info in arrays
            }
        else:
            self.target_sources = {n: self.get_target_array(info) for n, info in self.target_arrays.items()}
            self._witnesses = {
                name: self.label_sources.witnesses(self.classes, self._spec(info))
                for name, info in self.target_arrays.items()
            }
        for derived in ("_images", "places"):
            self.__dict__.pop(derived, None)

    def get_target_array(self, array_info: ArrayInfo) -> Any:
        """Return the source of each class at one shape and scale; the raw one where there are no classes."""
        if self.raw_only:
            return raw_image(self.raw_path, array_info, None, axis_order=self.axis_order)
        return {name: self.get_label_array(name, k, array_info) for k, name in enumerate(self.classes)}

    def get_label_array(
        self,
        label: str,
        i: int,
        array_info: ArrayInfo,
        empty_store: torch.Tensor | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the image of a class; names of the classes that tell about it; or an empty image."""
        source = self.label_sources.source(label, self._spec(array_info))
        if isinstance(source, CellMapImage):
            source.value_transform = transform_of(self.target_value_transforms, label, i)
        return source

    def _spec(self, info: ArrayInfo) -> ArraySpec:
        return ArraySpec.of(info, self.axis_order)

    # -- places -------------------------------------------------------------------------------------

    @cached_property
    def _images(self) -> list[CellMapImage]:
        sources = list(self.input_sources.values())
        for each in [*self.target_sources.values(), *self._witnesses.values()]:
            sources += each.values() if isinstance(each, dict) else [each]
        return [source for source in sources if isinstance(source, CellMapImage)]

    @cached_property
    def places(self) -> Places:
        """Where the centres of patches lie."""
        return Places.of(self._images, self.axis_order, pad=self.pad)

    def __len__(self) -> int:
        return len(self.places) if self.has_data else 0

    def get_indices(self, chunk_size: Mapping[str, int]) -> list[int]:
        """Return the indices of patches a number of voxels apart along each axis, the last one included."""
        return self.places.every(chunk_size)

    @property
    def validation_indices(self) -> list[int]:
        """Indices of patches whose targets lie side by side and cover the dataset to its end."""
        infos = (self.target_arrays or self.input_arrays).values()
        return self.places.tiles([self._spec(info).patch for info in infos]) if len(self) else []

    # -- items --------------------------------------------------------------------------------------

    def __getitem__(self, idx: int) -> Item:
        """Return an item: ``[1, z, y, x]`` for an input, ``[classes, z, y, x]`` for a target.

        Axes of one voxel are left out. Unknown is `empty_value`, NaN unless said otherwise. With it come
        ``idx``, and ``__metadata__`` with the centre.

        Raises
        ------
        IndexError
            If there is no such place.
        """
        return self.begin(idx).wait().item()

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several items, whose reads are in flight at once."""
        return [pending.wait().item() for pending in [self.begin(idx) for idx in indices]]

    def begin(self, idx: int, rng: np.random.Generator | None = None) -> PendingItem:
        """Begin to read an item; returns at once.

        Parameters
        ----------
        idx
            From 0, or from the end where negative.
        rng
            Decides how the patch lies; None to draw from torch's generator.
        """
        number, length = int(idx), len(self)
        if not -length <= number < length:
            raise IndexError(f"index {number} of a dataset of {length} places: {self.raw_path}")
        number %= length
        center, pose = self.places.center(number), self._pose(rng)
        told_of_it = {
            **self.metadata,
            "current_center": self.places.by_axis(center),
            "current_idx": number,
            "current_spatial_transforms": told(pose),
        }
        images = dict(self.input_sources)
        if self.raw_only:
            images.update(self.target_sources)
        return PendingItem(
            {name: (image, image.begin(center, pose)) for name, image in images.items()},
            {} if self.raw_only else {n: self._begin_target(n, center, pose) for n in self.target_sources},
            {"idx": torch.tensor(number), "__metadata__": told_of_it},
            self._device,
        )

    def _begin_target(self, name: str, center: Point, pose: Pose) -> PendingTarget:
        sources = self.target_sources[name]
        told_by = {c: source for c, source in sources.items() if isinstance(source, list)}
        images = {**{c: s for c, s in sources.items() if c not in told_by}, **self._witnesses[name]}
        reads = {c: image.begin(center, pose) for c, image in images.items()}
        return PendingTarget(sources, reads, told_by, self.empty_value)

    def _pose(self, rng: np.random.Generator | None) -> Pose:
        if not (self.is_train and self._augment):
            return AS_IT_LIES
        largest = np.max([image.spec.patch.size for image in self._images], axis=0)
        return self._augment.draw(rng or rng_of(self.rng), largest.tolist())

    def generate_spatial_transforms(self) -> dict[str, Any] | None:
        """Draw how a patch lies; None for as it is."""
        return told(self._pose(None))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What each item tells of its dataset."""
        facts = {"raw_path": self.raw_path, "target_path_str": self.target_path_str}
        return facts | {"class_weights": self.class_weights if self.classes_with_path else {}}

    # -- classes ------------------------------------------------------------------------------------

    @cached_property
    def has_data(self) -> bool:
        """Whether there is anything to learn from: a voxel of a class, or raw data where that is all."""
        if self.raw_only or not self.target_arrays or not self.classes or self.force_has_data:
            return True
        told = [*self.classes, *witnesses_of(self.classes, self.class_relation_dict)]
        return bool(class_index(self.labels, Classes(names=tuple(told))).found)

    @cached_property
    def class_counts(self) -> dict[str, dict[str, float]]:
        """nm³ of each class, and as ``<class>_bg`` what is known to be none, in all and by target array."""
        if not self.classes:
            return {"totals": {}}
        index = class_index(self.labels, Classes(names=tuple(self.classes)))
        counts: dict[str, float] = {}
        for name in self.classes:
            counts[name] = index.positive(name)
            counts[f"{name}_bg"] = index.known(name) - counts[name]
        arrays = {array: dict(counts) for array in self.target_arrays}
        return {"totals": {key: value * max(1, len(arrays)) for key, value in counts.items()}, **arrays}

    @property
    def class_weights(self) -> dict[str, float]:
        """How much more is known to be none of a class than to be it; 1 for a class that is nowhere."""
        return weights_of(self.class_counts["totals"], self.classes)

    def get_crop_class_matrix(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return (1, classes): which classes are annotated."""
        return np.array([[name in self.labels.annotated for name in self.classes]])

    def verify(self) -> bool:
        """Return whether there is a place, and something to learn from."""
        return len(self) > 0

    def get_random_subset_indices(
        self,
        num_samples: int,
        rng: torch.Generator | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return random indices, none twice before all have come."""
        return min_redundant_inds(len(self), num_samples, rng=rng)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"rng": state_of(self.rng)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, rng=restored(state["rng"]))

    # -- settings -----------------------------------------------------------------------------------

    def set_spatial_transforms(self, transforms: SpatialTransforms | None) -> None:
        """Choose how patches are laid at random."""
        self.spatial_transforms, self._augment = transforms, augment_of(transforms)

    def set_raw_value_transforms(self, transforms: Transform | None) -> None:
        """Choose what is done to raw patches."""
        self.raw_value_transforms = transforms
        for image in self.input_sources.values():
            image.value_transform = transforms

    def set_target_value_transforms(self, transforms: Any) -> None:
        """Choose what is done to the patches of each class."""
        self.target_value_transforms = transforms
        self.reset_arrays("target")

    @property
    def device(self) -> torch.device:
        """Where items are put."""
        return self._device

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapDataset:  # noqa: ARG002
        """Choose where items are put."""
        self._device = torch.device(device)
        return self

    def get_empty_store(self, array_info: ArrayInfo, device: str | torch.device = "cpu") -> torch.Tensor:
        """Return a patch of one class of which nothing is known."""
        shape = [n for n in self._spec(array_info).shape.values() if n > 1]
        return torch.full(shape, self.empty_value, device=device)

    @staticmethod
    def empty() -> CellMapMultiDataset:
        """Return a dataset without places."""
        return CellMapMultiDataset.empty()
