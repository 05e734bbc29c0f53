"""Which samples train and which validate; and a fair few of many, to try things out."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, ValidationError

from voxloom.atomic import replacing, write_json
from voxloom.component import Component
from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.registry import did_you_mean
from voxloom.seeding import stable_hash
from voxloom.source import Source, Subset

__all__ = ["Split", "split_by_fraction", "subset"]

logger = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]


def _composed(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Compose letters and accents as the sources do, whatever wrote the file."""
    return tuple(unicodedata.normalize("NFC", key) for key in keys)


Keys = Annotated[tuple[str, ...], AfterValidator(_composed)]


class Split(Component):
    """The keys that train and those that validate.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "split.csv"
    >>> Split(train=("a", "b"), validation=("c",)).save(path)
    >>> Split.load(path)
    Split(train=('a', 'b'), validation=('c',))
    """

    train: Keys
    """Keys of the samples that a model learns from."""
    validation: Keys
    """Keys of the samples that it is measured on."""

    def save(self, path: StrPath) -> None:
        """Write the split as JSON, or as CSV with the columns key and split, by the suffix.

        Raises
        ------
        ConfigError
            On another suffix.
        SaveError
            If the file could not be written.
        """
        if _suffix(path) == ".json":
            write_json(path, self.model_dump(mode="json"))
            return
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("key", "split"))
        rows.writerows((key, part) for part in Split.model_fields for key in getattr(self, part))
        with replacing(path) as file:
            file.write(text.getvalue().encode())

    @classmethod
    def load(cls, path: StrPath) -> Split:
        """Read a split from JSON or CSV, by the suffix; a CSV may be separated by commas or semicolons.

        Raises
        ------
        MissingDataError
            If there is no such file.
        ConfigError
            If it does not hold a split.
        """
        suffix = _suffix(path)
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except FileNotFoundError as error:
            raise MissingDataError(f"{path}: no such split file.") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the split could not be read ({error}).") from error
        try:
            parts = json.loads(text) if suffix == ".json" else _from_csv(text, path)
            return cls.model_validate(parts)
        except (json.JSONDecodeError, ValidationError) as error:
            raise ConfigError(
                f'{path}: not a split ({error}). Expected {{"train": [keys], "validation": [keys]}}.'
            ) from error

    def apply(self, source: Source) -> tuple[Subset, Subset]:
        """Return the training and the validation part of a source, in the order of its keys.

        Samples that the split does not name are left out, and logged.

        Raises
        ------
        MissingDataError
            If the split names keys that the source lacks.
        DataError
            If a key stands twice, in the split or in the source.

        Examples
        --------
        >>> from voxloom.sources import ImageFolder, write_image
        >>> import numpy as np
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> for stem in "abc":
        ...     write_image(folder / f"{stem}.tif", np.eye(4))
        >>> split = Split(train=("a", "c"), validation=("b",))
        >>> train, validation = split.apply(ImageFolder(folder, prefix=""))
        >>> train.keys, validation.keys
        (['a', 'c'], ['b'])
        """
        _refuse_repeats("the split", (*self.train, *self.validation))
        _refuse_repeats("the source", source.keys)
        self._refuse_missing(source.keys)
        part = dict.fromkeys(self.train, "train") | dict.fromkeys(self.validation, "validation")
        places: dict[str | None, list[int]] = defaultdict(list)
        for index, key in enumerate(source.keys):
            places[part.get(key)].append(index)
        if left_out := [source.keys[index] for index in places[None]]:
            logger.warning("the split names neither part for %s: left out", _some(left_out))
        return Subset(source, places["train"]), Subset(source, places["validation"])

    def _refuse_missing(self, keys: Sequence[str]) -> None:
        known = set(keys)
        missing = [key for key in (*self.train, *self.validation) if key not in known]
        if missing:
            example = f" Keys are like {keys[0]!r}." if keys else ""
            raise MissingDataError(
                f"the split names {_some(missing)}, which the data lacks.{did_you_mean(missing[0], keys)}"
                f"{example} Bring the files back, or make a new split."
            )


