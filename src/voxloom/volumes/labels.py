"""What was annotated in one crop, whatever way it lies on disk: which voxels belong to which class."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from voxloom.errors import SchemaError, VoxloomError
from voxloom.geometry import Box
from voxloom.volumes.bits import Mark
from voxloom.volumes.classes import Classes
from voxloom.volumes.creation import layout_of
from voxloom.volumes.volume import Volume

__all__ = ["Annotation", "Labels", "split_path"]

T = TypeVar("T")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Annotation:
    """One volume, and what its values say.

    Attributes
    ----------
    volume
        The labels.
    names
        The classes that it tells about: absent where it does not say that they are present.
    table
        Which of them a value stands for; a value that is not listed stands for none. None where each
        value above 0 stands for all of them, be it an instance's id or a fraction.
    is_bitmask
        Whether bit k of a value stands for ``names[k]`` instead.
    is_nameless
        Whether nothing says what the values mean: the class is called as the volume is.
    """

    volume: Volume
    names: tuple[str, ...]
    table: Mapping[int, tuple[str, ...]] | None = None
    is_bitmask: bool = False
    is_nameless: bool = False

    def mark(self, classes: Classes) -> Mark | None:
        """Return how the values become the bits of `classes`; None where they tell about none of them."""
        known = classes.bits(self.names)
        if not known:
            return None
        if self.is_bitmask:
            shifts = tuple((k, classes.bits([name])) for k, name in enumerate(self.names))
            return Mark(self.volume, known=known, shifts=tuple(pair for pair in shifts if pair[1]))
        if self.table is None:
            return Mark(self.volume, known=known)
        table = {value: classes.bits(names) for value, names in self.table.items()}
        return Mark(self.volume, known=known, table={value: bits for value, bits in table.items() if bits})


@dataclass(frozen=True)
class Labels:
    """The annotations of one crop.

    A class that none of them tells about is unknown in the crop, which is not the same as absent; and
    so is a class outside the volume that tells about it.

    Attributes
    ----------
    annotations
        One a volume.

    Raises
    ------
    SchemaError
        If two of them tell about one class.
    """

    annotations: tuple[Annotation, ...]

    def __post_init__(self) -> None:
        names = [name for annotation in self.annotations for name in annotation.names]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            paths = ", ".join(annotation.volume.path for annotation in self.annotations)
            raise SchemaError(
                f"classes {', '.join(twice)} are annotated twice, in {paths}; expected one volume a class"
            )

    @classmethod
    def open(cls, path: str, *, classes: Classes | None = None, **options: Any) -> Labels:
        """Open the labels at a path.

        Parameters
        ----------
        path
            ``prefix/[mito,er]/suffix``: one volume for each class in the brackets, where the values
            above 0 belong to it. Without brackets one volume: a label image whose metadata name its
            ids, a bitmask that ``voxloom pack`` wrote, or a class of the last name of the path.
        classes
            What is wanted; volumes of other classes stay closed. None for all.
        **options
            As `Volume.open` takes them: unit, spacing, strict.

        Raises
        ------
        SchemaError
            If the brackets hold no name (see `split_path`).
        MissingDataError
            If there is no volume.
        VolumeMetadataError
            If one says too little.
        """
        return cls.open_many([path], classes=classes, **options)[0]

    @classmethod
    def open_many(
        cls, paths: Sequence[str], *, classes: Classes | None = None, **options: Any
    ) -> list[Labels]:
        """Open the labels at several paths, all requests in flight at once."""
        opened = cls.open_each(paths, classes=classes, **options)
        for each in opened:
            if isinstance(each, VoxloomError):
                raise each
        return [each for each in opened if not isinstance(each, VoxloomError)]

    @classmethod
    def open_each(
        cls, paths: Sequence[str], *, classes: Classes | None = None, **options: Any
    ) -> list[Labels | VoxloomError]:
        """Open the labels at several paths; where they cannot be opened the error stands in their place."""
        wanted = [_tried(partial(_wanted, path, classes)) for path in paths]
        places = [where for each in wanted if not isinstance(each, VoxloomError) for _, where in each]
        opened = iter(Volume.open_each(places, **options))
        found: list[Labels | VoxloomError] = []
        for each in wanted:
            if isinstance(each, VoxloomError):
                found.append(each)
            else:
                named = [(next(opened), name) for name, _ in each]
                found.append(_tried(partial(cls._of, named)))
        return found

    @classmethod
    def _of(cls, named: Sequence[tuple[Volume | VoxloomError, str]]) -> Labels:
        annotations = []
        for volume, name in named:
            if isinstance(volume, VoxloomError):
                raise volume
            annotations.append(_annotation(volume, name))
        return cls(tuple(annotations))

    @property
    def annotated(self) -> frozenset[str]:
        """The classes that somebody looked for."""
        return frozenset(name for annotation in self.annotations for name in annotation.names)

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """All volumes, in order."""
        return tuple(annotation.volume for annotation in self.annotations)

    @property
    def box(self) -> Box | None:
        """What all volumes share; None where there are none, or they share nothing."""
        boxes = [volume.bounding_box for volume in self.volumes]
        shared: Box | None = boxes[0] if boxes else None
        for box in boxes:
            shared = shared & box if shared is not None else None
        return shared

    def marks(self, classes: Classes) -> list[Mark]:
        """Return how the volumes become bits: bit k of ``classes.all_names[k]``."""
        marks = (annotation.mark(classes) for annotation in self.annotations)
        return [mark for mark in marks if mark is not None]


def _tried(make: Callable[[], T]) -> T | VoxloomError:
    try:
        return make()
    except VoxloomError as error:
        return error


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Return a path with ``{label}`` in the place of its brackets, and the names in them.

    Without brackets the path is returned with no names, and so is a local folder whose own name has
    some. Where folders have brackets in their names, the last brackets are those of the classes.

    Raises
    ------
    SchemaError
        If there is no folder of the name up to the last brackets; if they hold no name, or one twice.

    Examples
    --------
    >>> split_path("crop.zarr/labels/[mito,er]")
    ('crop.zarr/labels/{label}', ('mito', 'er'))
    >>> split_path("crop.zarr/labels/mito")
    ('crop.zarr/labels/mito', ())
    """
    found = list(_BRACKETS.finditer(path))
    if not found or os.path.isdir(path):
        return path, ()
    before, after = path[: found[-1].start()], path[found[-1].end() :]
    names = tuple(name.strip() for name in found[-1][1].split(","))
    is_whole = len(found) == 1 or "://" in path or os.path.isdir(os.path.dirname(before))
    if not is_whole or "" in names or len(set(names)) < len(names):
        raise SchemaError(
            f"labels {path!r}: expected brackets once, with the names of classes between commas, each once: "
            "crop.zarr/labels/[mito,er]. Folders with brackets in their names have to be there"
        )
    return f"{before}{{label}}{after}", names


