"""How fast folders become stores, beside decoding them once and beside copying them.

    .venv/bin/python benchmarks/conversion.py --scale 0.05 --rounds 1         # does it run
    .venv/bin/python benchmarks/conversion.py --output conversion.md

A folder of JPEG files of many sizes (some 350 x 400 pixels, always the same) is converted by voxloom: to
arrow and tar, which copy the files' bytes, and to memmap and HDF5 at 256 x 256 RGB, which decode and resize.
The decode pass opens each file with Pillow and makes an array of it, nothing more; it writes nothing. The
copy is ``cp -r``. Everything that writes is on the disk when its clock stops: voxloom brings each shard
there itself, and the clock of each includes a ``sync -f`` of the target's file system at the end. Files are
read from a warm page cache. All take turns for some rounds, and the best of each counts. CPU time includes
that of worker processes and of cp.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from reader_data import JPEG_QUALITY, Kind, colour_images, progress

from voxloom.conversion import convert
from voxloom.sources.files import class_folder

SAMPLES = 3000
LARGEST = (420, 500)
SIZE = (256, 256)


@dataclass
class Row:
    """One line of the table: something done with the folder."""

    label: str
    act: Callable[[Path], None]
    cores: int = 1
    times: list[tuple[float, float]] = field(default_factory=list)

    def best(self, clock: int) -> float:
        return min(pair[clock] for pair in self.times)


def make_folder(folder: Path, samples: int) -> None:
    """Write JPEG files into ten class folders, once."""
    import simplejpeg

    if folder.exists():
        return
    rng = np.random.default_rng(7)
    images = colour_images(rng, Kind(samples, (*LARGEST, 3), "uint8", True, ""))
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for number, image in zip(range(samples), images, strict=False):
        path = part / f"class {number % 10}" / f"{number:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (int(most - rng.integers(140)) for most in LARGEST)
        pixels = np.ascontiguousarray(image[:height, :width])
        path.write_bytes(simplejpeg.encode_jpeg(pixels, JPEG_QUALITY, colorsubsampling="420"))
    part.rename(folder)


def decode_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))


def rows(folder: Path, workers: int) -> list[Row]:
    """Return what is measured."""
    copy = ["cp", "-r", str(folder)]
    found = [
        Row("one decode pass with Pillow", lambda _: decode_all(folder)),
        Row("cp -r", lambda target: subprocess.run([*copy, str(target)], check=True) and None),
    ]

    def to(name: str, number: int = 0, **settings: Any) -> Callable[[Path], None]:
        return lambda target: convert(class_folder(folder), target, format=name, workers=number, **settings)

    found += [Row(f"to {name}, bytes copied", to(name)) for name in ("arrow", "tar")]
    height, width = SIZE
    for number in (0, workers):
        words = f", {number} workers on {number} cores" if number else ""
        for name in ("memmap", "hdf5"):
            act = to(name, number, size=SIZE, mode="RGB")
            found.append(Row(f"to {name} at {height} x {width} RGB{words}", act, max(1, number)))
    return found


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(row: Row, target: Path, cores: list[int]) -> None:
    """Do it once, on as many cores as it may have, with a target that does not exist."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["sync"], check=True)
    os.sched_setaffinity(0, cores[: row.cores])
    wall, cpu = time.perf_counter(), cpu_seconds()
    row.act(target)
    if target.exists():
        subprocess.run(["sync", "-f", str(target)], check=True)
    row.times.append((time.perf_counter() - wall, cpu_seconds() - cpu))
    os.sched_setaffinity(0, cores)
    shutil.rmtree(target, ignore_errors=True)


def table(measured: list[Row], samples: int, nbytes: int) -> str:
    """Return the results as Markdown; ratios are of speeds, so 2 is twice as fast."""
    decode, copy = measured[:2]
    lines = [
        f"{samples} JPEG files, {nbytes / 1e6:.0f} MB; Python {platform.python_version()}, best of "
        f"{len(decode.times)} interleaved rounds.",
        "",
        "| what | seconds | CPU s | images/s | MB/s | / decode pass | / decode pass, CPU | / cp -r |",
        "|---|" + "---:|" * 7,
    ]
    for row in measured:
        wall, cpu = row.best(0), row.best(1)
        cells = [f"{wall:.2f}", f"{cpu:.2f}", f"{samples / wall:.0f}", f"{nbytes / wall / 1e6:.0f}"]
        cells += [f"{decode.best(0) / wall:.2f}", f"{decode.best(1) / cpu:.2f}", f"{copy.best(0) / wall:.2f}"]
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--scale", type=float, default=1.0, help=f"of the {SAMPLES} images")
    parser.add_argument("--rounds", type=int, default=3, help="times that each is done; the best counts")
    parser.add_argument("--workers", type=int, default=2, help="processes, and cores, of the last rows")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/conversion"), help="where folders and stores go"
    )
    parser.add_argument("--output", type=Path, help="a Markdown file for the table")
    options = parser.parse_args()
    samples = max(20, round(SAMPLES * options.scale))
    folder, target = options.work / f"folder-{samples}", options.work / "target"
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < options.workers:
        parser.error(f"--workers {options.workers}: there are {len(cores)} cores")
    make_folder(folder, samples)
    nbytes = sum(path.stat().st_size for path in folder.rglob("*.jpg"))
    decode_all(folder)  # warms the page cache, and Pillow
    measured = rows(folder, options.workers)
    for turn in range(options.rounds):
        for row in measured:
            progress(f"round {turn + 1} of {options.rounds}: {row.label}")
            measure(row, target, cores)
    text = table(measured, samples, nbytes)
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