def split_by_fraction(keys: Sequence[str], fraction: float, seed: int, *, group: str | None = None) -> Split:
    """Split keys so that the share `fraction` trains, by the order of a seeded hash.

    What must not be divided is a unit: all keys of one stem (so that ``edente/001`` and
    ``dente/001`` stay together), or all whose stem gives the same `group`. Units train in the order
    of their hash until the number of keys comes nearest to ``round(fraction * len(keys))``; with one
    key a unit that number is met exactly. Files that are added take their places between the others
    and move few of them.

    Parameters
    ----------
    keys
        Keys of the samples; what follows the last ``/`` is the stem.
    fraction
        Share that trains, in (0, 1); with two units or more each part gets at least one.
    seed
        Another seed gives another split.
    group
        Regular expression that is searched in each stem; its capture group, or the whole match where
        it has none, is the unit, for instance the patient.

    Raises
    ------
    ConfigError
        If the fraction lies outside (0, 1), or the expression cannot be used.
    DataError
        If there are no keys, or the expression is not found in some.

    Examples
    --------
    >>> split = split_by_fraction([f"p{i // 2}_{i}" for i in range(10)], 0.8, seed=0, group="^(p[0-9]+)_")
    >>> len(split.train), len(split.validation), split.validation
    (8, 2, ('p1_2', 'p1_3'))
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"a training share of {fraction}: expected a number between 0 and 1, both excluded."
        )
    if not keys:
        raise DataError("no keys to split.")
    _refuse_repeats("the source", keys)
    units = _units(keys, group)
    members: dict[str, int] = defaultdict(int)
    for unit in units:
        members[unit] += 1
    order = sorted(members, key=lambda unit: (stable_hash(seed, unit), unit))
    totals = list(accumulate(members[unit] for unit in order))
    wanted = round(fraction * len(keys))
    cuts = range(1, len(order)) if len(order) > 1 else (1,)
    cut = min(cuts, key=lambda cut: abs(totals[cut - 1] - wanted))
    training = set(order[:cut])
    return Split(
        train=tuple(key for key, unit in zip(keys, units, strict=True) if unit in training),
        validation=tuple(key for key, unit in zip(keys, units, strict=True) if unit not in training),
    )


def subset(keys: Sequence[str], size: int, *, group: str | None = None, seed: int) -> list[str]:
    """Return at most `size` keys, an even share of each group, in the order that they came in.

    Parameters
    ----------
    keys
        Keys of the samples.
    size
        How many to take; a group that has less than its share leaves the rest to the others.
    group
        Regular expression on the stem, as in `split_by_fraction`; None groups by folder. The same
        stems are taken from each folder as long as both have them.
    seed
        Another seed takes others.

    Raises
    ------
    ConfigError
        If `size` is less than 1, or the expression cannot be used.
    DataError
        If the expression is not found in some stem.

    Examples
    --------
    >>> keys = [f"{side}/{i:03}" for side in ("dente", "edente") for i in range(50)]
    >>> subset(keys, 4, seed=0)
    ['dente/011', 'dente/027', 'edente/011', 'edente/027']
    """
    if size < 1:
        raise ConfigError(f"a subset of {size} samples: expected at least 1.")
    groups = [str(PurePosixPath(key).parent) for key in keys] if group is None else _units(keys, group)
    shuffled = sorted(
        (stable_hash(seed, _stem(key)), name, key) for key, name in zip(keys, groups, strict=True)
    )
    turns: dict[str, int] = defaultdict(int)
    dealt: list[tuple[int, str, str]] = []
    for _, name, key in shuffled:
        dealt.append((turns[name], name, key))
        turns[name] += 1
    chosen = {key for _, _, key in sorted(dealt)[:size]}
    return [key for key in keys if key in chosen]


def _stem(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _units(keys: Sequence[str], group: str | None) -> list[str]:
    if group is None:
        return [_stem(key) for key in keys]
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ConfigError(f"group {group!r} is not a regular expression: {error}.") from error
    if pattern.groups > 1:
        raise ConfigError(
            f"group {group!r} captures {pattern.groups} parts: expected one or none. "
            "Write (?:...) for the others."
        )
    found = [pattern.search(_stem(key)) for key in keys]
    units = [match[pattern.groups] if match else None for match in found]
    if unmatched := [key for key, unit in zip(keys, units, strict=True) if unit is None]:
        raise DataError(
            f"group {group!r} is not found in {_some(unmatched)}. "
            "It has to give a group for each name: mend the expression or rename the files."
        )
    return [unit for unit in units if unit is not None]


def _suffix(path: StrPath) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".csv"):
        raise ConfigError(f"{path}: a split file ends in .json or .csv.")
    return suffix


def _from_csv(text: str, path: StrPath) -> dict[str, list[str]]:
    header = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in header else ",", skipinitialspace=True)
    if not {"key", "split"} <= set(rows.fieldnames or ()):
        raise ConfigError(f"{path}: columns {rows.fieldnames}; expected key and split.")
    parts: dict[str, list[str]] = {part: [] for part in Split.model_fields}
    for row in rows:
        part = (row["split"] or "").strip()
        if part not in parts or not row["key"]:
            raise ConfigError(
                f"{path}, line {rows.line_num}: {part!r} for the key {row['key']!r}; "
                f"expected {' or '.join(parts)}."
            )
        parts[part].append(row["key"])
    return parts


def _refuse_repeats(what: str, keys: Sequence[str]) -> None:
    if twice := [key for key, count in Counter(keys).items() if count > 1]:
        raise DataError(
            f"{what} holds {_some(twice)} twice. Keys have to differ: give each folder a prefix of its own."
        )


def _some(keys: Sequence[str]) -> str:
    shown = ", ".join(repr(key) for key in keys[:10])
    return shown if len(keys) <= 10 else f"{shown} and {len(keys) - 10} more"
