"""What has to hold over all datasets of a split before a network can learn from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from voxloom.errors import MissingDataError, SchemaError
from voxloom.registry import did_you_mean
from voxloom.sources.split_opening import Found
from voxloom.sources.volume_dataset import Dataset
from voxloom.volumes.classes import Classes
from voxloom.volumes.volume import Volume

__all__ = ["check_annotated", "check_same_kind", "different_kinds", "unannotated"]

_Kind = tuple[int, str]


def check_annotated(train: Sequence[Dataset], classes: Classes) -> None:
    """Complain about a class that nobody annotated: whatever is predicted of it would be noise.

    Raises
    ------
    MissingDataError
        If there is one.
    """
    missing = unannotated(train, classes)
    if not missing:
        return
    there = sorted({name for each in train if each.labels for name in each.labels.annotated})
    raise MissingDataError(
        f"classes {', '.join(missing)}: annotated in none of the {len(train)} datasets to learn from; "
        f"annotated are: {', '.join(there) or 'none'}.{did_you_mean(missing[0], there)} Nothing can be "
        "learned of a class without annotations; it would be predicted at random. Take it out of "
        "segmentation_data.classes, or name its labels in the split, for instance "
        f"gt.zarr/[{missing[0]}]."
    )


def unannotated(train: Iterable[Dataset], classes: Classes) -> list[str]:
    """Return the classes that no dataset tells about, and that no annotated class implies."""
    known = {name for dataset in train if dataset.labels for name in dataset.labels.annotated}
    places = [classes.all_names.index(name) for name in known if name in classes.all_names]
    told = classes.bits(known)
    for place in places:
        told |= classes.implied[place]
    return [name for name in classes.names if not told & classes.bits([name])]


def check_same_kind(found: Sequence[Found]) -> None:
    """Complain about images of other channels or another type than those of the first dataset.

    Raises
    ------
    SchemaError
        If there are some; both rows are named.
    """
    problems = different_kinds(found)
    if problems:
        raise SchemaError(next(iter(problems.values())))


def different_kinds(found: Sequence[Found]) -> Mapping[str, str]:
    """Return what is wrong with each dataset that is unlike the first to learn from, by its row."""
    ordered = sorted(found, key=lambda each: each.row.part != "train")
    problems = {}
    for each in ordered[1:]:
        for name, volume in each.dataset.raw.items():
            first = ordered[0].dataset.raw.get(name)
            if first is not None and _kind(first) != _kind(volume):
                problems[each.row.origin] = _unlike(each, volume, ordered[0], first)
    return problems


def _unlike(each: Found, volume: Volume, before: Found, first: Volume) -> str:
    cure = "Bring them to one type, scaled alike"
    if _kind(volume)[0] != _kind(first)[0]:
        cure = "Copy the channels that count into volumes of their own, the same in each"
    return (
        f"{each.row.origin}: {volume.path} has {_told(volume)}, and {first.path} ({before.row.origin}) has "
        f"{_told(first)}: one network sees all of them, so the same was expected. {cure}, or leave one of "
        "the rows out."
    )


def _kind(volume: Volume) -> _Kind:
    return len(volume.channels), volume.dtype.newbyteorder("=").name


def _told(volume: Volume) -> str:
    number, dtype = _kind(volume)
    return f"{number} channel{'s' if number != 1 else ''} of {dtype}"
