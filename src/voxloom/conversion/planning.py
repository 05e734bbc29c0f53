"""From a source and settings to a plan: which fields, how encoded, how many samples a shard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from voxloom.conversion.colours import PLAIN
from voxloom.conversion.origin import reads_in_threads
from voxloom.conversion.pixels import MODES, cure, holds
from voxloom.conversion.plan import Plan, Provenance, digest_of_keys, refuse_twins
from voxloom.conversion.reading import Guarded
from voxloom.conversion.recipe import CURE, FieldRecipe, Recipe, is_resized, row_size
from voxloom.conversion.settings import Conversion
from voxloom.errors import DataError, MissingDataError, SchemaError
from voxloom.formats.encoding import header
from voxloom.formats.manifest import Encoding
from voxloom.formats.store import Store
from voxloom.sample import Cell, Field
from voxloom.source import Source

__all__ = ["planned", "recipe_of"]

_PROBES = 256  # samples that are looked at, evenly spread
_MEASURED = 16  # samples that are converted to see how large they get


def planned(source: Source, settings: Conversion) -> Plan:
    """Return the plan that this source and these settings make, always the same.

    Raises
    ------
    SchemaError
        When the settings cannot hold a field of the source.
    DataError
        When there are no samples, none of them can be read, or two have the same key.
    """
    if not len(source):
        raise MissingDataError(f"{source!r}: no samples. Expected at least one to convert.")
    refuse_twins(source.keys, repr(source))
    kind, told = type(source).__name__, getattr(source, "provenance", None)
    if not reads_in_threads(source):  # a dataset of others raises what it likes
        source = Guarded(source)
    cells = _first_cells(source)
    recipes = tuple(
        _field_recipe(field, cells[name], source, settings) for name, field in source.schema.items()
    )
    return Plan(
        settings=settings,
        fields=tuple(recipe.field for recipe in recipes),
        encodings={recipe.field.name: recipe.encoding for recipe in recipes},
        source=kind,
        keys=digest_of_keys(source.keys),
        samples=len(source),
        samples_per_shard=settings.samples_per_shard or _samples_per_shard(source, Recipe(recipes), settings),
        provenance=told if isinstance(told, Provenance) else Provenance(),
    )


def recipe_of(plan: Plan, source: Source) -> Recipe:
    """Return how the samples of a source become the rows of a plan."""
    return Recipe(
        tuple(
            FieldRecipe(source.schema[field.name], field, plan.encodings[field.name], plan.settings)
            for field in plan.fields
        )
    )


def _spread(source: Source, most: int) -> list[int]:
    """Return up to so many indices, evenly spread over the source."""
    count = min(most, len(source))
    return [len(source) * i // count for i in range(count)]


def _first_cells(source: Source) -> dict[str, Cell]:
    """Return the first sample that can be read: a bad one does not condemn the others."""
    first: DataError | None = None
    for index in [*range(min(8, len(source))), *_spread(source, _PROBES)]:
        try:
            return dict(source.cells(index))
        except DataError as error:
            first = first or error
    raise first or MissingDataError(f"{source!r}: no sample can be read")


def _field_recipe(field: Field, cell: Cell, source: Source, settings: Conversion) -> FieldRecipe:
    _refuse(field, cell, settings)
    _refuse_odd_arrays(field, cell, source, settings)
    encoding = _encoding(field, cell, source, settings)
    made = FieldRecipe(field, _in_mode(field, settings), encoding, settings)
    if encoding == "fixed" and (made.changes or field.shape is None):
        return _of_one_shape(made, source)
    if is_resized(field, settings):
        return FieldRecipe(field, _unspaced(made.field, None), encoding, settings)
    return made


def _refuse(field: Field, cell: Cell, settings: Conversion) -> None:
    """Say what cannot be before any work is done."""
    about = f"field {field.name!r} ({field.kind}, {field.dtype}, axes {field.axes!r})"
    if field.kind not in ("image", "mask"):
        return
    if settings.size is not None and not {"y", "x"} <= set(field.axes):
        raise SchemaError(f"{about} cannot be resized: it has no axes y and x. Leave size out.")
    if settings.encoding == "file" and isinstance(cell, np.ndarray):
        raise SchemaError(f"{about} lies in no files that could be copied. Choose encoding auto, npy or png.")
    mode = settings.mode if field.kind == "image" else None
    if mode is not None and not (set(field.axes) <= set("yxc") and {"y", "x"} <= set(field.axes)):
        raise SchemaError(f"{about} is no single image, and has no mode such as {mode!r}. Leave mode out.")
    if mode is not None and not holds(mode, field.dtype):
        raise SchemaError(
            f"{about} does not go into mode {mode!r}, which holds {MODES[mode][0]}: nothing is cut to fit. "
            f"{cure(field.dtype)}"
        )
    if mode is not None and MODES[mode][1] > 1 and "c" not in field.axes:
        raise SchemaError(f"{about} has no axis for the {MODES[mode][1]} channels of mode {mode!r}.")
    _refuse_encoding(about, field, settings)


def _refuse_odd_arrays(field: Field, cell: Cell, source: Source, settings: Conversion) -> None:
    """Refuse to take arrays of inks, whose mode their source tells, for red, green and blue."""
    if field.kind != "image" or not isinstance(cell, np.ndarray):
        return
    odd = sorted(_modes(source) - set(PLAIN))
    if odd and (settings.mode is not None or settings.encoding in ("png", "jpeg")):
        raise SchemaError(
            f"field {field.name!r} holds arrays in mode {odd[0]}, whose numbers are not red, green and blue. "
            "Leave mode out and choose encoding auto, npy or blosc to keep them, or convert the original "
            "images with mode='RGB'."
        )


def _modes(source: Any) -> set[str]:
    """Return Pillow's modes that a source, or those that it is made of, say their arrays have."""
    inner = [*getattr(source, "sources", ()), getattr(source, "source", None)]
    found: set[str] = set().union(*(_modes(each) for each in inner if isinstance(each, Source)))
    mode = getattr(source, "mode", None)
    return found | {mode} if isinstance(mode, str) else found


