"""The folder that a store is to be written to: whether it may be, and what may be cleared."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from voxloom.conversion.belongings import CLEARED, Belongings, owner_of, sync_folder, write_cleared
from voxloom.errors import OutputExistsError, SaveError
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS

__all__ = ["apart", "clear", "foreign_entries", "is_empty", "refuse_foreign", "remove_journal"]


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
    foreign, ours = [], Belongings(store)
    for entry in sorted(os.scandir(store), key=lambda entry: entry.name):
        if entry.name in (SHARDS, JOURNAL) and entry.is_dir(follow_symlinks=False):
            foreign += [f"{entry.name}/{name}" for name in _foreign_in(Path(entry.path), ours)]
        elif entry.name != MANIFEST or not ours.has_manifest:
            foreign.append(entry.name)
    return foreign


def _foreign_in(folder: Path, ours: Belongings) -> list[str]:
    with suppress(FileNotFoundError):  # another process has just finished the store
        names = sorted(os.listdir(folder))
        if folder.name == SHARDS:
            known = ours.shard_files()
            return [name for name in names if name not in known]
        # what went away meanwhile was a process's own
        return [n for n in names if not ours.is_in_journal(n) and os.path.lexists(folder / n)]
    return []


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


def clear(store: Path) -> None:
    """Remove what a conversion has written, and leave an empty journal.

    In such an order that a crash at any point leaves a half-made store that records no more than it
    has, and still knows what is its own: the records go before the shards they speak of, and a list of
    those goes last.

    Raises
    ------
    OutputExistsError
        When the folder holds anything that no conversion has written. Nothing is removed then.
    SaveError
        When something cannot be removed.
    """
    refuse_foreign(store)
    journal, shards = store / JOURNAL, Belongings(store).shard_files()
    try:
        journal.mkdir(exist_ok=True)
        write_cleared(store, shards)
        for record in journal.glob("*.json"):
            if record.name != CLEARED:
                record.unlink(missing_ok=True)
        sync_folder(journal)
        (store / MANIFEST).unlink(missing_ok=True)
        sync_folder(store)
        for name in shards:
            (store / SHARDS / name).unlink(missing_ok=True)
        with suppress(OSError):  # not there, or somebody has just put something there
            (store / SHARDS).rmdir()
        _remove_temporary(journal)
        (journal / CLEARED).unlink(missing_ok=True)
    except OSError as error:
        raise SaveError(f"could not clear {store}: {error}. Remove it by hand, then go on.") from error


def remove_journal(store: Path) -> bool:
    """Remove what is ours of the journal, and the journal if nothing else is there.

    Returns
    -------
    bool
        False where something of ours has just been added by another process.
    """
    journal, ours = store / JOURNAL, Belongings(store)
    try:
        names = [name for name in os.listdir(journal) if ours.is_in_journal(name)]
        for name in (name for name in names if owner_of(name) is None):
            (journal / name).unlink(missing_ok=True)
        _remove_temporary(journal)
        journal.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return not any(Belongings(store).is_in_journal(name) for name in _names(journal))
    return True


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)
    return []


def _remove_temporary(journal: Path) -> None:
    for entry in [journal / name for name in os.listdir(journal) if owner_of(name) is not None]:
        with suppress(FileNotFoundError):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


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
