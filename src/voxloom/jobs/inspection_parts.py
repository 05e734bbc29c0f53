"""What is to be looked at: one source, or the parts of a split, found from a path."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voxloom.amounts import counted
from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.spacing import check_schemas
from voxloom.analysis.looking.values import check_parts
from voxloom.errors import PairingError
from voxloom.jobs.inspection import Looked, Progress, look
from voxloom.jobs.inspection_alike import check_alike
from voxloom.jobs.reading import SourceOptions, open_named
from voxloom.sample import Kind
from voxloom.source import Source
from voxloom.sources.files import paired_folders
from voxloom.sources.listing import list_folder
from voxloom.sources.opening import PARTS, is_volume, paired_fields
from voxloom.sources.stored import is_store

__all__ = ["Part", "check_split", "is_run", "look_at", "parts_of"]


_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A source, and what was left out as it was opened.

    Attributes
    ----------
    source
        The samples.
    dropped
        Files without a partner.
    """

    source: Source
    dropped: tuple[str, ...] = ()


def parts_of(
    path: Path | None, options: SourceOptions | None = None, *, against: Path | None = None
) -> dict[str, Part]:
    """Open what lies at a path: one source under an empty name, or the parts of a split by their names.

    Parts are the folders ``train``, ``val``, ``test`` and the like below it, or the path itself and
    `against`. Those of a run are found by `parts_of_run`.

    Parameters
    ----------
    path
        A folder, a store, a table; None where `options` names folders.
    options
        How a source is found.
    against
        Another source, for instance a test set.

    Raises
    ------
    DataError
        As `open_named` tells.
    """
    options = options or SourceOptions()
    if path is not None and (folders := _folders_of_parts(path, options)):
        found = {name: _opened(path / name, options) for name in folders}
    else:
        found = {"": _opened(path, options)}
    if against is None:
        return found
    if "" in found:
        found = {_name(path): found[""]}
    name = _name(against)
    return {**found, f"{name} (against)" if name in found else name: _opened(against, options)}


def look_at(
    parts: Mapping[str, Part], *, number: int | None = 32, progress: Progress | None = None
) -> dict[str, Looked]:
    """Look at each part; parameters as of `look`."""
    return {
        name: look(part.source, number=number, dropped=part.dropped, progress=progress)
        for name, part in parts.items()
    }


def check_split(looked: Mapping[str, Looked]) -> tuple[Finding, ...]:
    """Return what is odd between the parts of a split: leaks, other ranges, types and spacing."""
    if len(looked) < 2:
        return ()
    first = next(iter(looked.values()))
    findings = check_alike(looked)
    for name, field in first.source.schema.items():
        if field.kind == "image" and all(name in each.seen for each in looked.values()):
            findings += check_parts(name, {part: each.seen[name] for part, each in looked.items()})
    findings += _of_classes(looked)
    findings += check_schemas({part: each.source.schema for part, each in looked.items()})
    return tuple(sorted(findings, key=lambda finding: finding.severity == "note"))


def _of_classes(looked: Mapping[str, Looked]) -> list[Finding]:
    """Tell of classes that only some of the parts have samples of."""
    names = dict.fromkeys(name for each in looked.values() for name in each.found.classes)
    out = []
    for name in names:
        parts = {part: each.found.classes.get(name, {}) for part, each in looked.items()}
        filled = {part: {label for label, number in each.items() if number} for part, each in parts.items()}
        known = set[str]().union(*filled.values())
        odd = sorted(label for label in known if any(label not in each for each in filled.values()))
        if odd:
            told = [
                f"{label} (not in {', '.join(p for p in filled if label not in filled[p])})"
                for label in odd[:6]
            ]
            more = f" and {len(odd) - 6} more" if len(odd) > 6 else ""
            what = f"{counted(len(odd), 'class', 'classes')} not in each part: {', '.join(told)}{more}"
            out.append(found("classes of parts", what, field=name, number=len(odd)))
    return out


def _folders_of_parts(path: Path, options: SourceOptions) -> list[str]:
    """Return the folders that are parts of a split, in the order of their use; none if others are there."""
    if options.layout not in ("auto", "classes", "pairs") or not path.is_dir():
        return []
    if (is_store(path) and (path / "manifest.json").is_file()) or is_volume(path):
        return []
    listing = list_folder(str(path))
    folders = [name for name in listing.folders if not name.startswith(".")]
    if not folders or listing.files:
        return []
    if others := [name for name in folders if name.lower() not in PARTS]:
        if len(others) < len(folders):
            _LOGGER.warning(
                "%s: %s are names of classes here, since %s is no name of a part. Of a split, name parts: "
                "inspect TRAIN --against TEST.",
                path, ", ".join(folders), ", ".join(others),
            )  # fmt: skip
        return []
    return sorted(folders, key=lambda name: (not name.lower().startswith("train"), name.lower() > "u", name))


def _opened(path: Path | None, options: SourceOptions) -> Part:
    try:
        return Part(open_named(path, options))
    except PairingError as error:
        folders, kinds = _of_pairs(path, options)
        if not folders:
            raise
        try:
            source = paired_folders(folders, kinds, unmatched="drop")
        except PairingError:
            raise error from None  # not one has a partner
        return Part(source, _alone(folders, set(source.keys)))


def _of_pairs(path: Path | None, options: SourceOptions) -> tuple[dict[str, Path], dict[str, Kind]]:
    kinds: dict[str, Kind] = {name: "image" for name in options.images}
    kinds |= {name: "mask" for name in options.masks}
    if kinds:
        return {**options.images, **options.masks}, kinds
    named = None if path is None else paired_fields(path, list_folder(str(path)).folders)
    return ({name: path / folder for name, folder in named.items()} if path and named else {}), {}


def _alone(folders: Mapping[str, Path], matched: set[str]) -> tuple[str, ...]:
    return tuple(
        f"{folder.name}/{file}"
        for folder in folders.values()
        for file in list_folder(str(folder)).files
        if os.path.splitext(file)[0] not in matched
    )


def _name(path: Path | None) -> str:
    return path.name or str(path) if path is not None else "images"


def is_run(path: Path) -> bool:
    """Return whether a folder is a run.

    Examples
    --------
    >>> is_run(Path("photos"))
    False
    """
    return (path / "run.json").is_file() and (path / "config.json").is_file()
