"""Whether the partners of pairs belong together, and lie on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxloom.amounts import counted
from voxloom.analysis.looking.aligned import misalignment
from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.partners import LEAST, Correspondence, correspondence, shape_of_labels
from voxloom.analysis.looking.planes import Plane, grey_plane, plane_of
from voxloom.analysis.looking.sheet import evenly_spread
from voxloom.errors import DataError, SchemaError
from voxloom.sample import Array, Field, Schema
from voxloom.source import Source

__all__ = ["Pairs", "correspondences"]

_PAIRS = 64  # that are compared with each other
_RUN = 4  # neighbours among them
_SIDES = 3  # fields that are compared with the first


@dataclass(frozen=True)
class Pairs:
    """What was found of the partners."""

    tested: tuple[Correspondence, ...]
    findings: tuple[Finding, ...]


def correspondences(source: Source, indices: Sequence[int], *, seed: int = 0) -> Pairs:
    """Test whether the fields of a sample belong together, against those of other samples.

    Parameters
    ----------
    source
        Of at least two fields of pixels, or nothing is tested.
    indices
        Samples that can be read; of more than 64 some are taken.
    seed
        Of the shuffles.
    """
    fields = _sides(source.schema)
    if len(fields) < 2 or not indices:
        return Pairs((), ())
    chosen = _runs(indices, len(source))
    places, keys, planes = _planes(source.select(*fields), chosen, fields)
    first, *others = fields
    if len(keys) < LEAST:
        told = f"{counted(len(keys), 'pair')}: at least {LEAST} are needed to test whether partners match"
        return Pairs((), (found("too few pairs", told, number=len(keys)),))
    tested, findings = [], []
    for other in others:
        sides = planes[first], planes[other]
        tested.append(correspondence((first, other), keys, sides, places=places, seed=seed))
        findings += [*_of_partners(tested[-1]), *_of_poses((first, other), sides)]
    return Pairs(tuple(tested), tuple(findings))


def _runs(indices: Sequence[int], total: int) -> list[int]:
    """Return samples to compare: all, or runs of neighbours, so that an order that is off by one shows."""
    if len(indices) <= _PAIRS:
        return list(indices)
    starts = (min(indices[place], total - _RUN) for place in evenly_spread(len(indices), _PAIRS // _RUN))
    return sorted({start + step for start in starts for step in range(_RUN)})


def _of_poses(fields: tuple[str, str], sides: tuple[list[Plane], list[Plane]]) -> Iterator[Finding]:
    one, other = fields
    if any(
        sorted(a.shape) != sorted(b.shape) for a, b in zip(*sides, strict=True)
    ):  # told as sizes of fields
        return
    how, share = misalignment(sides)
    if how:
        what = f"{other} lies {how} against {one}: so it suits {share:.0%} of {len(sides[0])} pairs better"
        yield found("not aligned", what, number=len(sides[0]), numbers={"share": share})


def _of_partners(tested: Correspondence) -> Iterator[Finding]:
    one, other = tested.fields
    numbers = {"auc": tested.auc, "p": tested.p, "pairs": tested.pairs, "moved": tested.moved}
    if not tested.is_matched:
        name = "partly matched" if tested.outcome == "partly" else "not matched"
        yield found(name, tested.text, tested.odd, numbers=numbers)
    elif tested.odd:
        verb = "matches" if len(tested.odd) == 1 else "match"
        what = f"{counted(len(tested.odd), 'pair')} of {one} and {other} {verb} worse than the others do"
        yield found("odd pairs", what, tested.odd, numbers=numbers)


def _sides(schema: Schema) -> list[str]:
    """Return the fields to compare, an image first."""
    names = [f.name for f in schema.values() if f.kind in ("image", "mask")]
    images = [name for name in names if schema[name].kind == "image"]
    return [*images[:1], *(n for n in names if n not in images[:1])][: _SIDES + 1] if images else []


def _planes(
    source: Source, indices: Sequence[int], fields: Sequence[str]
) -> tuple[list[int], list[str], dict[str, list[Plane]]]:
    places: list[int] = []
    keys: list[str] = []
    planes: dict[str, list[Plane]] = {name: [] for name in fields}
    for index in indices:
        try:
            sample = source[index]
            row = {name: _shape(sample[name], source.schema[name]) for name in fields}
        except (DataError, SchemaError):  # told where the samples are looked at
            continue
        places.append(index)
        keys.append(sample.key)
        for name, plane in row.items():
            planes[name].append(plane)
    return places, keys, planes


def _shape(array: Array, field: Field) -> Plane:
    plane = plane_of(array, field)
    if field.kind == "mask" and plane.dtype.kind in "biu":
        return shape_of_labels(plane if plane.ndim == 2 else plane.max(axis=-1))
    grey = grey_plane(array, field)
    assert grey is not None
    return grey
