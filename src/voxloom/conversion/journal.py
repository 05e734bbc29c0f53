"""The journal of a conversion: its plan, a record a finished shard, and the shards being written.

::

    STORE/journal/plan.json               made once, by whichever rank comes first
    STORE/journal/00000.json              a record: this shard of that plan is whole, in STORE/shards
    STORE/journal/00001.<owner>.tmp/      a shard that a process is writing now

A shard is written into a folder of its own, brought to the disk, renamed into ``shards/``, and then
recorded. So a shard with a record is whole, and one without is written again. The last one to find
all records writes the manifest, and the journal goes.

A record names the plan that it belongs to, and nobody records under a plan that is not there any more:
what a late process of an earlier conversion has made does not get into a store that was begun anew.
It also keeps the state of the source's files, by which a resume sees that they have changed since.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from voxloom.conversion.belongings import (
    CLEARED,
    PLAN,
    cleared_names,
    machine,
    owner_name,
    owner_of,
    plan_value,
    sync_folder,
    write_json,
)
from voxloom.conversion.plan import Plan
from voxloom.conversion.target import remove_journal
from voxloom.errors import DataError, OutputExistsError, SaveError, VoxloomError
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS, FileFacts, Manifest, ShardFacts, digest_of

__all__ = ["Journal", "Made"]

_FORGOTTEN = 3600.0  # seconds without a change after which a folder of another machine has no owner
_TRIES = 20


@dataclass(frozen=True)
class Made:
    """A shard whose files are finished and not yet in their place.

    Attributes
    ----------
    stem, names
        What it is called, and its files.
    samples, skipped
        What it holds, and what was left out.
    state
        The state of the source's files when their reading began.
    """

    stem: str
    names: Sequence[str]
    samples: int
    skipped: Sequence[tuple[str, str]] = ()
    state: str = ""


class Journal:
    """The journal of one store.

    Parameters
    ----------
    store
        The folder of the store.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.path = store / JOURNAL
        self.shards = store / SHARDS

    def begin(self, plan: Plan, job: str = "") -> bool:
        """Make the journal with this plan, unless there is one; return whether it was made here.

        Of several processes that begin at once, one makes it.
        """
        with _saving(self.store):
            self.path.mkdir(parents=True, exist_ok=True)
            self.shards.mkdir(exist_ok=True)
            temporary = self.path / f".plan.{owner_name()}.tmp"
            write_json(temporary, plan_value(plan, job))
            try:
                return _named_once(temporary, self.path / PLAN)
            finally:
                temporary.unlink(missing_ok=True)
                sync_folder(self.path)
                sync_folder(self.store)

    def plan(self) -> tuple[Plan, str] | None:
        """Return the plan and the job that made it, or None where there is none.

        Raises
        ------
        DataError
            When it cannot be read.
        """
        path = self.path / PLAN
        try:
            value = json.loads(path.read_bytes())
            return Plan.model_validate_json(json.dumps(value["plan"])), str(value["job"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
            raise DataError(
                f"{path}: not the plan of a conversion ({error}). Start again with overwrite."
            ) from error

    def is_under(self, plan: Plan) -> bool:
        """Whether the plan of the journal is this one."""
        try:
            found = self.plan()
        except DataError:
            return False
        return found is not None and found[0].fingerprint == plan.fingerprint

    def record(self, stem: str, plan: Plan | None = None) -> ShardFacts | None:
        """Return what is recorded of a shard under this or any plan, or None where it has to be written."""
        value = self._recorded(stem)
        if value is None or (plan is not None and value["plan"] != plan.fingerprint):
            return None
        try:
            facts = ShardFacts.model_validate_json(json.dumps(value["shard"]))
            whole = all((self.shards / file.name).stat().st_size == file.bytes for file in facts.files)
        except (OSError, ValidationError):
            return None
        return facts if whole else None

    def state(self, stem: str) -> str:
        """Return the state of the source's files that a recorded shard was made of, or ""."""
        return str((self._recorded(stem) or {}).get("source", ""))

    def _recorded(self, stem: str) -> dict[str, object] | None:
        try:
            value = json.loads((self.path / f"{stem}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) and {"plan", "shard"} <= set(value) else None

    def is_bare(self) -> bool:
        """Whether no shard is recorded and no process is at work, as far as one can know."""
        try:
            names = os.listdir(self.path)
            owner = json.loads((self.path / PLAN).read_bytes()).get("owner", "")
        except (OSError, ValueError, AttributeError):
            return False
        if any(name.endswith(".json") and name not in (PLAN, CLEARED) for name in names):
            return False
        begun_by = owner_of(f"manifest.{owner}.tmp")
        if begun_by != (machine(), os.getpid()) and not _is_gone(begun_by, self.path / PLAN):
            return False
        temporary = [name for name in names if owner_of(name) is not None]
        return all(_is_gone(owner_of(name), self.path / name) for name in temporary)

    @contextmanager
    def writing(self, stem: str, plan: Plan) -> Iterator[Path]:
        """Give a folder of this process's own for the files of a shard; it goes at the end.

        Raises
        ------
        OutputExistsError
            When the journal has another plan by now, or none.
        """
        with _saving(self.store):
            folder = self.path / f"{stem}.{owner_name()}.tmp"
            try:
                self._require(plan)
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def take_over(self, folder: Path, made: Made, plan: Plan) -> ShardFacts:
        """Move the finished files of a shard to their place, and record it.

        Raises
        ------
        OutputExistsError
            When the journal has another plan by now; nothing is recorded then.
        """
        self._require(plan)
        facts = ShardFacts(
            stem=made.stem,
            samples=made.samples,
            files=tuple(_facts(folder / name) for name in made.names),
            skipped=tuple(made.skipped),
        )
        value = facts.model_dump(mode="json")
        record = {"plan": plan.fingerprint, "source": made.state, "shard": value}
        write_json(folder / "record", record)
        self._require(plan)
        moved = {name: (folder / name).stat().st_ino for name in made.names}
        for name in made.names:
            os.replace(folder / name, self.shards / name)
        sync_folder(self.shards)
        if not self.is_under(plan):  # overtaken at the last moment
            self._take_back(moved)
            self._require(plan)
        os.replace(folder / "record", self.path / f"{facts.stem}.json")
        sync_folder(self.path)
        return facts

    def _take_back(self, moved: dict[str, int]) -> None:
        """Remove files that were moved to a store of another plan, but not those that it has put there."""
        for name, inode in moved.items():
            with suppress(OSError):
                if (self.shards / name).stat().st_ino == inode:
                    (self.shards / name).unlink()

    def _require(self, plan: Plan) -> None:
        if not self.is_under(plan):
            raise OutputExistsError(
                f"{self.store} is being written by another conversion by now, or was removed: this one has "
                "stopped. Name another folder, or let one of them end before the other begins."
            )

    def sweep(self) -> None:
        """Remove what processes that are gone have left half-written."""
        with suppress(FileNotFoundError):
            for entry in sorted(self.path.glob("*.tmp")):
                if _is_gone(owner_of(entry.name), entry):
                    shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(
                        missing_ok=True
                    )

    def records(self, plan: Plan) -> list[ShardFacts] | None:
        """Return what is recorded of all shards, or None while one is missing."""
        found = []
        for number in range(plan.shards):
            if (facts := self.record(plan.stem(number), plan)) is None:
                return None
            found.append(facts)
        return found

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and remove the journal. Safe when several processes do it at once."""
        with _saving(self.store):
            self._remove_strays(manifest)
            folder = self.path / f"manifest.{owner_name()}.tmp"
            folder.mkdir()
            manifest.write(folder)
            os.replace(folder / MANIFEST, self.store / MANIFEST)
            sync_folder(self.store)
        self.remove()

    def remove(self) -> None:
        """Remove the journal of a finished store; another process may be doing the same."""
        for _ in range(_TRIES):
            if remove_journal(self.store):
                return sync_folder(self.store)
            time.sleep(0.02)  # another process has just put something there

    def _remove_strays(self, manifest: Manifest) -> None:
        """Remove shards of an earlier conversion, whose clearing was cut off."""
        known = {file.name for shard in manifest.shards for file in shard.files}
        for name in set(cleared_names(self.store)) - known:
            (self.shards / name).unlink(missing_ok=True)


@contextmanager
def _saving(store: Path) -> Iterator[None]:
    """Say what a failure to write means for the conversion."""
    try:
        yield
    except SaveError as error:
        told = str(error)
        kept = "The shards that are finished are kept." if "--resume" in told else _KEPT
        raise SaveError(f"{told} {kept}") from error
    except VoxloomError:
        raise
    except OSError as error:
        raise SaveError(
            f"could not write {store}: {error.strerror or error}. Free some space or mend the access. {_KEPT}"
        ) from error


_KEPT = "The shards that are finished are kept: go on with resume (--resume)."


def _facts(path: Path) -> FileFacts:
    return FileFacts(name=path.name, bytes=path.stat().st_size, xxh3=digest_of(path))


def _named_once(temporary: Path, path: Path) -> bool:
    """Give a finished file its name, unless another has it; return whether it was given."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # no hard links there: who comes second says the same, but for the job's name
        if path.exists():
            return False
        os.replace(temporary, path)
    return True


def _is_gone(owner: tuple[str, int] | None, path: Path) -> bool:
    """Whether the process that a file or folder belongs to has ended, as far as one can know."""
    if owner is not None and owner[0] == machine() and os.name != "nt":  # there, asking would end it
        return not _is_alive(owner[1])
    return _last_change(path) < time.time() - _FORGOTTEN


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _last_change(path: Path) -> float:
    times = [time.time()]
    with suppress(OSError):
        times = [path.stat().st_mtime]
        times += [entry.stat().st_mtime for entry in os.scandir(path)] if path.is_dir() else []
    return max(times)
