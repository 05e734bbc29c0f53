"""Images for `readers.py` and `conversion.py`: synthetic, of a natural spectrum, always the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from case import Case

FIELD = 1024
"""Rows and columns of a field, from which images are cut."""
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Kind:
    """What a case's images are: at scale 1 its `samples` are some 400 to 600 MB of pixels."""

    samples: int
    shape: tuple[int, ...]
    dtype: str
    is_jpeg: bool
    words: str


KINDS = {
    "fixed-224": Kind(4000, (224, 224, 3), "uint8", False, "224 x 224 x 3 uint8"),
    "fixed-64": Kind(40000, (64, 64, 3), "uint8", False, "64 x 64 x 3 uint8"),
    "jpeg": Kind(3000, (256, 256, 3), "uint8", True, "256 x 256 JPEG as stored"),
    "frames": Kind(800, (512, 512), "uint16", False, "512 x 512 uint16"),
}


def fields(rng: np.random.Generator, number: int, power: float = 1.0) -> Any:
    """Return fields (number, FIELD, FIELD) of mean 0 and deviation 1; amplitudes fall as 1/f**power."""
    y, x = np.fft.fftfreq(FIELD)[:, None], np.fft.rfftfreq(FIELD)[None]
    amplitude = np.maximum(np.hypot(y, x), 1 / FIELD) ** -power
    amplitude[0, 0] = 0
    phases = rng.uniform(0, 2 * np.pi, (number, *amplitude.shape))
    made = np.fft.irfft2(amplitude * np.exp(1j * phases), s=(FIELD, FIELD))
    return (made / made.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def colour_images(rng: np.random.Generator, kind: Kind) -> Iterator[Any]:
    """Yield photographs of nothing: one field bright and dark, two that colour it weakly."""
    light, red, blue = (fields(rng, 8, power) for power in (1.2, 1.4, 1.4))
    height, width, _ = kind.shape
    while True:
        y, x = rng.integers(FIELD - height), rng.integers(FIELD - width)
        cut = np.s_[y : y + height, x : x + width]
        a, b, c = (group[rng.integers(8)][cut] for group in (light, red, blue))
        pixels = np.stack([a + 0.3 * b, a, a + 0.3 * c], axis=-1) * 45 + rng.uniform(90, 150)
        yield np.clip(pixels, 0, 255).astype(np.uint8)


def frames(rng: np.random.Generator, kind: Kind) -> Iterator[Any]:
    """Yield what a camera gives: an offset of 100, some hundred photons of a smooth structure, noise."""
    smooth = fields(rng, 8, 2.0)
    height, width = kind.shape
    while True:
        y, x = rng.integers(FIELD - height), rng.integers(FIELD - width)
        light = 400 * np.exp(0.8 * smooth[rng.integers(8)][y : y + height, x : x + width])
        noise = rng.standard_normal(kind.shape, dtype=np.float32)
        yield np.clip(100 + light + np.sqrt(light + 2) * noise, 0, 65535).astype(np.uint16)


def make_case(name: str, folder: Path, scale: float = 1.0) -> Case:
    """Write a case once and return it."""
    kind = KINDS[name]
    samples = max(70, round(kind.samples * scale))  # a whole batch and a part of one, at least
    if (folder / "case.json").exists() and (case := Case.load(folder)).samples == samples:
        return case
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, name)))
    images = (frames if kind.dtype == "uint16" else colour_images)(rng, kind)
    np.save(folder / "ids.npy", np.arange(samples))
    if kind.is_jpeg:
        sums = _write_jpeg(folder, images, samples)
    else:
        sums = _write_pixels(folder, images, samples, kind)
    mixed = sum(number * value for number, value in enumerate(sums)) % 2**61
    case = Case(folder, name, samples, kind.shape, kind.dtype, kind.is_jpeg, sum(sums), mixed)
    case.save()
    return case


def _sum(image: Any) -> int:
    return int(np.ascontiguousarray(image).view(np.uint8).sum(dtype=np.int64))


def _write_pixels(folder: Path, images: Iterator[Any], samples: int, kind: Kind) -> list[int]:
    shape = (samples, *kind.shape)
    out = np.lib.format.open_memmap(folder / "images.npy", "w+", kind.dtype, shape)
    sums = []
    for place, image in zip(out, images, strict=False):
        place[...] = image
        sums.append(_sum(image))
    out.flush()
    return sums


def _write_jpeg(folder: Path, images: Iterator[Any], samples: int) -> list[int]:
    import simplejpeg

    sums, offsets = [], [0]
    with (folder / "blob.bin").open("wb") as file:
        for _, image in zip(range(samples), images, strict=False):
            data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), JPEG_QUALITY, colorsubsampling="420")
            offsets.append(offsets[-1] + file.write(data))
            sums.append(_sum(simplejpeg.decode_jpeg(data)))
    np.save(folder / "offsets.npy", np.array(offsets, np.int64))
    return sums


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
