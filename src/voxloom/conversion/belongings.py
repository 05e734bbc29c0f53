"""What in a folder a conversion has written, and may remove: nothing by a name like ours alone.

A manifest, a plan and a record say themselves that they are ours, and which files of ``shards/`` are
theirs. A folder in the journal is ours by a name that nobody gives by chance.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voxloom.conversion.plan import Plan
from voxloom.errors import VoxloomError
from voxloom.formats.manifest import JOURNAL, MANIFEST, SHARDS
from voxloom.formats.names import FORMATS

__all__ = [
    "CLEARED",
    "PLAN",
    "Belongings",
    "cleared_names",
    "machine",
    "owner_name",
    "owner_of",
    "plan_value",
    "sync_folder",
    "write_cleared",
    "write_json",
]

PLAN = "plan.json"
"""Name of the plan in the journal."""

CLEARED = "cleared.json"
"""Name of a list of shard files that were to be removed; it lasts as long as they may be there."""

_STORE, _PLAN, _CLEARED = "voxloom-store", "voxloom-plan", "voxloom-cleared"
_TEMPORARY = re.compile(r"(?:\d{5,}|manifest|\.plan|\.cleared)\.([0-9a-f]{12})\.(\d+)\.[0-9a-f]{8}\.tmp")
_RECORD = re.compile(r"\d{5,}\.json")
# A cut manifest does not name its files any more: such as our formats write
_LIKE_SHARDS = re.compile(r"\d{5,}\.(?:arrow|h5|parquet|tar|[^/]+\.npy)")


class Belongings:
    """What of a folder is ours, as it is now.

    Parameters
    ----------
    store
        The folder.
    """

    def __init__(self, store: Path) -> None:
        self._journal, self._shards = store / JOURNAL, store / SHARDS
        manifest, self._is_cut = _marked(store / MANIFEST, _STORE)
        self.has_manifest = manifest is not None or self._is_cut
        self._named = _names_in(manifest and manifest.get("shards"))
        self._named |= set(cleared_names(store)) | self._recorded()
        self._plan = _plan_of(self._journal / PLAN)

    def shard_files(self) -> set[str]:
        """Return the names of the files in ``shards`` that are ours."""
        with suppress(FileNotFoundError), os.scandir(self._shards) as entries:
            return {e.name for e in entries if e.is_file(follow_symlinks=False) and self._is_shard(e.name)}
        return set()

    def is_in_journal(self, name: str) -> bool:
        """Whether an entry of the journal is ours."""
        path = self._journal / name
        if name == PLAN:
            value, is_cut = _marked(path, _PLAN)
            return value is not None or is_cut
        if name == CLEARED:
            return _marked(path, _CLEARED)[0] is not None
        return owner_of(name) is not None or bool(_RECORD.fullmatch(name) and _record(path))

    def _is_shard(self, name: str) -> bool:
        is_cut_one = self._is_cut and _LIKE_SHARDS.fullmatch(name) is not None
        return name in self._named or is_cut_one or self._is_planned(name)

    def _is_planned(self, name: str) -> bool:
        stem, plan = name.partition(".")[0], self._plan
        if plan is None or not (stem.isascii() and stem.isdigit()) or int(stem) >= plan.shards:
            return False
        return name in FORMATS[plan.settings.format]().files(plan.stem(int(stem)), plan.columns)

    def _recorded(self) -> set[str]:
        records = [_record(path) for path in self._journal.glob("*.json") if _RECORD.fullmatch(path.name)]
        return _names_in([record["shard"] for record in records if record])


def cleared_names(store: Path) -> list[str]:
    """Return the shard files that a clearing, maybe cut off, was about to remove."""
    value, _ = _marked(store / JOURNAL / CLEARED, _CLEARED)
    files = value.get("files") if value else None
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []


def write_cleared(store: Path, names: set[str]) -> None:
    """Note which shard files are about to be removed."""
    journal = store / JOURNAL
    temporary = journal / f".cleared.{owner_name()}.tmp"
    write_json(temporary, {"kind": _CLEARED, "files": sorted(names | set(cleared_names(store)))})
    os.replace(temporary, journal / CLEARED)
    sync_folder(journal)


def plan_value(plan: Plan, job: str) -> dict[str, Any]:
    """Return what the journal keeps of a plan, and of who made it."""
    return {"kind": _PLAN, "job": job, "owner": owner_name(), "plan": plan.model_dump(mode="json")}


def owner_name() -> str:
    """Return a name that no other process and no earlier moment has: machine, process, chance."""
    return f"{machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


def owner_of(name: str) -> tuple[str, int] | None:
    """Return machine and process of a temporary file or folder of ours, or None if it is none."""
    match = _TEMPORARY.fullmatch(name)
    return None if match is None else (match[1], int(match[2]))


@cache
def machine() -> str:
    """Return a name of what the number of a process counts in: this boot of this machine or container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def write_json(path: Path, value: object) -> None:
    """Write JSON and bring it to the disk; never makes a folder, unlike `voxloom.atomic`."""
    with path.open("wb") as file:
        file.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


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


def _marked(path: Path, kind: str) -> tuple[dict[str, Any] | None, bool]:
    """Return what a file of this kind holds, and whether it is one of ours that was cut."""
    try:
        if path.is_symlink():
            return None, False
        data = path.read_bytes()
    except OSError:
        return None, False
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None, kind.encode() in data
    return (value, False) if isinstance(value, dict) and value.get("kind") == kind else (None, False)


def _record(path: Path) -> dict[str, Any] | None:
    """Return a record of a shard, or None where a file is none."""
    try:
        value = json.loads(path.read_bytes())
        return value if {"plan", "shard"} <= set(value) and value["shard"]["files"] is not None else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _plan_of(path: Path) -> Plan | None:
    value, _ = _marked(path, _PLAN)
    try:
        return None if value is None else Plan.model_validate_json(json.dumps(value["plan"]))
    except (KeyError, ValidationError, VoxloomError):
        return None


def _names_in(shards: Any) -> set[str]:
    """Return the names of the files that the shards of a manifest list, as far as they can be read."""
    names: set[str] = set()
    for shard in shards if isinstance(shards, list) else []:
        with suppress(TypeError, KeyError):
            names |= {str(file["name"]) for file in shard["files"]}
    return names
