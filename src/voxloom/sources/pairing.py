"""Files of several folders that belong together, matched by their stems and never by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Literal

from voxloom.errors import ConfigError, PairingError

__all__ = ["Unmatched", "match"]

Unmatched = Literal["error", "drop"]


def match(
    folders: Mapping[str, PurePath], listed: Mapping[str, Mapping[str, str]], unmatched: Unmatched
) -> tuple[list[str], list[str]]:
    """Return the stems that every side has, and the files that were left out.

    Parameters
    ----------
    folders
        The folder of each side.
    listed
        File name by stem, for each side; the first one gives the order.
    unmatched
        What to do with files without a partner: refuse, or leave them out.

    Returns
    -------
    tuple
        The stems, and ``<folder>/<file>`` of what was left out.

    Raises
    ------
    PairingError
        If files lack a partner, or none has one.

    Examples
    --------
    >>> sides = {"image": PurePath("a"), "mask": PurePath("b")}
    >>> match(sides, {"image": {"1": "1.jpg", "2": "2.jpg"}, "mask": {"1": "1.png"}}, "drop")
    (['1'], ['a/2.jpg'])
    """
    if unmatched not in ("error", "drop"):
        raise ConfigError(f"unmatched={unmatched!r}: expected 'error' or 'drop'")
    first, *others = listed.values()
    stems = [stem for stem in first if all(stem in other for other in others)]
    known = set(stems)
    alone = {
        side: [file for stem, file in files.items() if stem not in known] for side, files in listed.items()
    }
    if not stems or (unmatched == "error" and any(alone.values())):
        raise PairingError(_without_partner(folders, alone, len(stems)))
    return stems, [f"{folders[side].name}/{file}" for side, files in alone.items() for file in files]


def _without_partner(
    folders: Mapping[str, PurePath], alone: Mapping[str, Sequence[str]], matched: int
) -> str:
    sides = [
        f"  {folders[side]} ({side}): {len(names)} without a partner"
        + (": " + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") if names else "")
        for side, names in alone.items()
    ]
    cure = (
        "Rename the files, or set unmatched='drop' to leave these out."
        if matched
        else "Images are matched by their names without suffix: are these the right "
        + ("two folders?" if len(folders) == 2 else "folders?")
    )
    return "\n".join([f"{matched} pairs, and images without a partner:", *sides, cure])