def _wanted(path: str, classes: Classes | None) -> list[tuple[str, str]]:
    """Return (class, path) of each volume to open; the class is empty where the volume has to tell."""
    template, names = split_path(str(path))
    if not names:
        return [("", template)]
    chosen: Iterable[str] = names if classes is None else [n for n in names if n in classes.all_names]
    return [(name, template.replace("{label}", name)) for name in chosen]


def _annotation(volume: Volume, name: str) -> Annotation:
    if len(volume.channels) > 1:
        raise SchemaError(
            f"labels {volume.path}: {len(volume.channels)} channels; expected one. Open one channel a class "
            "with Volume.open(path, channels=[...])"
        )
    if name:
        return Annotation(volume, (name,))
    if volume.classes:
        names = tuple(dict.fromkeys(volume.classes.values()))
        if _is_bitmask(volume):
            return Annotation(volume, names, is_bitmask=True)
        return Annotation(volume, names, {value: (told,) for value, told in volume.classes.items()})
    return Annotation(volume, (volume.path.rstrip("/").rpartition("/")[2],), is_nameless=True)


def _is_bitmask(volume: Volume) -> bool:
    """Return whether bit k of a value stands for the k-th class, as in what ``voxloom pack`` writes."""
    if list(volume.classes) != [1 << k for k in range(len(volume.classes))]:
        return False  # which spares a request
    layout = layout_of(volume.path)
    return layout is not None and layout.is_bitmask
