"""Opening volumes: a few small files for each, the requests of all volumes in flight at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from voxloom.errors import DataError, MissingDataError, VolumeMetadataError
from voxloom.volumes import n5, ome
from voxloom.volumes.description import Description, Options, described
from voxloom.volumes.hints import ROOTS, attributes_of, missing, no_image
from voxloom.volumes.place import Place, begin_reads, finish_reads
from voxloom.volumes.stored_array import FILES, StoredArray, parse_array

__all__ = ["describe", "describe_each"]

Files = list[dict[str, Any] | None]
Asking = Generator[list[tuple[Place, str]], Files, Description]
"""What opens one volume: yields the files that it needs next, is sent what they hold."""
Attributes = Mapping[str, Any]

_ABOVE = 4  # levels of plate, well, field and level


def describe(place: Place, options: Options) -> Description:
    """Return what the metadata of a volume say.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError, DataError
        If there is no image, its metadata are wrong or cannot be read, or the options do not fit them.
    """
    found = describe_each([place], options)[0]
    if isinstance(found, DataError):
        raise found
    return found


def describe_each(places: Sequence[Place], options: Options) -> list[Description | DataError]:
    """Return what the metadata of many volumes say, or why one could not be opened.

    All volumes take their steps together: the requests of each step are in flight for all at once.
    """
    asking = [_asked(place, options) for place in places]
    done: dict[int, Description | DataError] = {}
    wanted = {i: next(each) for i, each in enumerate(asking)}
    while wanted:
        begun = {i: begin_reads(files) for i, files in wanted.items()}
        wanted = {}
        for i, reads in begun.items():
            try:
                wanted[i] = asking[i].send(finish_reads(reads))
            except StopIteration as end:
                done[i] = end.value
            except DataError as error:
                done[i] = _told(places[i], error)
    return [done[i] for i in range(len(places))]


def _told(place: Place, error: DataError) -> DataError:
    """Return an error that says which volume it is about."""
    return error if str(place) in str(error) else type(error)(f"{place}: {error}")


def _asked(place: Place, options: Options) -> Asking:
    files = yield [(place, name) for name in ROOTS]
    attributes, driver = attributes_of(files), _driver(files)
    if attributes is None:
        return (yield from _refused(place))
    array = _own_array(driver, files)
    if array is not None:
        return (yield from _alone(place, array, attributes, options=options))
    if driver == "n5":
        return (yield from _pyramid_of_n5(place, attributes, options))
    if not ome.is_image(attributes):
        return (yield from _refused_group(place, attributes))
    image = ome.parse(attributes, unit=options.unit, spacing=options.spacing)
    found = yield [(place, f"{level.path}/{FILES[driver]}") for level in image.levels]
    arrays = [_array(driver, level.path, f) for level, f in zip(image.levels, found, strict=True)]
    return described(place, image, arrays, options=options, classes=_classes(place, attributes))


def _driver(files: Files) -> str:
    zarr3, *zarr2, attributes = files
    if zarr3 is not None:
        return "zarr3"
    return "n5" if attributes is not None and not any(f is not None for f in zarr2) else "zarr"


def _own_array(driver: str, files: Files) -> StoredArray | None:
    """Return the array that a place itself is, or None for a group."""
    zarr3, _, zarr2, _, attributes = files
    own = {"zarr": zarr2, "zarr3": zarr3, "n5": attributes}[driver]
    marks = {"zarr": "shape", "zarr3": "shape", "n5": "dimensions"}[driver]
    return parse_array(driver, own) if own is not None and marks in own else None


def _array(driver: str, path: str, metadata: Attributes | None) -> StoredArray:
    if metadata is None:
        raise MissingDataError(
            f"level {path!r}: the metadata name it, and no array is there. Copy it too, or leave it out of "
            "the metadata"
        )
    return parse_array(driver, metadata)


def _classes(place: Place, attributes: Attributes) -> Mapping[int, str] | None:
    """Return class names where it is a label image: it says so, or lies in a labels group."""
    stated = ome.parse_image_label(attributes)
    return {} if stated is None and place.parent.name == "labels" else stated


def _alone(place: Place, array: StoredArray, own: Attributes, *, options: Options) -> Asking:
    """Describe one array: a level of an image above it, or one that says itself where it lies, or not."""
    above = [place.parent, place.parent.parent]
    found = yield [(each, name) for each in above for name in ROOTS]
    for k, parent in enumerate(above):
        attributes = attributes_of(found[k * len(ROOTS) : (k + 1) * len(ROOTS)])
        path = place.path[len(parent.path) :].strip("/")
        if attributes is not None and array.driver != "n5" and path in ome.level_paths(attributes):
            image = ome.parse(attributes, unit=options.unit, spacing=options.spacing, only=path)
            classes = _classes(parent, attributes)
            alone = replace(image, levels=(replace(image.levels[0], path=""),))
            return described(place, alone, [array], options=options, classes=classes)
    image = n5.parse_levels({}, {"": own}, [array], unit=options.unit, spacing=options.spacing)
    return described(place, image, [array], options=options, classes=None)


def _pyramid_of_n5(place: Place, group: Attributes, options: Options) -> Asking:
    paths = n5.named_levels(group)
    found = yield [(place, f"{path}/attributes.json") for path in paths]
    levels = {path: own for path, own in zip(paths, found, strict=True) if own is not None}
    if not levels:
        return (yield from _refused_group(place, group))
    arrays = [parse_array("n5", own) for own in levels.values()]
    image = n5.parse_levels(group, levels, arrays, unit=options.unit, spacing=options.spacing)
    return described(place, image, arrays, options=options, classes=None)


def _refused(place: Place) -> Asking:
    """Tell what there is instead of nothing."""
    above = [place.parent]
    while len(above) < _ABOVE and above[-1].path.strip("/"):
        above.append(above[-1].parent)
    found = yield [(each, name) for each in above for name in ROOTS]
    parts = [found[k : k + len(ROOTS)] for k in range(0, len(found), len(ROOTS))]
    raise missing(place, [(p, attributes_of(files)) for p, files in zip(above, parts, strict=True)])


def _refused_group(place: Place, attributes: Attributes) -> Asking:
    """Tell what a group is that is no image."""
    if place.name.startswith("."):
        raise VolumeMetadataError(f"{place}: a file of a store; open the store")
    wells = ome.parse_plate(attributes) or ()
    found = yield [(place, f"{well}/{name}") for well in wells[:1] for name in ROOTS]
    well = attributes_of(found) if found else None
    raise no_image(place, attributes, (ome.parse_well(well) or ()) if well is not None else ())
