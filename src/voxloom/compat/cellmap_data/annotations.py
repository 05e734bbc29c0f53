"""The labels at a target path, in each of the ways that scripts name them."""

from __future__ import annotations

from collections.abc import Iterable

from voxloom.errors import SchemaError
from voxloom.registry import did_you_mean
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Annotation, Labels, split_path
from voxloom.volumes.place import Place

__all__ = ["annotation_of", "labels_at"]


def labels_at(target_path: str | None, names: Iterable[str]) -> Labels:
    """Open what a target path says about some classes.

    Parameters
    ----------
    target_path
        ``crop1/[mito,er]``, one group a class; or without brackets a group that holds such groups, a
        label image whose metadata name its ids, or the group of one class. None or nothing for no labels.
    names
        The classes that are wanted.

    Raises
    ------
    MissingDataError
        If a group that the path names is not there.
    SchemaError
        If a path without brackets tells about none of the classes.
    """
    wanted = tuple(dict.fromkeys(names))
    if not target_path or not wanted:
        return Labels(())
    template, listed = split_path(str(target_path))
    if listed:
        return _opened(str(target_path), wanted)
    inside = [name for name in wanted if name in Place.of(template).list_children()]
    labels = _opened(f"{template.rstrip('/')}/[{','.join(inside)}]" if inside else template, wanted)
    if not labels.annotated & set(wanted):
        there = sorted(labels.annotated)
        raise SchemaError(
            f"labels {target_path}: they tell about {', '.join(there)}, and the classes are "
            f"{', '.join(wanted)}.{did_you_mean(there[0], wanted)} Name the groups of the classes in "
            f"brackets: {template.rstrip('/')}/[{','.join(wanted)}]"
        )
    return labels


def _opened(path: str, names: tuple[str, ...]) -> Labels:
    return Labels.open(path, classes=Classes(names=names), unit="nanometer")


def annotation_of(labels: Labels, name: str) -> Annotation | None:
    """Return what tells about a class; None where nothing does."""
    return next((each for each in labels.annotations if name in each.names), None)
