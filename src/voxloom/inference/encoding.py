"""The images of a source as a VAE sees them: posterior means and deviations, computed as they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, cast

import numpy as np
import torch

from voxloom.conversion.plan import Provenance
from voxloom.errors import CheckpointError, DataError, LoadingError, SchemaError
from voxloom.formats.encoding import cell_array
from voxloom.inference.encode import weights_digest
from voxloom.inference.origin import origin_of
from voxloom.inference.trained import Trained
from voxloom.loading import Batch, Loader, Order
from voxloom.loading.batch import collate
from voxloom.models import Autoencoder
from voxloom.sample import Array, Cell, Field, Sample, Schema
from voxloom.source import Source, Subset
from voxloom.sources import ReadPolicy
from voxloom.sources.images import read_cell
from voxloom.transforms import Preparation

__all__ = ["EncodedImages", "GreyImages", "ImageEncoder", "patch_size"]

FORMAT_VERSION = 1
"""Counts changes of how latents come about, so that older ones are not taken for them."""

_SECTIONS = {"vae": "autoencoder_train", "ldm": "diffusion_train"}
_CARRIED = ("class", "attribute", "text")

_Encoded = Mapping[str, Array] | DataError | SchemaError
"""The latents of one sample, or why there are none."""


class GreyImages(Source):
    """The image fields of a source with one channel, as `voxloom.sources.read_image` reads files.

    Parameters
    ----------
    source
        What has them: files, arrays of a store, slices of a volume.
    policy
        What to do with colour, several pages, NaN and blank images.

    Raises
    ------
    SchemaError
        If the source has no field of images.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> from voxloom.sources.files import flat_folder
    >>> folder = mkdtemp()
    >>> Image.new("L", (5, 4)).save(f"{folder}/a.png")
    >>> GreyImages(flat_folder(folder))[0]["image"].shape
    (1, 4, 5)
    """

    def __init__(self, source: Source, policy: ReadPolicy | None = None) -> None:
        self.policy = policy or ReadPolicy()
        self._given = [field for field in source.schema.values() if field.kind == "image"]
        if not self._given:
            told = ", ".join(f"{field.name} ({field.kind})" for field in source.schema.values())
            raise SchemaError(f"{source!r} has no field of images, but {told}. Expected images to encode.")
        self.source = source.select(*(field.name for field in self._given))
        self._schema = Schema(Field(name=field.name) for field in self._given)

    def __repr__(self) -> str:
        return f"images of {self.source!r}"

    @property
    def schema(self) -> Schema:
        """The image fields: float32, axes cyx with one channel, of any size."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the source."""
        return self.source.keys

    def read(self, index: int) -> Sample:
        """Return the images of one sample in the units of their files.

        Raises
        ------
        DataError
            If one cannot be read, or the policy refuses it.
        """
        key, cells = self.source.keys[index], self.source.cells(index)
        arrays = {field.name: self._image(cells[field.name], field, key) for field in self._given}
        return Sample(key, self._schema, arrays)

    def _image(self, cell: Cell, field: Field, key: str) -> Array:
        if isinstance(cell, np.ndarray):  # a plane of a volume has an axis for each of y, x and z, or c
            cell = cell_array(cell, field, name=key)
        return read_cell(cell, self.policy, name=key, axes=field.axes).astype(np.float32, copy=False)


