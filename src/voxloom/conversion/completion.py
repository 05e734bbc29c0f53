"""When a conversion has ended: the manifest made of all records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxloom import __version__
from voxloom.conversion.journal import Journal
from voxloom.conversion.plan import Plan
from voxloom.errors import DataError, SaveError
from voxloom.formats.manifest import Manifest, ShardFacts

__all__ = ["complete", "finished"]


def finished(store: Path, plan: Plan) -> Manifest | None:
    """Return the manifest of a folder, if it is whole and comes from this plan."""
    try:
        manifest = Manifest.read(store)
    except DataError:
        return None
    return manifest if manifest.facts.get("plan") == plan.fingerprint else None


def complete(store: Path, plan: Plan) -> Manifest | None:
    """Write the manifest if all shards are there, and return it; None while any is missing.

    Several processes may do this at once: what they write is the same.

    Raises
    ------
    DataError
        When every sample was skipped: an empty store is nobody's wish.
    SaveError
        When the manifest cannot be written.
    """
    journal = Journal(store)
    records = journal.records(plan)
    if records is None:
        if (manifest := finished(store, plan)) is not None:  # another process was quicker
            journal.remove()
        return manifest
    manifest = _manifest(plan, records)
    if not manifest.samples:
        key, reason = records[0].skipped[0]
        raise DataError(
            f"{store}: none of {plan.samples} samples could be converted; the first, {key!r}: {reason}"
        )
    try:
        journal.finish(manifest)
    except SaveError:
        if finished(store, plan) is None:
            raise
        journal.remove()  # another process has finished it at the same time
    return manifest


def _manifest(plan: Plan, records: Sequence[ShardFacts]) -> Manifest:
    facts = plan.facts() | {"skipped": sum(len(record.skipped) for record in records)}
    return Manifest(
        producer=f"voxloom {__version__}",
        format=plan.settings.format,
        fields=plan.fields,
        encodings=plan.encodings,
        shards=_without_empty(records),
        facts=facts,
    )


def _without_empty(records: Sequence[ShardFacts]) -> tuple[ShardFacts, ...]:
    """Leave out shards without samples; what was skipped there is listed with a neighbour."""
    kept: list[ShardFacts] = []
    waiting: tuple[tuple[str, str], ...] = ()
    for record in records:
        if record.samples:
            kept.append(record.model_copy(update={"skipped": waiting + record.skipped}))
            waiting = ()
        else:
            waiting += record.skipped
    if waiting and kept:
        kept[-1] = kept[-1].model_copy(update={"skipped": kept[-1].skipped + waiting})
    return tuple(kept)
