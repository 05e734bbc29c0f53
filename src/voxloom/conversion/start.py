"""How a conversion begins: a fresh folder, a half-made store, or several ranks that come one by one.

The plan in the journal is made once, by whichever process links it first; all others find it there,
and have to have made the same. So ranks need no process group, and may start hours apart.

- Without a word, a rank joins a plan that its own start has made. The launcher names the start; the
  name stands in the plan, and goes with the journal. Where there is no such name (variables that were
  set by hand), a plan that was made less than `WAIT` ago counts as one of this start: it is the same
  plan, so the worst that can come of it is that work is gone on with. All else needs ``resume``.
- A finished store of the same plan is what a late rank finds whose shards others have written: it has
  nothing to do. Rank 0 tells an old store from that: it answers for a share of its own, and refuses, unless
  its share is empty and the store was finished less than `WAIT` ago.
- With ``resume`` any rank may make the plan, and any may join it.
- With ``overwrite``, rank 0 alone clears the folder. The plan that it leaves carries the name of the
  job, and the other ranks wait until they see a plan with that name: so a late rank can neither clear
  what an early one wrote, nor add to what is about to be cleared. The name comes from the launcher.
- A lone process begins anew, without a word, where a plan has no record yet and nobody is at work.
- A rank without shards returns at once and touches nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePath

from pydantic import ValidationError

from voxloom.conversion.belongings import PLAN, cleared_names
from voxloom.conversion.completion import finished
from voxloom.conversion.journal import Journal
from voxloom.conversion.plan import Plan, Provenance
from voxloom.conversion.settings import Conversion
from voxloom.conversion.target import clear, foreign_entries, is_empty, refuse_foreign
from voxloom.errors import ConfigError, DataError, DistributedError, OutputExistsError
from voxloom.formats.manifest import MANIFEST, SHARDS, Manifest
from voxloom.ranks import Rank, even_split

__all__ = ["begin", "job_name"]

WAIT = 600.0
"""Seconds that a rank waits for rank 0 to clear the folder, and within which all ranks start."""

_TRIES = 20
_JOBS = ("VOXLOOM_JOB", "TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID")


def job_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return what the launcher calls this start of all ranks, or "" where it has no name of its own.

    Examples
    --------
    >>> job_name({"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0"}), job_name({"TORCHELASTIC_RUN_ID": "none"})
    ('17.0', '')
    """
    for name in _JOBS:
        if environment.get(name, "none") != "none":
            return environment[name]
    parts = [environment.get(name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
    return ".".join(part for part in parts if part) if all(parts) else _torchrun_name(environment)


def _torchrun_name(environment: Mapping[str, str]) -> str:
    """Return what tells a start by torchrun on one machine from all others, where it was given no id.

    Its address and port are often the same; the folder of its logs is new each time.
    """
    world = environment.get("WORLD_SIZE")
    if world is None or environment.get("LOCAL_WORLD_SIZE") != world:
        return ""
    parts = PurePath(environment.get("TORCHELASTIC_ERROR_FILE", "")).parts
    return "/".join(parts[-5:-3]) if len(parts) > 5 else ""  # <logs>/<start>/attempt_0/<rank>/error.json


def begin(
    store: Path, plan: Plan, rank: Rank, *, resume: bool = False, overwrite: bool = False
) -> Manifest | None:
    """Make the folder ready for shards of this plan, or return the manifest if they are all there.

    Raises
    ------
    OutputExistsError
        When the folder holds anything, and neither resume nor overwrite was said; or when what it holds
        is no store.
    ConfigError
        When it holds the beginning of another conversion, and resume was said; it names what differs.
    DistributedError
        When rank 0 does not clear the folder in time.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite exclude each other: go on with what is there, or begin again")
    if overwrite:
        _begin_again(store, plan, rank)
        return None
    journal = Journal(store)
    for _ in range(_TRIES):
        found = journal.plan()  # before the manifest, which is there before the journal goes
        if (store / MANIFEST).exists():
            return _already(store, plan, rank, resume)
        if found is not None:
            if rank.world == 1 and _is_other(plan, found[0]) and journal.is_bare():
                clear(store)
                continue
            joins = resume or (rank.world > 1 and _is_of_this_start(journal, found[1]))
            joins = joins or (rank.world == 1 and journal.is_bare())
            _join(store, plan, found, resume=joins)
            return None
        if _may_begin(store, resume or rank.world > 1) and journal.begin(plan, job_name()):
            return None
    raise OutputExistsError(f"{store} is being written and removed by other processes. Name another folder.")


def _may_begin(store: Path, joins: bool) -> bool:
    """Whether a plan may be made there, where there is none.

    Raises
    ------
    OutputExistsError
        If anything is there that a conversion could not have just begun.
    """
    if is_empty(store):
        return True
    shards = store / SHARDS
    begun = Journal(store).path.is_dir() and not foreign_entries(store)
    if begun and (is_empty(shards) or (joins and _was_cleared(store))):
        return True
    refuse_foreign(store)
    raise OutputExistsError(
        f"{store} is not empty: it holds shards, and nothing says of what. Name another folder, "
        "or use overwrite."
    )


def _was_cleared(store: Path) -> bool:
    """Whether the shards there are those of an earlier store whose clearing was cut off."""
    return bool(cleared_names(store))


def _already(store: Path, plan: Plan, rank: Rank, resume: bool) -> Manifest:
    """Return the manifest of a finished store, if it is the one that is wanted."""
    manifest = finished(store, plan)
    if manifest is not None and (resume or _is_late(store, plan, rank)):
        Journal(store).remove()  # where a crash came between the manifest and this
        return manifest
    if not resume:
        raise OutputExistsError(
            f"{store} already holds a {MANIFEST}. Name another folder, or use overwrite (--overwrite)."
        )
    other = _plan_of(Manifest.read(store))
    _refuse_other(store, plan, other)
    raise ConfigError(f"{store} was written by another program than a conversion. Name another folder.")


def _is_late(store: Path, plan: Plan, rank: Rank) -> bool:
    """Whether a rank finds the store finished because others of its start were quicker."""
    if not rank.is_main:
        return True
    return rank.world > 1 and not even_split(plan.shards, rank) and _is_young(store / MANIFEST)


def _is_of_this_start(journal: Journal, job: str) -> bool:
    """Whether a plan was made by a rank of the start that this process belongs to."""
    return job == job_name() and (bool(job) or _is_young(journal.path / PLAN))


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < WAIT
    except OSError:
        return True  # gone: so somebody has been at work just now


def _is_other(plan: Plan, found: Plan) -> bool:
    return plan.fingerprint != found.fingerprint


def _plan_of(manifest: Manifest) -> Plan | None:
    try:
        facts = manifest.facts
        return Plan(
            settings=Conversion.model_validate(facts["conversion"]),
            fields=manifest.fields,
            encodings=manifest.encodings,
            source=facts["source"]["kind"],
            keys=facts["source"]["keys"],
            samples=facts["source"]["samples"],
            samples_per_shard=facts["samples_per_shard"],
            provenance=Provenance(identity=facts["source"].get("identity", "")),
        )
    except (KeyError, TypeError, ValidationError):
        return None


def _refuse_other(store: Path, plan: Plan, other: Plan | None) -> None:
    """Raise if the two plans differ."""
    if other is not None and other.fingerprint != plan.fingerprint:
        lines = "\n  ".join(plan.differences(other))
        raise ConfigError(
            f"{store} was begun as another conversion, and cannot be gone on with:\n  {lines}\n"
            "Give the same source and settings, name another folder, or begin again with overwrite."
        )


def _join(store: Path, plan: Plan, found: tuple[Plan, str], *, resume: bool) -> None:
    """Go on with a plan that is there."""
    if not resume:
        raise OutputExistsError(
            f"{store} holds the beginning of a store. Finish it with resume (--resume), begin again with "
            "overwrite (--overwrite), or name another folder."
        )
    _refuse_other(store, plan, found[0])


def _begin_again(store: Path, plan: Plan, rank: Rank) -> None:
    """Clear the folder, or wait until rank 0 has."""
    job, journal = job_name(), Journal(store)
    if rank.world > 1 and not job:
        raise DistributedError(
            f"overwrite with {rank.world} ranks needs a name that they share, to know who cleared {store}: "
            "set VOXLOOM_JOB to the same new value for each, or --rdzv-id of torchrun; or remove the folder."
        )
    if rank.world == 1 or rank.is_main:
        found = _readable_plan(journal)
        if rank.world > 1 and found is not None and found[1] == job:  # a second rank 0, or a restart
            return _join(store, plan, found, resume=True)
        if not is_empty(store):
            clear(store)
        if journal.begin(plan, job):
            return None
    return _join(store, plan, _awaited(store, journal, job), resume=rank.world > 1)


def _awaited(store: Path, journal: Journal, job: str) -> tuple[Plan, str]:
    """Return the plan of this job, as soon as it is there."""
    end, pause = time.monotonic() + WAIT, 0.02
    while time.monotonic() < end:
        found = _readable_plan(journal)
        if found is not None and found[1] == job:
            return found
        if not is_empty(store):
            refuse_foreign(store)  # rank 0 will not clear it either
        time.sleep(pause)
        pause = min(1.0, 1.5 * pause)
    raise DistributedError(
        f"rank 0 has not cleared {store} within {WAIT:.0f} s. Is it running, in the same job ({job}) and "
        "with the same folder? Finish with resume (--resume)."
    )


def _readable_plan(journal: Journal) -> tuple[Plan, str] | None:
    try:
        return journal.plan()
    except DataError:
        return None  # it is about to be cleared
