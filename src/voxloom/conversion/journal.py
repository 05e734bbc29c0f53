"""The journal of a conversion: its plan, a record a finished shard, and the shards being written.

::

    STORE/journal/plan.json               made once, by whichever rank comes first
    STORE/journal/00000.json              a `ShardFacts`: this shard is whole, in STORE/shards
    STORE/journal/00001.<owner>.tmp/      a shard that a process is writing now

A shard is written into a folder of its own, brought to the disk, renamed into ``shards/``, and then
recorded. So a shard with a record is whole, and one without is written again. The last one to find
all records writes the manifest, and the journal goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from voxloom.conversion.plan import Plan
from voxloom.conversion.target import PLAN, sync_folder
from voxloom.errors import DataError, SaveError, VoxloomError
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS, FileFacts, Manifest, ShardFacts, digest_of

__all__ = ["Journal"]

_FORGOTTEN = 3600.0  # seconds without a change after which a folder of another machine has no owner
_TRIES = 20


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
            temporary = self.path / f".plan.{_owner()}.tmp"
            _write(temporary, {"job": job, "plan": plan.model_dump(mode="json")})
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

    def record(self, stem: str) -> ShardFacts | None:
        """Return what is recorded of a shard, or None where it has to be written."""
        try:
            facts = ShardFacts.model_validate_json((self.path / f"{stem}.json").read_bytes())
            whole = all((self.shards / file.name).stat().st_size == file.bytes for file in facts.files)
        except (OSError, ValidationError):
            return None
        return facts if whole else None

    @contextmanager
    def writing(self, stem: str) -> Iterator[Path]:
        """Give a folder of this process's own for the files of a shard; it goes at the end."""
        with _saving(self.store):
            folder = self.path / f"{stem}.{_owner()}.tmp"
            try:
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def take_over(
        self, folder: Path, stem: str, names: list[str], samples: int, skipped: list[tuple[str, str]]
    ) -> ShardFacts:
        """Move the finished files of a shard to their place, and record it."""
        files = tuple(_facts(folder / name) for name in names)
        facts = ShardFacts(stem=stem, samples=samples, files=files, skipped=tuple(skipped))
        for name in names:
            os.replace(folder / name, self.shards / name)
        sync_folder(self.shards)
        _write(folder / "record", facts.model_dump(mode="json"))
        os.replace(folder / "record", self.path / f"{stem}.json")
        sync_folder(self.path)
        return facts

    def sweep(self) -> None:
        """Remove what processes that are gone have left half-written."""
        with suppress(FileNotFoundError):
            for entry in sorted(self.path.glob("*.tmp")):
                if _is_left_behind(entry):
                    shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(
                        missing_ok=True
                    )

    def records(self, plan: Plan) -> list[ShardFacts] | None:
        """Return what is recorded of all shards, or None while one is missing."""
        found = []
        for number in range(plan.shards):
            if (facts := self.record(plan.stem(number))) is None:
                return None
            found.append(facts)
        return found

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and remove the journal. Safe when several processes do it at once."""
        with _saving(self.store):
            self._remove_strays(manifest)
            folder = self.path / f"manifest.{_owner()}.tmp"
            folder.mkdir()
            manifest.write(folder)
            os.replace(folder / MANIFEST, self.store / MANIFEST)
            sync_folder(self.store)
        self.remove()

    def remove(self) -> None:
        """Remove the journal of a finished store; another process may be doing the same."""
        for _ in range(_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                return sync_folder(self.store)
            time.sleep(0.02)  # another process has just put something there

    def _remove_strays(self, manifest: Manifest) -> None:
        """Remove shards of an earlier conversion, whose clearing was cut off."""
        known = {file.name for shard in manifest.shards for file in shard.files}
        for name in os.listdir(self.shards):
            if name not in known and re.fullmatch(r"\d{5,}\D.*", name):
                (self.shards / name).unlink(missing_ok=True)


@contextmanager
def _saving(store: Path) -> Iterator[None]:
    """Say what a failure to write means for the conversion."""
    try:
        yield
    except SaveError as error:
        raise SaveError(f"{error} {_KEPT}") from error
    except VoxloomError:
        raise
    except OSError as error:
        raise SaveError(
            f"could not write {store}: {error.strerror or error}. Free some space or mend the access. {_KEPT}"
        ) from error


_KEPT = "The shards that are finished are kept: go on with resume (--resume)."


def _facts(path: Path) -> FileFacts:
    return FileFacts(name=path.name, bytes=path.stat().st_size, xxh3=digest_of(path))


def _write(path: Path, value: object) -> None:
    """Write JSON and bring it to the disk; never makes a folder, unlike `voxloom.atomic`."""
    with path.open("wb") as file:
        file.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


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


def _owner() -> str:
    """Return a name that no other process and no earlier moment has: machine, process, chance."""
    return f"{_machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


@cache
def _machine() -> str:
    """Return a name of what the number of a process counts in: this boot of this machine or container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _is_left_behind(path: Path) -> bool:
    match = re.fullmatch(r".*\.([0-9a-f]{12})\.(\d+)\.[0-9a-f]{8}\.tmp", path.name)
    if match is not None and match[1] == _machine() and os.name != "nt":  # there, asking would end it
        return not _is_alive(int(match[2]))
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
