"""What a bench has found, and which of the stages of reading bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bench", "BenchRow", "Stage"]

Stage = Literal["storage", "decoding", "loader"]


@dataclass(frozen=True)
class BenchRow:
    """One thing that was timed.

    Attributes
    ----------
    stage
        What was done with each sample.
    shuffled
        Whether the samples came in a random order.
    cold
        Whether the files were out of memory when it began.
    workers
        Workers of the loader; 0 for the other stages.
    samples, bytes, seconds
        How many samples, and bytes as the stage gives them, in what time.
    """

    stage: Stage
    shuffled: bool
    cold: bool
    workers: int
    samples: int
    bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def sample_bytes(self) -> float:
        """Bytes of a sample, as the stage gives it."""
        return self.bytes / self.samples if self.samples else 0.0

    @property
    def byte_rate(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Bench:
    """What `bench` has found.

    Attributes
    ----------
    source
        What was read.
    rows
        What was timed.
    notes
        What to know of the rows.
    is_batched
        Whether the loader gave batches of the size that was asked for. Batches of one cost so much more
        that they tell nothing of the loader.
    batch_size
        Samples in a batch of the loader.
    is_decoded
        Whether each field lies as an array already: then there is nothing to decode.
    """

    source: str
    rows: tuple[BenchRow, ...]
    notes: tuple[str, ...] = ()
    is_batched: bool = True
    batch_size: int = 0
    is_decoded: bool = False

    def row(self, stage: Stage, workers: int = 0, *, shuffled: bool = True, cold: bool = False) -> BenchRow:
        """Return the row of a stage.

        Raises
        ------
        KeyError
            If it was not timed.
        """
        wanted = (stage, shuffled, cold, workers)
        for row in self.rows:
            if (row.stage, row.shuffled, row.cold, row.workers) == wanted:
                return row
        raise KeyError(wanted)

    @property
    def fastest(self) -> BenchRow:
        """The row of the loader, shuffled and warm, with the most samples a second."""
        rows = [row for row in self.rows if row.stage == "loader" and row.shuffled and not row.cold]
        return max(rows, key=lambda row: row.rate)

    def shares(self, *, cold: bool = False) -> dict[Stage, float]:
        """Return the share of each stage in the time of a sample that is read without workers, 0 to 1.

        Without a row for no workers, the smallest number of workers stands in for it.
        """
        loader = min(
            (row for row in self.rows if row.stage == "loader" and row.shuffled and row.cold == cold),
            key=lambda row: row.workers,
        )
        stored, decoded = self.row("storage", cold=cold), self.row("decoding", cold=cold)
        times = [1 / row.rate if row.rate else 0.0 for row in (stored, decoded, loader)]
        times[2] *= max(1, loader.workers)
        own = [times[0], max(0.0, times[1] - times[0]), max(0.0, times[2] - max(times[:2]))]
        own[2] *= self.is_batched
        whole = sum(own) or 1.0
        return {"storage": own[0] / whole, "decoding": own[1] / whole, "loader": own[2] / whole}

    @property
    def verdict(self) -> str:
        """What bounds the reading, and what to try, in one sentence."""
        cold = any(row.cold for row in self.rows)
        shares = self.shares(cold=cold)
        stage = max(shares, key=lambda name: shares[name])
        state = "cold" if cold else "warm"
        share = f"{shares[stage]:.0%} of the time of a {state} sample"
        bound, cure = _BOUND[stage], _CURES[stage]
        if self.is_decoded and stage == "decoding":
            bound, cure = (
                "Putting samples together",
                "try more workers, and select the fields that are needed",
            )
        elif self.is_decoded and stage == "storage":
            cure = "try more workers, a local disk, block shuffle, or smaller images and types"
        return f"{bound} bounds it ({share}): {cure}."


_BOUND = {"storage": "Storage", "decoding": "Decoding", "loader": "Making batches"}
_CURES = {
    "storage": "try more workers, a local disk, block shuffle, or smaller data (--size, --encoding blosc)",
    "decoding": "try more workers, or store images already decoded (voxloom convert --encoding raw)",
    "loader": "try images of one size and type stored as they are, larger batches, and few transforms",
}
