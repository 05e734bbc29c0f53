"""How a source is cut into shards, and how to know that two conversions are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xxhash
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.conversion.settings import Conversion
from voxloom.errors import DataError
from voxloom.formats.format import Column
from voxloom.formats.manifest import Encoding, columns_of
from voxloom.sample import Field

__all__ = ["Plan", "Provenance", "digest_of_keys", "refuse_twins"]


class Provenance(Component):
    """What a source makes its samples of, where they do not lie in files: its attribute `provenance`."""

    identity: str = ""
    """Digest of all that decides what the samples hold, beside keys and settings; empty: nothing does."""
    facts: dict[str, Any] = Setting(default_factory=dict)
    """Plain values that the manifest keeps for a reader, and that decide nothing."""


class Plan(Component):
    """What a conversion will write: a pure function of the source and the settings.

    Each process of a job makes the same plan, and a resumed conversion has to make it again.

    Examples
    --------
    >>> plan = Plan(
    ...     settings=Conversion(), fields=(Field(name="image"),), encodings={"image": "file"},
    ...     source="FileSource", keys="0" * 16, samples=10, samples_per_shard=4)
    >>> plan.shards, plan.stem(2), plan.indices(2)
    (3, '00002', range(8, 10))
    """

    settings: Conversion
    """What was asked for."""
    fields: tuple[Field, ...]
    """The schema of the store."""
    encodings: dict[str, Encoding]
    """How each field lies in its column."""
    source: str
    """What kind of source it is."""
    keys: str
    """XXH3-64 of all keys of the source, in order."""
    samples: int
    """Number of samples of the source."""
    samples_per_shard: int
    """Samples of each shard but the last."""
    provenance: Provenance = Provenance()
    """What the samples were made of, where the source tells it."""

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.samples_per_shard)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of each shard."""
        return columns_of(self.fields, self.encodings)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ where anything does that changes the samples.

        What to do about those that cannot be read may change from one resume to the next.
        """
        aside: dict[str, Any] = {"settings": {"on_error", "check"}}
        # Without an identity nothing is said of it: plans of earlier versions stay the same.
        aside["provenance"] = {"facts"} if self.provenance.identity else True
        text = self.model_dump_json(exclude=aside)
        return xxhash.xxh3_64_hexdigest(text.encode())

    def stem(self, number: int) -> str:
        """Return what the file names of a shard begin with."""
        return f"{number:05d}"

    def indices(self, number: int) -> range:
        """Return which samples of the source a shard holds."""
        start = number * self.samples_per_shard
        return range(start, min(start + self.samples_per_shard, self.samples))

    def facts(self) -> dict[str, Any]:
        """Return what a manifest keeps of the plan: no paths, times or hosts."""
        made_of = self.provenance
        identity = {"identity": made_of.identity} if made_of.identity else {}
        return {
            "conversion": self.settings.model_dump(mode="json"),
            "source": {"kind": self.source, "samples": self.samples, "keys": self.keys, **identity},
            "samples_per_shard": self.samples_per_shard,
            "plan": self.fingerprint,
            **made_of.facts,
        }

    def differences(self, other: Plan) -> list[str]:
        """Return what differs, a line each: mine first, then the other's."""
        mine, others = _flat(self.model_dump(mode="json")), _flat(other.model_dump(mode="json"))
        return [
            f"{name}: {others.get(name)!r} there, {mine.get(name)!r} here"
            for name in mine | others
            if mine.get(name) != others.get(name)
        ]


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Lift the settings and the fields to the top, so that each can be named alone."""
    flat: dict[str, Any] = dict(value["settings"])
    flat |= {f"field {field['name']!r}": field for field in value["fields"]}
    flat |= {f"encoding of {name!r}": encoding for name, encoding in value["encodings"].items()}
    flat["digest of what the samples are made of"] = value["provenance"]["identity"]
    return flat | {word: value[name] for name, word in _WORDS.items()}


_WORDS = {
    "source": "kind of source",
    "samples": "number of samples",
    "keys": "digest of the samples' keys",
    "samples_per_shard": "samples a shard (they follow from the sizes of the files)",
}


def refuse_twins(keys: Iterable[str], of: str = "the source") -> None:
    """Refuse keys of which two are the same: samples could not be told apart by them any more.

    Raises
    ------
    DataError
        It names the first two such samples.

    Examples
    --------
    >>> refuse_twins(["a", "b", "a"])
    Traceback (most recent call last):
    voxloom.errors.DataError: samples 0 and 2 of the source have the same key 'a'...
    """
    digests = np.fromiter((xxhash.xxh3_64_intdigest(_encoded(key)) for key in keys), np.uint64)
    ordered = np.sort(digests)
    if not (twins := set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())):
        return
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        if (
            xxhash.xxh3_64_intdigest(_encoded(key)) in twins
            and (first := seen.setdefault(key, index)) != index
        ):
            raise DataError(
                f"samples {first} and {index} of {of} have the same key {key!r}. Expected a key for each "
                "sample: rename one, take it out, or convert the two sources into two stores."
            )


def digest_of_keys(keys: Iterable[str]) -> str:
    """Return the XXH3-64 of keys in order, as 16 hexadecimal digits.

    Examples
    --------
    >>> digest_of_keys(["a", "bc"]) == digest_of_keys(["ab", "c"])
    False
    """
    digest = xxhash.xxh3_64()
    for key in keys:
        data = _encoded(key)
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