def _refuse_encoding(about: str, field: Field, settings: Conversion) -> None:
    dtype = _in_mode(field, settings).dtype
    allowed = {"jpeg": ("uint8",), "png": ("bool", "uint8", "uint16")}.get(settings.encoding)
    if field.kind == "mask" or allowed is None:
        return
    if dtype not in allowed or not set(field.axes) <= set("yxc"):
        raise SchemaError(
            f"{about} does not go into {settings.encoding.upper()}, which holds images of "
            f"{', '.join(allowed)}, and this would be {dtype}. Choose encoding npy or blosc, or another mode."
        )


def _encoding(field: Field, cell: Cell, source: Source, settings: Conversion) -> Encoding:
    """Return how a field is to lie in its column."""
    changes = FieldRecipe(field, field, "file", settings).changes
    if field.kind == "text":
        return "text"
    if field.kind == "mask" and settings.encoding == "jpeg":
        return _lossless(field, cell, source, settings)
    if settings.encoding == "raw":
        return "fixed" if field.is_spatial or field.kind == "class" or field.shape is not None else "npy"
    if field.kind in ("image", "mask") and settings.encoding != "auto":
        return settings.encoding
    if field.kind == "latent" and settings.encoding in ("fixed", "npy", "blosc"):
        return settings.encoding
    if isinstance(cell, np.ndarray) or changes:
        has_shape = is_resized(field, settings) if changes else field.shape is not None
        return "fixed" if has_shape or field.kind == "class" else "npy"
    return source.manifest.encodings[field.name] if isinstance(source, Store) else "file"


def _lossless(field: Field, cell: Cell, source: Source, settings: Conversion) -> Encoding:
    """Return how a mask lies where images become JPEG."""
    if not any(other.kind == "image" for other in source.schema.values()):
        raise SchemaError(
            f"field {field.name!r} is a mask, and JPEG would change its numbers. Choose encoding png."
        )
    if not isinstance(cell, np.ndarray) and not is_resized(field, settings):
        return "file"
    return "png" if field.dtype in ("bool", "uint8", "uint16") and set(field.axes) <= set("yxc") else "npy"


def _in_mode(field: Field, settings: Conversion) -> Field:
    """Return the field with the type of elements that the mode gives."""
    if settings.mode is None or field.kind != "image":
        return field
    dtype, _ = MODES[settings.mode]
    return field.model_copy(update={"dtype": dtype, "shape": None})


