"""Which datasets train, and which validate."""

from __future__ import annotations

import glob
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from voxloom.amounts import counted
from voxloom.compat.cellmap_data.base_dataset import Transform
from voxloom.compat.cellmap_data.dataset import CellMapDataset
from voxloom.compat.cellmap_data.multidataset import CellMapMultiDataset
from voxloom.compat.cellmap_data.poses import SpatialTransforms
from voxloom.compat.cellmap_data.slicing import across_same_axis
from voxloom.compat.cellmap_data.subdataset import CellMapSubset
from voxloom.compat.cellmap_data.transforms import Binarize, NaNtoNum, ToFloat
from voxloom.compat.cellmap_data.unused import report_unused
from voxloom.errors import ConfigError, MissingDataError, VoxloomError
from voxloom.sources.split_rows import SplitRow, followed, part_of, rows_from_csv

__all__ = ["CellMapDataSplit"]

logger = logging.getLogger(__name__)

Arrays = Mapping[str, Mapping[str, Any]]
Rows = Mapping[str, Sequence[Mapping[str, str]]]
TRAIN, VALIDATE = "train", "validate"
RAW = nn.Sequential(ToFloat(), NaNtoNum({"nan": 0}))
TARGET = Binarize()


class CellMapDataSplit:
    """Datasets to learn from and to measure on.

    Parameters
    ----------
    input_arrays, target_arrays
        ``{"raw": {"shape": (64, 64, 64), "scale": (8, 8, 8)}}``: voxels and nm.
    classes
        Names, in the order of the channels; None for raw data alone.
    empty_value
        What stands for unknown.
    pad
        Whether images smaller than a patch are padded: always, never, or those of "train" or "validate".
    datasets
        ``{"train": [...], "validate": [...]}`` of `CellMapDataset`.
    dataset_dict
        ``{"train": [{"raw": path, "gt": path}], "validate": [...]}``.
    csv_path
        A file with a line for each: split, raw container, raw name, labels container, labels name; or
        split, raw, labels. Wildcards are followed. Relative paths begin at the file, or where the
        script runs.
    spatial_transforms
        How training patches are laid at random.
    train_raw_value_transforms, val_raw_value_transforms
        Called with each raw patch; unless said otherwise integers become float32 in [0, 1].
    target_value_transforms
        Called with the patch of each class; unless said otherwise ids become 0 and 1.
    class_relation_dict, force_has_data, device
        As `CellMapDataset` takes them.
    context
        Has no use any more.

    Raises
    ------
    ConfigError
        A ValueError; if there is not exactly one of datasets, dataset_dict and csv_path.
    DataError
        A ValueError; if a dataset cannot be read: it names the row. If none is left to learn from.
    """

    def __init__(
        self,
        input_arrays: Arrays,
        target_arrays: Arrays | None = None,
        classes: Sequence[str] | None = None,
        empty_value: float = math.nan,
        pad: bool | str = False,
        datasets: Mapping[str, Sequence[CellMapDataset]] | None = None,
        dataset_dict: Rows | None = None,
        csv_path: str | os.PathLike[str] | None = None,
        spatial_transforms: SpatialTransforms | None = None,
        train_raw_value_transforms: Transform | None = RAW,
        val_raw_value_transforms: Transform | None = RAW,
        target_value_transforms: Any = TARGET,
        class_relation_dict: Mapping[str, Sequence[str]] | None = None,
        force_has_data: bool = False,
        context: Any = None,
        device: str | torch.device | None = None,
    ) -> None:
        report_unused("CellMapDataSplit", context=context)
        if sum(given is not None for given in (datasets, dataset_dict, csv_path)) != 1:
            raise ConfigError("CellMapDataSplit: expected one of datasets, dataset_dict and csv_path")
        self.input_arrays, self.target_arrays = dict(input_arrays), dict(target_arrays or {})
        self.classes = None if classes is None else list(classes)
        self.empty_value, self.pad, self.force_has_data = empty_value, pad, force_has_data
        self.csv_path, self.spatial_transforms, self.device = csv_path, spatial_transforms, device
        self.train_raw_value_transforms = train_raw_value_transforms
        self.val_raw_value_transforms = val_raw_value_transforms
        self.target_value_transforms = target_value_transforms
        self.class_relation_dict = class_relation_dict
        if csv_path is not None:
            dataset_dict = self.from_csv(csv_path)
        self.dataset_dict = dataset_dict
        if dataset_dict is not None:
            self.construct(dataset_dict)
        else:
            self._take(datasets or {})
        self.verify_datasets()

    def __repr__(self) -> str:
        return f"CellMapDataSplit of {len(self.train_datasets)} and {len(self.validation_datasets)} datasets"

    # -- datasets -----------------------------------------------------------------------------------

    def from_csv(self, csv_path: str | os.PathLike[str]) -> dict[str, list[dict[str, str]]]:
        """Return what a file names, as `dataset_dict` has it."""
        found: dict[str, list[dict[str, str]]] = {TRAIN: [], VALIDATE: []}
        folder = os.path.dirname(os.path.abspath(csv_path))
        for row in rows_from_csv(csv_path):
            for each in _named(row.origin, followed, _where_it_is(row, folder)):
                part = TRAIN if each.part == "train" else VALIDATE
                found[part].append(
                    {"raw": str(each.raw), "gt": each.gt[0] if each.gt else "", "origin": each.origin}
                )
        return found

    def construct(self, dataset_dict: Rows) -> None:
        """Make the datasets of both parts."""
        made: dict[str, list[Any]] = {TRAIN: [], VALIDATE: []}
        for name, rows in dataset_dict.items():
            part = TRAIN if part_of(name, "dataset_dict") == "train" else VALIDATE
            for number, row in enumerate(rows, 1):
                made[part] += self._made(part, row, row.get("origin", f"{name} {number}"))
        self._take(made)

    def _made(self, part: str, row: Mapping[str, str], origin: str) -> list[Any]:
        is_train = part == TRAIN
        made: Any = _named(
            origin,
            lambda: CellMapDataset(
                row["raw"],
                row.get("gt") or None,
                self.classes,
                self.input_arrays,
                self.target_arrays,
                spatial_transforms=self.spatial_transforms if is_train else None,
                raw_value_transforms=self._raw_transforms(is_train),
                target_value_transforms=self.target_value_transforms,
                class_relation_dict=self.class_relation_dict,
                is_train=is_train,
                force_has_data=self.force_has_data,
                empty_value=self.empty_value,
                pad=self.pad is True or self.pad == part,
                device=self.device,
            ),
        )
        return list(made.datasets) if isinstance(made, CellMapMultiDataset) else [made]

    def _raw_transforms(self, is_train: bool) -> Transform | None:
        return self.train_raw_value_transforms if is_train else self.val_raw_value_transforms

    def _take(self, datasets: Mapping[str, Sequence[Any]]) -> None:
        self.train_datasets = list(datasets.get(TRAIN, ()))
        self.validation_datasets = list(datasets.get(VALIDATE, ()))

    def verify_datasets(self) -> None:
        """Leave out the datasets without a place or a voxel of any class, and say how many.

        Raises
        ------
        MissingDataError
            A ValueError; if there is none left to learn from.
        """
        named = [*self.train_datasets, *self.validation_datasets]
        left_out = [dataset for dataset in named if not dataset.verify()]
        if left_out:
            paths = ", ".join(str(getattr(d, "target_path", "") or d) for d in left_out)
            logger.warning(
                "left out %d of %s, which hold no voxel of any class, or are smaller than a patch: %s",
                len(left_out),
                counted(len(named), "dataset"),
                paths,
            )
        self.train_datasets = [d for d in self.train_datasets if d not in left_out]
        self.validation_datasets = [d for d in self.validation_datasets if d not in left_out]
        if not self.train_datasets and not self.force_has_data:
            raise MissingDataError(
                f"no dataset to learn from is left of {len(named)}: expected one as large as a patch, "
                "with a voxel of a class. Look at classes and scales, or set pad or force_has_data"
            )

    @property
    def datasets(self) -> dict[str, list[Any]]:
        """Both parts."""
        return {TRAIN: self.train_datasets, VALIDATE: self.validation_datasets}

    def _combined(self, datasets: Sequence[Any]) -> CellMapMultiDataset:
        arrays = datasets[0] if datasets else self  # `set_arrays` changes those of one part
        return CellMapMultiDataset(self.classes, arrays.input_arrays, arrays.target_arrays, datasets)

    @property
    def train_datasets_combined(self) -> CellMapMultiDataset:
        """All datasets to learn from, as one."""
        return self._kept("_train", self.train_datasets)

    @property
    def validation_datasets_combined(self) -> CellMapMultiDataset:
        """All datasets to measure on, as one."""
        return self._kept("_validation", self.validation_datasets)

    def _kept(self, name: str, datasets: Sequence[Any]) -> CellMapMultiDataset:
        kept: CellMapMultiDataset | None = self.__dict__.get(name)
        if kept is None or list(kept.datasets) != list(datasets):
            kept = self.__dict__[name] = self._combined(datasets)
        return kept

    @property
    def validation_blocks(self) -> CellMapSubset:
        """Patches that cover the datasets to measure on, side by side."""
        combined = self.validation_datasets_combined
        return CellMapSubset(combined, combined.validation_indices)

    @property
    def class_counts(self) -> dict[str, Any]:
        """nm³ of each class in both parts."""
        parts = {TRAIN: self.train_datasets_combined, VALIDATE: self.validation_datasets_combined}
        return {name: combined.class_counts for name, combined in parts.items()}

    # -- settings -----------------------------------------------------------------------------------

    def _each(self, train: Callable[[Any], Any], validation: Callable[[Any], Any] | None = None) -> None:
        for dataset in self.train_datasets:
            train(dataset)
        for dataset in self.validation_datasets:
            (validation or train)(dataset)

    def set_raw_value_transforms(
        self, train_transforms: Transform | None = None, val_transforms: Transform | None = None
    ) -> None:
        """Choose what is done to raw patches of each part; what is not given stays."""
        if train_transforms is not None:
            self.train_raw_value_transforms = train_transforms
        if val_transforms is not None:
            self.val_raw_value_transforms = val_transforms
        train, validation = self.train_raw_value_transforms, self.val_raw_value_transforms
        self._each(
            lambda dataset: dataset.set_raw_value_transforms(train),
            lambda dataset: dataset.set_raw_value_transforms(validation),
        )

    def set_target_value_transforms(self, transforms: Any) -> None:
        """Choose what is done to the patches of each class."""
        self.target_value_transforms = transforms
        self._each(lambda dataset: dataset.set_target_value_transforms(transforms))

    def set_spatial_transforms(
        self,
        train_transforms: SpatialTransforms | None = None,
        val_transforms: SpatialTransforms | None = None,
    ) -> None:
        """Choose how patches of each part are laid at random; those to measure on lie as they are."""
        self.spatial_transforms = train_transforms
        self._each(
            lambda dataset: dataset.set_spatial_transforms(train_transforms),
            lambda dataset: dataset.set_spatial_transforms(val_transforms),
        )

    def set_arrays(self, arrays: Arrays, type: str = "target", usage: str = VALIDATE) -> None:
        """Choose other arrays, "inputs" or "target", for one part."""
        is_input = type.startswith("input")
        for dataset in self.train_datasets if usage.startswith("train") else self.validation_datasets:
            laid = across_same_axis(arrays, {**dataset.target_arrays, **dataset.input_arrays})
            setattr(dataset, "input_arrays" if is_input else "target_arrays", laid)
            dataset.reset_arrays("input" if is_input else "target")
        for made_before in ("_train", "_validation"):
            self.__dict__.pop(made_before, None)  # it counts the places that there were

    def to(self, device: str | torch.device, non_blocking: bool = True) -> CellMapDataSplit:
        """Choose where items are put."""
        self.device = device
        self._each(lambda dataset: dataset.to(device, non_blocking=non_blocking))
        return self


def _named(origin: str, made: Callable[..., Any], *arguments: Any) -> Any:
    """Return what is made; an error names the row that it is of."""
    try:
        return made(*arguments)
    except VoxloomError as error:
        raise type(error)(f"{origin}: {error}") from error


def _where_it_is(row: SplitRow, folder: str) -> SplitRow:
    """Return a row whose paths begin where the script runs, where they are not beside the file."""
    raw = str(row.raw)
    return SplitRow(row.origin, row.part, _found(raw, folder), tuple(_found(gt, folder) for gt in row.gt))


def _found(path: str, folder: str) -> str:
    if "://" in path or _is_there(path) or not path.startswith(folder):
        return path
    here = os.path.abspath(os.path.relpath(path, folder))
    return here if _is_there(here) else path


def _is_there(path: str) -> bool:
    """Return whether anything is at a path with wildcards, up to its brackets."""
    before, bracket, _ = path.partition("[")
    return any(glob.iglob(before.rpartition("/")[0] if bracket else before))
