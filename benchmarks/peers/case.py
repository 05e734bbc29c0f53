"""One case of `readers.py`: the images that each reader writes in its own way and reads back.

Imported in each peer's environment, so it needs numpy, torch and simplejpeg alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """Images of one size, as pixels or as JPEG files, and the truth about them.

    The folder holds ``images.npy`` (pixels), or ``blob.bin`` and ``offsets.npy`` (JPEG), and ``ids.npy``.
    """

    folder: Path
    name: str
    samples: int
    shape: tuple[int, ...]
    """Of one image: (rows, columns, channels) or (rows, columns)."""
    dtype: str
    is_jpeg: bool
    total: int
    """Sum of all bytes of all decoded images."""
    mixed: int
    """Sum of each image's number times the sum of its bytes, modulo 2**61: do ids and images fit?"""
    batch_size: int = 64

    @classmethod
    def load(cls, folder: Path) -> Case:
        values = json.loads((folder / "case.json").read_text())
        return cls(**values | {"folder": folder, "shape": tuple(values["shape"])})

    def save(self) -> None:
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "case.json").write_text(json.dumps(values, indent=2))

    @property
    def nbytes(self) -> int:
        """Bytes of one decoded image."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @cached_property
    def images(self) -> Any:
        """All pixels, (samples, *shape), mapped."""
        return np.load(self.folder / "images.npy", mmap_mode="r")

    @cached_property
    def blob(self) -> Any:
        """All JPEG files, one after the other, mapped."""
        return np.memmap(self.folder / "blob.bin", mode="r")

    @cached_property
    def offsets(self) -> Any:
        """Where each JPEG file begins in the blob, and its end."""
        return np.load(self.folder / "offsets.npy")

    @cached_property
    def ids(self) -> Any:
        return np.load(self.folder / "ids.npy", mmap_mode="r")

    def stored(self, index: int) -> Any:
        """Return one image as it is to be stored: a view of its JPEG file, or its pixels."""
        if self.is_jpeg:
            return self.blob[self.offsets[index] : self.offsets[index + 1]]
        return self.images[index]

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield each image's number and bytes, for the formats that hold bytes."""
        for index in range(self.samples):
            yield index, self.stored(index).tobytes()

    def batches(self, seed: int) -> Iterator[Any]:
        """Yield the numbers of each batch of one epoch, fully shuffled, the last one smaller."""
        order = np.random.default_rng(seed).permutation(self.samples)
        for start in range(0, self.samples, self.batch_size):
            yield order[start : start + self.batch_size]

    def batch_of(self, stored: Sequence[Any]) -> Any:
        """Return a batch from the bytes of its images: JPEG decoded, or pixels copied, into their places."""
        import torch

        batch = np.empty((len(stored), *self.shape), self.dtype)
        if self.is_jpeg:
            import simplejpeg

            for image, place in zip(stored, batch, strict=True):
                simplejpeg.decode_jpeg(image, "RGB", buffer=place)
        else:
            for image, place in zip(stored, batch, strict=True):
                place[...] = np.frombuffer(image, self.dtype).reshape(self.shape)
        return torch.from_numpy(batch)