def _of_one_shape(made: FieldRecipe, source: Source) -> FieldRecipe:
    """Find the one shape and type of a field, or say which samples differ."""
    field, found = made.source, dict[tuple[tuple[int, ...], str], str]()
    for index in _spread(source, _PROBES):
        try:
            cell = source.select(field.name).cells(index)[field.name]
            found.setdefault(_extents(made, cell, source.keys[index]), source.keys[index])
        except DataError:
            continue  # what cannot be read is met again when its shard is written
    if len(found) == 1:
        ((shape, dtype),) = found
        return FieldRecipe(field, _unspaced(made.field, shape, dtype), "fixed", made.settings)
    if not found:
        raise DataError(f"{source!r}: none of {min(_PROBES, len(source))} samples can be read")
    if made.settings.encoding == "raw":
        return FieldRecipe(field, _unspaced(made.field, None), "npy", made.settings)
    if made.settings.encoding == "auto" and _several_unresized(field, [shape for shape, _ in found]):
        return FieldRecipe(field, _unspaced(made.field, None), "npy", made.settings)
    (one, first), (other, second) = list(found.items())[:2]
    raise SchemaError(
        f"field {field.name!r} cannot be stored at one size: sample {first!r} has shape {one[0]} of "
        f"{one[1]}, and {second!r} {other[0]} of {other[1]}. {CURE}"
    )


def _several_unresized(field: Field, shapes: list[tuple[int, ...]]) -> bool:
    """Whether the shapes differ along an axis that no setting brings to one extent."""
    extents = [dict(zip(field.axes, shape, strict=True)) for shape in shapes]
    return any(len({one[axis] for one in extents}) > 1 for axis in set(field.axes) - set("yxc"))


def _extents(made: FieldRecipe, cell: Cell, name: str) -> tuple[tuple[int, ...], str]:
    """Return the shape and type that a cell will have, without decoding it."""
    field, settings = made.source, made.settings
    if isinstance(cell, np.ndarray) and not made.changes:
        return cell.shape, str(cell.dtype)
    extents, dtype = _now(cell, field, name)
    if settings.mode is not None and field.kind == "image":
        dtype, extents["c"] = MODES[settings.mode]
    if settings.size is not None and is_resized(field, settings):
        extents["y"], extents["x"] = settings.size
    return tuple(extents.get(axis, 1) for axis in field.axes), dtype


def _now(cell: Cell, field: Field, name: str) -> tuple[dict[str, int], str]:
    """Return the extent of each axis of a cell, and its type."""
    if isinstance(cell, np.ndarray):
        return dict(zip(field.axes, cell.shape, strict=True)), str(cell.dtype)
    head = header(cell, name=name)
    if field.kind == "mask" and head.mode == "P":  # its numbers, not its colours
        return dict(zip("yx", head.shape, strict=False)), "uint8"
    axes = field.axes if head.kind in ("npy", "blosc") else head.axes
    return dict(zip(axes, head.shape, strict=True)), head.dtype


def _unspaced(field: Field, shape: tuple[int, ...] | None, dtype: str | None = None) -> Field:
    """Return the field with a shape; a spacing is dropped where the size of pixels has changed."""
    update: dict[str, object] = {"shape": shape, "dtype": dtype or field.dtype}
    if shape != field.shape:
        update["spacing"] = None
    return field.model_copy(update=update)


def _samples_per_shard(source: Source, recipe: Recipe, settings: Conversion) -> int:
    """Return how many samples fill a shard of the size that is wanted."""
    return max(1, int(settings.shard_bytes // max(1.0, _sample_bytes(source, recipe))))


def _sample_bytes(source: Source, recipe: Recipe) -> float:
    """Return the mean size of a row: exactly, from the sizes of files, or from a few rows."""
    fixed = [made for made in recipe.fields if made.encoding == "fixed"]
    exact = sum(_row_bytes(made.field) for made in fixed)
    nbytes = getattr(source, "nbytes", None)
    copied = all(made.encoding == "file" or not made.field.is_spatial for made in recipe.fields)
    if len(fixed) == len(recipe.fields):
        sizes = [exact + len(source.keys[index].encode()) for index in _spread(source, _PROBES)]
    elif nbytes is not None and copied:
        sizes = _measured(source, lambda index: exact + nbytes(index), _PROBES)
    else:
        sizes = _measured(source, lambda index: _row_size(source, recipe, index), _MEASURED)
    return float(np.mean(sizes)) if sizes else 1.0


def _row_bytes(field: Field) -> int:
    return int(np.dtype(field.dtype).itemsize * np.prod(field.shape or (), dtype=np.int64))


def _measured(source: Source, size: Callable[[int], int], most: int) -> list[int]:
    """Measure some samples; those that cannot be read are met again when their shard is written."""
    sizes = []
    for index in _spread(source, most):
        with suppress(DataError, OSError):
            sizes.append(size(index))
    return sizes


def _row_size(source: Source, recipe: Recipe, index: int) -> int:
    return row_size(recipe.row(source.cells(index), source.keys[index]))
