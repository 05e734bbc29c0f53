"""The folder that a store is to be written to: whether it may be, and what may be cleared."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from voxloom.errors import OutputExistsError, SaveError
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS

__all__ = ["apart", "clear", "foreign_entries", "is_empty", "refuse_foreign", "sync_folder"]

PLAN = "plan.json"
_OURS = {
    SHARDS: re.compile(r"\d{5,}\D.*"),
    JOURNAL: re.compile(rf"{re.escape(PLAN)}|\d{{5,}}\.json|\.?[\w.-]+\.tmp"),
}


def is_empty(store: Path) -> bool:
    """Whether nothing is there, or a folder that holds nothing.

    Raises
    ------
    OutputExistsError
        When a file is there, or what cannot be looked into.
    """
    try:
        with os.scandir(store) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError as error:
        raise OutputExistsError(
            f"{store} cannot be a store: {error.strerror or error}. Expected a new or an empty folder."
        ) from error


def foreign_entries(store: Path) -> list[str]:
    """Return what lies in the folder that no conversion has written, as relative paths."""
    foreign = []
    for entry in sorted(os.scandir(store), key=lambda entry: entry.name):
        if entry.name in _OURS and entry.is_dir(follow_symlinks=False):
            with suppress(FileNotFoundError):  # another process has just finished the store
                inside = sorted(os.listdir(entry.path))
                foreign += [
                    f"{entry.name}/{name}" for name in inside if not _OURS[entry.name].fullmatch(name)
                ]
        elif entry.name != MANIFEST or not _is_manifest(store):
            foreign.append(entry.name)
    return foreign


def refuse_foreign(store: Path) -> None:
    """Refuse a folder that holds anything that no conversion has written.

    Raises
    ------
    OutputExistsError
        It names what is there.
    """
    if foreign := foreign_entries(store):
        names = ", ".join(foreign[:5]) + (f", and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        raise OutputExistsError(
            f"{store} holds what is no part of a store: {names}. It is left as it is, also with "
            "overwrite. Name another folder, or move these away."
        )


def _is_manifest(store: Path) -> bool:
    """Whether the manifest is ours; a cut one counts where it lies beside shards."""
    if (store / SHARDS).is_dir():
        return True
    try:
        value = json.loads((store / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("kind") == "voxloom-store"


def clear(store: Path) -> None:
    """Remove what a conversion has written, and leave an empty journal.

    In such an order that a crash at any point leaves a half-made store that records no more than it
    has: the records go before the shards they speak of, and the journal stays.

    Raises
    ------
    OutputExistsError
        When the folder holds anything that no conversion has written. Nothing is removed then.
    SaveError
        When something cannot be removed.
    """
    refuse_foreign(store)
    journal = store / JOURNAL
    try:
        journal.mkdir(exist_ok=True)
        for record in journal.glob("*.json"):
            record.unlink(missing_ok=True)
        sync_folder(journal)
        (store / MANIFEST).unlink(missing_ok=True)
        sync_folder(store)
        for folder in (store / SHARDS, *journal.iterdir()):
            with suppress(FileNotFoundError):
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    except OSError as error:
        raise SaveError(f"could not clear {store}: {error}. Remove it by hand, then go on.") from error


def apart(store: Path, origin: Path) -> None:
    """Refuse a store inside of its source, or around it.

    Raises
    ------
    OutputExistsError
        When one lies in the other.
    """
    target, source = store.resolve(), origin.resolve()
    if target == source or target in source.parents:
        raise OutputExistsError(
            f"{store} holds the source {origin}: a store would lie around it. Name another folder."
        )
    if source in target.parents:
        raise OutputExistsError(
            f"{store} lies inside of the source {origin}, and would become a part of it. "
            "Name a folder elsewhere."
        )


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that."""
    if os.name == "nt":
        return  # a folder cannot be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse it for folders
        pass
    finally:
        os.close(descriptor)
