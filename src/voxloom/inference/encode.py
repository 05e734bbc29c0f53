"""From images to latents, once: a store keyed by the weights, the preprocessing and the images."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import nn

from voxloom.errors import DataError
from voxloom.formats.manifest import SHARDS
from voxloom.formats.opened import check_size
from voxloom.formats.rows import RowWriter
from voxloom.formats.store import Store
from voxloom.inference.origin import origin_of
from voxloom.loading import Batch, Loader, Order
from voxloom.models import Autoencoder, LatentScale
from voxloom.ranks import Rank
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.transforms import Compose, Transform

__all__ = ["LatentCache", "PickVariant", "latent_scale", "variant_seed", "weights_digest"]

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
"""Counts changes of what the folders hold, so that older ones are not taken for it."""

Barrier = Callable[[], None]
Agree = Callable[[Any], Any]
Progress = Callable[[int, int], object]


def weights_digest(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that depend on the content of the weights alone."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def variant_seed(seed: int, variant: int) -> int:
    """Return the seed that an augmented copy is drawn with: it stands in the place of an epoch."""
    return seed * 1000003 + variant


class PickVariant(Transform):
    """Take one of the V augmented copies of a sample's latents, at random.

    Fields are (V, C, h, w) before and (C, h, w) after; all fields take the same copy.
    """

    random = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the sample with one variant of each field."""
        count = next(iter(sample.values())).shape[0]
        which = int(rng.integers(count)) if count > 1 else 0
        return sample.with_arrays({name: array[which] for name, array in sample.items()})


@dataclass(frozen=True)
class LatentCache:
    """Posterior means and deviations of a source's images, kept below `root`.

    Attributes
    ----------
    root
        Folder of all caches; one store for each combination of what the latents depend on.
    autoencoder
        The network, on the device where it shall compute.
    batch_size
        Images encoded at once.
    num_workers
        Processes that read ahead.
    rank
        Which share of the images this process encodes.
    barrier
        Waits for the other ranks.
    agree
        Gives every rank the main rank's value.
    seed
        Of the augmented variants.
    """

    root: Path
    autoencoder: Autoencoder
    batch_size: int = 16
    num_workers: int = 0
    rank: Rank = field(default_factory=Rank)
    barrier: Barrier = lambda: None
    agree: Agree = lambda value: value
    seed: int = 0

    def encode(
        self, source: Source, transform: Compose, *, variants: int = 1, progress: Progress | None = None
    ) -> Store:
        """Return the latents of a source, from the cache where they are there already.

        Parameters
        ----------
        source
            Its image fields are encoded, each for itself.
        transform
            Preprocessing, with augmentation last where `variants` are asked for.
        variants
            Differently augmented copies of each sample.
        progress
            Told (done, total) in batches.

        Returns
        -------
        Store
            For each image field ``x`` of the source the fields ``x_mu`` and ``x_sigma``, float32,
            of shape (variants, C, h, w).
        """
        # Only the main rank looks: on other machines paths and times of the same files may differ.
        main = self.rank.is_main
        folder = self.root / self.agree(self._key(source, transform, variants) if main else None)
        if self.agree(main and _is_finished(folder)):
            logger.info("latents of %d samples found in %s", len(source), folder)
            return Store(folder)
        # In a folder of its own until it is whole: another job may be writing the same latents.
        draft = self.root / self.agree(f"{folder.name}.{uuid4().hex[:8]}.tmp" if main else None)
        try:
            self._write(draft, source, transform, variants, progress)
            if main and not _is_finished(folder):
                shutil.rmtree(folder, ignore_errors=True)  # what is damaged
                draft.replace(folder)
        finally:
            if main:
                shutil.rmtree(draft, ignore_errors=True)
        self.barrier()
        return Store(folder)

    def _key(self, source: Source, transform: Compose, variants: int) -> str:
        what = {
            "format": FORMAT_VERSION,
            "weights": weights_digest(self.autoencoder),
            "autoencoder": self.autoencoder.config.model_dump(mode="json"),
            "transform": [type(t).__name__ + t.model_dump_json() for t in transform.transforms],
            "variants": (variants, self.seed) if variants > 1 else 1,
            "keys": list(source.keys),
            "origin": origin_of(source),
        }
        return hashlib.blake2b(json.dumps(what).encode(), digest_size=10).hexdigest()

    def _write(
        self, folder: Path, source: Source, transform: Compose, variants: int, progress: Progress | None
    ) -> None:
        schema = self._schema(source, transform, variants)
        if self.rank.is_main:
            RowWriter(folder, schema, list(source.keys), create=True).flush()
        self.barrier()
        writer = RowWriter(folder, schema, list(source.keys), create=False)
        names = [name.removesuffix("_mu") for name in schema if name.endswith("_mu")]
        total, done = variants * len(source), 0
        for variant in range(variants):
            for batch in self._batches(source, transform, variant):
                arrays = self._encoded(batch, names)
                for row, index in enumerate(batch.indices):
                    one = {name: array[row : row + 1] for name, array in arrays.items()}
                    writer.write(index, one, variant=variant)
                done += len(batch) * self.rank.world
                if progress is not None:
                    progress(min(done, total), total)
        writer.flush()
        self.barrier()
        if self.rank.is_main:
            writer.finish({"what": "posterior mean and deviation"})

    def _batches(self, source: Source, transform: Compose, variant: int) -> Loader:
        # Dealt to the ranks by the place in the whole, which augmentation derives from.
        order = Order(
            length=len(source),
            batch_size=self.batch_size,
            shuffle=False,
            rank=self.rank.index,
            world=self.rank.world,
        )
        seed = variant_seed(self.seed, variant)
        return Loader(source, transform, order=order, seed=seed, num_workers=self.num_workers)

    def _schema(self, source: Source, transform: Compose, variants: int) -> Schema:
        sample = transform(source[0], np.random.default_rng(0))
        fields = []
        for name, array in sample.items():
            if sample.schema[name].kind == "image":
                shape = (variants, *self.autoencoder.config.latent_shape(*array.shape[1:]))
                axes = f"vc{'zyx'[-(array.ndim - 1) :]}"
                for part in ("mu", "sigma"):
                    fields.append(Field(name=f"{name}_{part}", kind="latent", axes=axes, shape=shape))
        return Schema(fields)

    @torch.no_grad()
    def _encoded(self, batch: Batch, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
        device = next(self.autoencoder.parameters()).device
        arrays = {}
        for name in names:
            image = batch[name]
            mu, logvar = self.autoencoder.encode(image.to(device))
            arrays[f"{name}_mu"] = mu.cpu().numpy()
            arrays[f"{name}_sigma"] = (0.5 * logvar).exp().cpu().numpy()
        return arrays


def latent_scale(latents: Store) -> LatentScale:
    """Measure each channel over the posterior means of all fields of the (training) latents."""
    columns = (latents.column(name) for name in latents.schema if name.endswith("_mu"))
    return LatentScale.measured(torch.from_numpy(np.array(row)) for column in columns for row in column)


def _is_finished(folder: Path) -> bool:
    """Whether a store lies there with all its files; a damaged one counts as none."""
    with suppress(DataError):
        for shard in Store(folder).manifest.shards:
            for file in shard.files:
                check_size(folder / SHARDS / file.name, file)
        return True
    return False
