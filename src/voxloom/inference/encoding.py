"""The images of a source as a VAE sees them: posterior means and deviations, computed as they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import count
from threading import Lock
from typing import Any, cast

import numpy as np

from voxloom.conversion.plan import Provenance
from voxloom.errors import DataError, SchemaError
from voxloom.inference.grey_images import GreyImages
from voxloom.inference.image_encoder import ImageEncoder
from voxloom.inference.origin import origin_of
from voxloom.loading import Batch, Loader, Order
from voxloom.loading.batch import collate
from voxloom.sample import Array, Cell, Sample, Schema
from voxloom.source import Source, Subset

__all__ = ["EncodedImages"]

_CARRIED = ("class", "attribute", "text")

_Encoded = Mapping[str, Array] | DataError | SchemaError
"""The latents of one sample, or why there are none."""


class EncodedImages(Source):
    """A source whose images are encoded, a batch at a time, as they are read in order.

    Batches are those of the whole source, wherever the reading begins: what a sample gives does not
    depend on what was read before. Out of order each batch is encoded anew, so that is slow.

    Parameters
    ----------
    source
        Each of its image fields is encoded; classes, attributes and texts are carried over.
    encoder
        The network with its preparation.
    batch_size
        Images of each field that are encoded at once.
    num_workers
        Processes that read and prepare ahead; 0 reads when a batch is asked for.
    facts
        What the manifest of a store shall say beside.

    Attributes
    ----------
    provenance
        What the latents are made of: see `voxloom.conversion.plan.Provenance`.
    """

    def __init__(
        self,
        source: Source,
        encoder: ImageEncoder,
        *,
        batch_size: int = 16,
        num_workers: int = 0,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.source, self.encoder = source, encoder
        self.batch_size, self.num_workers = batch_size, num_workers
        self._images = GreyImages(source, encoder.policy)
        carried = [name for name, field in source.schema.items() if field.kind in _CARRIED]
        self._carried = source.select(*carried) if carried else None
        self._facts = dict(facts or {})
        self._begin()

    def _begin(self) -> None:
        self._held: dict[int, _Encoded] = {}
        self._stream: _Stream | None = None
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {n: v for n, v in self.__dict__.items() if n not in ("_held", "_stream", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"latents of {self.source!r}"

    @cached_property
    def schema(self) -> Schema:
        """``<image>_mu`` and ``<image>_sigma`` of each image field, then the fields that are carried over."""
        latents = [field for name in self._images.schema for field in self.encoder.fields(name)]
        return Schema([*latents, *(self._carried.schema.values() if self._carried else ())])

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    @cached_property
    def provenance(self) -> Provenance:
        """Digest of weights, preparation and images; and the facts of the manifest."""
        made_of = {**self.encoder.facts, "keys": list(self.keys), "images": origin_of(self._images.source)}
        carried = origin_of(self._carried) if self._carried else []
        text = json.dumps({**made_of, "carried": carried}, sort_keys=True, default=str)
        identity = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
        facts = {**self.encoder.facts, **self._facts, "identity": identity}
        return Provenance(identity=identity, facts={"encoded": facts})

    def read(self, index: int) -> Sample:
        """Return the latents of one sample.

        Raises
        ------
        DataError
            If its images cannot be read.
        """
        carried = self._carried.read(index) if self._carried else {}
        return Sample(self.keys[index], self.schema, {**self._latents(index), **carried})

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the latents, and what is carried over as it lies at rest.

        Raises
        ------
        DataError
            If its images cannot be read.
        """
        carried = self._carried.cells(index) if self._carried else {}
        return {**self._latents(index), **carried}

    def select(self, *names: str) -> Source:
        """Return some fields; without a latent among them nothing is encoded."""
        chosen = self.schema.only(*names)
        if self._carried is not None and all(field.kind in _CARRIED for field in chosen.values()):
            return self._carried.select(*names)
        return super().select(*names)

    def close(self) -> None:
        """Stop the processes that read ahead."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _latents(self, index: int) -> Mapping[str, Array]:
        with self._lock:
            if index not in self._held:
                self._held = self._encoded(index // self.batch_size)
            found = self._held[index]
        if isinstance(found, Exception):
            raise found
        return found

    def _encoded(self, number: int) -> dict[int, _Encoded]:
        if self._stream is None or self._stream.number != number:
            self.close()
            self._stream = _Stream(self, number)
        try:
            return self._stream.take()
        except (DataError, SchemaError):
            self.close()
            return self._apart(number)

    def encoded(self, batch: Batch, indices: Iterable[int]) -> dict[int, _Encoded]:
        """Return the latents of prepared images, by the index of their sample."""
        arrays: dict[str, Array] = {}
        for name in self._images.schema:
            arrays |= self.encoder.arrays(name, batch[name])
        return {index: {name: a[row] for name, a in arrays.items()} for row, index in enumerate(indices)}

    def _apart(self, number: int) -> dict[int, _Encoded]:
        """Encode the samples of a batch that can be read, and say of each other what is wrong with it."""
        start, found = number * self.batch_size, dict[int, _Encoded]()
        good: dict[int, Sample] = {}
        for index in range(start, min(start + self.batch_size, len(self))):
            try:
                good[index] = self._prepared(self._images[index])
            except (DataError, SchemaError) as error:
                found[index] = error
        return found | (self.encoded(collate(list(good.values())), good) if good else {})

    def _prepared(self, sample: Sample) -> Sample:
        transform = self.encoder.preparation.transform(self.encoder.size)
        return transform(sample, cast(np.random.Generator, None))  # all of it is deterministic

    def batches_from(self, number: int) -> Loader:
        """Return the prepared images from batch `number` on."""
        rest = Subset(self._images, range(number * self.batch_size, len(self)))
        order = Order(length=len(rest), batch_size=self.batch_size, shuffle=False, rank=0, world=1)
        transform = self.encoder.preparation.transform(self.encoder.size)
        device = self.encoder.device
        return Loader(
            rest,
            transform,
            order=order,
            seed=0,
            num_workers=self.num_workers,
            pin_memory=device.type == "cuda",
            device=device,
        )


class _Stream:
    """The batches from one on, each encoded while the one before it is written."""

    def __init__(self, images: EncodedImages, number: int) -> None:
        self.number, self._images = number, images
        self._starts = count(number * images.batch_size, images.batch_size)
        self._loader = images.batches_from(number)
        self._batches = cast(Generator[Batch, None, None], iter(self._loader))
        self._pool = ThreadPoolExecutor(1, "voxloom-encoding")
        self._next = self._pool.submit(self._encode)

    def take(self) -> dict[int, _Encoded]:
        """Return the next batch."""
        found, self._next = self._next, self._pool.submit(self._encode)
        self.number += 1
        return found.result()

    def _encode(self) -> dict[int, _Encoded]:
        batch = next(self._batches, None)
        if batch is None:
            return {}
        start = next(self._starts)
        return self._images.encoded(batch, range(start, start + len(batch)))

    def close(self) -> None:
        """End what works ahead."""
        self._pool.shutdown(cancel_futures=True)
        self._batches.close()
        self._loader.close()  # its processes too, whoever still looks at the error that ended the stream