@dataclass(frozen=True)
class ImageEncoder:
    """What a checkpoint does to an image before its decoder: resize, normalise, encode.

    Attributes
    ----------
    autoencoder
        The network, on its device.
    preparation
        Resizing and normalisation, as in training.
    size
        Height and width that the network works at.
    policy
        What the training did with colour, several pages, NaN and blank images.
    """

    autoencoder: Autoencoder
    preparation: Preparation
    size: tuple[int, int]
    policy: ReadPolicy

    @classmethod
    def of(cls, trained: Trained) -> ImageEncoder:
        """Take the autoencoder of a checkpoint, of a VAE's run or of a latent model's.

        Raises
        ------
        CheckpointError
            When it has none, or one of volumes or of several channels.
        """
        autoencoder = trained.models.get("autoencoder")
        if not isinstance(autoencoder, Autoencoder):
            raise CheckpointError(
                f"{trained.path} is a checkpoint of task {trained.task!r}, which has no autoencoder: "
                "expected one of `voxloom train vae` or `voxloom train ldm`."
            )
        size, config = patch_size(trained), autoencoder.config
        if config.spatial_dims != 2 or len(size) != 2:
            raise CheckpointError(
                f"{trained.path} has an autoencoder of volumes (patches of {' x '.join(map(str, size))}): "
                "expected one of images. Train one with patch_size of two numbers."
            )
        if config.in_channels != 1:
            raise CheckpointError(
                f"{trained.path} has an autoencoder of {config.in_channels} channels: expected 1."
            )
        autoencoder.check_size(*size)
        preparation = Preparation.model_validate(trained.config.get("preparation", {}))
        policy = ReadPolicy.model_validate(trained.config.get("read", {}))
        return cls(autoencoder, preparation, (size[0], size[1]), policy)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.autoencoder.parameters()).device

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, h, w) of a latent."""
        return self.autoencoder.config.latent_shape(*self.size)

    @torch.no_grad()
    def __call__(self, image_BCHW: torch.Tensor) -> tuple[Array, Array]:
        """Return mean and standard deviation of the posterior of prepared images, float32 (B, C, h, w)."""
        mu, logvar = self.autoencoder.encode(image_BCHW.to(self.device))
        return mu.cpu().numpy(), (0.5 * logvar).exp().cpu().numpy()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that decides what it makes of an image, as plain values."""
        return {
            "format": FORMAT_VERSION,
            "weights": weights_digest(self.autoencoder),
            "autoencoder": self.autoencoder.config.model_dump(mode="json"),
            "preparation": self.preparation.model_dump(mode="json"),
            "size": list(self.size),
            "read": self.policy.model_dump(mode="json"),
        }


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
        shape = self.encoder.shape
        names = [f"{name}_{part}" for name in self._images.schema for part in ("mu", "sigma")]
        latents = [Field(name=name, kind="latent", axes="cyx", shape=shape) for name in names]
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
            batch = self._stream.take()
        except LoadingError:
            raise
        except (DataError, SchemaError):
            self.close()
            return self._apart(number)
        return self._encoded_batch(batch, [number * self.batch_size + i for i in range(len(batch))])

    def _encoded_batch(self, batch: Batch, indices: Sequence[int]) -> dict[int, _Encoded]:
        arrays: dict[str, Array] = {}
        for name in self._images.schema:
            arrays[f"{name}_mu"], arrays[f"{name}_sigma"] = self.encoder(batch[name])
        return {index: {name: a[row] for name, a in arrays.items()} for row, index in enumerate(indices)}

    def _apart(self, number: int) -> dict[int, _Encoded]:
        """Encode the samples of a batch that can be read, and say of each other what is wrong with it."""
        start, found = number * self.batch_size, dict[int, _Encoded]()
        good: dict[int, Sample] = {}
        for index in range(start, min(start + self.batch_size, len(self))):
            try:
                good[index] = self.prepared(self._images[index])
            except (DataError, SchemaError) as error:
                found[index] = error
        return found | (self._encoded_batch(collate(list(good.values())), list(good)) if good else {})

    def prepared(self, sample: Sample) -> Sample:
        """Return a sample of images resized and normalised."""
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
    """The batches from one on, read ahead."""

    def __init__(self, images: EncodedImages, number: int) -> None:
        self.number = number
        self._loader = images.batches_from(number)
        self._batches: Iterator[Batch] = iter(self._loader)

    def take(self) -> Batch:
        """Return the next batch."""
        batch = next(self._batches)
        self.number += 1
        return batch

    def close(self) -> None:
        """End what reads ahead."""
        self._loader.close()


def patch_size(trained: Trained) -> tuple[int, ...]:
    """Return the size that the networks of a checkpoint work at: height and width, in 3D depth first."""
    section = _SECTIONS.get(trained.task, f"{trained.task}_train")
    return tuple(int(extent) for extent in trained.config[section]["patch_size"])
