"""What a store costs to open, what it notices, and what a cold disk does to it.

    .venv/bin/python benchmarks/stores.py --samples 10000 --scale 0.05        # does it run
    .venv/bin/python benchmarks/stores.py --output stores.md

Four questions, each answered for the formats named by --formats:

- Opening: seconds and memory to open a store of a million samples in 500 shards and read one, in a fresh
  process. Memory is the growth of the peak resident set since voxloom was imported.
- Flipped bytes: one byte of a shard is changed at random, many times. How often does `verify` find it, does
  a store opened with ``verify=True`` refuse it when it is first touched, and what does plain reading of all
  samples say.
- Digests: GB/s of XXH3-64 over a file in the page cache.
- Cold pages: images/s of one epoch after the files have been dropped from the page cache (Linux's
  posix_fadvise), in order, in a full shuffle and in a block shuffle (8 blocks of 64 mixed); and warm for
  comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reader_data import KINDS, colour_images, progress

from voxloom.conversion import convert, verify
from voxloom.errors import VoxloomError
from voxloom.formats import digest_of
from voxloom.formats.store import Store
from voxloom.sample import Cell, Field, Sample, Schema
from voxloom.source import Source

OPENING = """
import json, sys, time
import numpy as np
from voxloom.formats.store import Store
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
before, clock = peak(), time.perf_counter()
store = Store(sys.argv[1])
length, opened, memory = len(store), time.perf_counter() - clock, peak() - before
clock = time.perf_counter()
store[length // 3]
first, clock = time.perf_counter() - clock, time.perf_counter()
for i in np.random.default_rng(0).integers(length, size=1000).tolist():
    store[i]
reads = (time.perf_counter() - clock) / 1000
print(json.dumps({"length": length, "opened": opened, "memory": memory, "first": first,
                  "reads": reads, "after": peak() - before}))
"""
COLD = """
import json, os, sys, time
from pathlib import Path
from voxloom.formats.store import Store
from voxloom.loading import Loader, Order
path, shuffle, is_cold = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "cold"
store = Store(path)
order = Order(length=len(store), batch_size=64, shuffle=shuffle, block_size=64, mixed_blocks=8)
loader = iter(Loader(store, None, order=order, seed=0))
for file in Path(path).rglob("*"):
    if is_cold and file.is_file():
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
clock = time.perf_counter()
samples = sum(len(batch) for batch in loader)
print(json.dumps({"samples": samples, "seconds": time.perf_counter() - clock}))
"""

OUTCOMES = ("plain reading refuses it", "is not touched by it", "returns it", "fails otherwise")


class Made(Source):
    """Images of one shape that a function gives, with labels."""

    def __init__(self, samples: int, shape: tuple[int, ...], image: Callable[[int], Any]) -> None:
        self.samples, self.image = samples, image
        fields = [Field(name="image", axes="yxc"[: len(shape)], dtype="uint8", shape=shape)]
        self._schema = Schema([*fields, Field(name="label", kind="class", axes="", dtype="int64", shape=())])

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        return [f"{number % 1000:03d}/{number:08d}" for number in range(self.samples)]

    def __len__(self) -> int:
        return self.samples

    def cells(self, index: int) -> Mapping[str, Cell]:
        return {"image": self.image(index), "label": np.array(index % 1000)}

    def read(self, index: int) -> Sample:
        return Sample(f"{index % 1000:03d}/{index:08d}", self._schema, dict(self.cells(index)))


def run(code: str, *arguments: str) -> dict[str, Any]:
    """Return what a piece of code prints in a fresh process."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def best(code: str, rounds: int, name: str, *arguments: str) -> dict[str, Any]:
    return min((run(code, *arguments) for _ in range(rounds)), key=lambda answer: answer[name])


def opening(options: argparse.Namespace) -> Iterator[str]:
    """Yield the table of stores with many samples."""
    tiny = np.arange(64, dtype=np.uint8).reshape(8, 8)
    source = Made(options.samples, (8, 8), lambda _: tiny)
    yield f"### Opening a store of {options.samples} samples in {min(500, options.samples)} shards\n"
    yield "| format | written in s | open, s | MB more | first sample, ms | a sample, µs | MB after 1000 |"
    yield "|---|" + "---:|" * 6
    for name in options.formats:
        progress(f"opening: {name}")
        path, clock = options.work / f"many-{name}", time.perf_counter()
        per_shard = -(-options.samples // 500)
        convert(source, path, format=name, samples_per_shard=per_shard, overwrite=True)
        written = time.perf_counter() - clock
        found = best(OPENING, options.rounds, "opened", str(path))
        yield (
            f"| {name} | {written:.0f} | {found['opened']:.3f} | {found['memory'] / 1e6:.1f} "
            f"| {found['first'] * 1e3:.1f} | {found['reads'] * 1e6:.0f} | {found['after'] / 1e6:.1f} |"
        )
        shutil.rmtree(path)


def flipped(options: argparse.Namespace) -> Iterator[str]:
    """Yield the table of stores with one wrong byte."""
    rng = np.random.default_rng(3)
    images = colour_images(rng, KINDS["fixed-64"])
    some = [next(images) for _ in range(100)]
    trials = options.flips
    yield f"### One byte changed at random in a store of {len(some)} images of 64 x 64 x 3, {trials} times\n"
    heads = ["format", "`verify` finds it", "refused on first touch, verify=True", *OUTCOMES]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for name in options.formats:
        progress(f"flipped bytes: {name}")
        path = options.work / f"flipped-{name}"
        convert(Made(len(some), some[0].shape, some.__getitem__), path, format=name, overwrite=True)
        found = touched = 0
        plain = dict.fromkeys(OUTCOMES, 0)
        for _ in range(trials):
            file, place, value = flip(path, rng)
            found += not verify(path).ok
            touched += is_refused(path)
            plain[reading(path, some)] += 1
            put(file, place, value)
        yield f"| {name} | {found} | {touched} | " + " | ".join(map(str, plain.values())) + " |"
        shutil.rmtree(path)


def flip(path: Path, rng: np.random.Generator) -> tuple[Path, int, int]:
    """Change a byte of a store's shards; return what undoes it."""
    files = sorted(file for file in (path / "shards").rglob("*") if file.is_file() and file.stat().st_size)
    sizes = np.array([file.stat().st_size for file in files])
    file = files[rng.choice(len(files), p=sizes / sizes.sum())]
    place = int(rng.integers(file.stat().st_size))
    value = file.read_bytes()[place]
    put(file, place, value ^ (1 << int(rng.integers(8))))
    return file, place, value


def put(file: Path, place: int, value: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(bytes([value]))


def is_refused(path: Path) -> bool:
    """Return whether a store that checks digests refuses its first sample."""
    try:
        _ = Store(path, verify=True)[0]
    except VoxloomError:
        return True
    return False


def reading(path: Path, truth: Sequence[Any]) -> str:
    """Return what plain reading of all samples makes of a wrong byte, one of OUTCOMES."""
    refuses, harmless, silent, other = OUTCOMES
    try:
        store = Store(path)
        samples = [store[index] for index in range(len(store))]
    except VoxloomError:
        return refuses
    except Exception:  # noqa: BLE001 - none should come, and the table shall say so
        return other
    keys = Made(len(truth), truth[0].shape, truth.__getitem__).keys
    right = all(
        sample.key == key and sample["label"] == index and np.array_equal(sample["image"], image)
        for index, (sample, key, image) in enumerate(zip(samples, keys, truth, strict=True))
    )
    return harmless if right else silent


def digests(options: argparse.Namespace) -> Iterator[str]:
    """Yield the speed of digests."""
    path = options.work / "digest.bin"
    size = int(2**30 * min(1, options.scale))
    path.write_bytes(np.random.default_rng(0).bytes(size))
    seconds = []
    for _ in range(options.rounds + 1):
        clock = time.perf_counter()
        digest_of(path)
        seconds.append(time.perf_counter() - clock)
    path.unlink()
    yield "### Digests\n"
    yield f"{size / min(seconds) / 1e9:.1f} GB/s over a file of {size / 1e6:.0f} MB in the page cache."


def cold(options: argparse.Namespace) -> Iterator[str]:
    """Yield the table of epochs from files that are not in memory."""
    kind, samples = KINDS["fixed-224"], max(128, round(KINDS["fixed-224"].samples * options.scale))
    images = colour_images(np.random.default_rng(5), kind)
    some = [next(images) for _ in range(64)]
    source = Made(samples, kind.shape, lambda index: some[index % len(some)])
    orders = {"in order": False, "full shuffle": "full", "block shuffle": "block"}
    yield f"### One epoch of {samples} images of {kind.words}, images/s\n"
    yield "| format | " + " | ".join(f"{name}, cold" for name in orders) + " | full shuffle, warm |"
    yield "|---|" + "---:|" * (len(orders) + 1)
    for name in options.formats:
        progress(f"cold pages: {name}")
        path = options.work / f"cold-{name}"
        convert(source, path, format=name, overwrite=True)
        os.sync()  # pages that are not on the disk yet cannot be dropped
        ways = [(json.dumps(value), "cold") for value in orders.values()]
        run(COLD, str(path), '"full"', "warm")
        ways.append(('"full"', "warm"))
        found = [best(COLD, options.rounds, "seconds", str(path), *way) for way in [ways[-1], *ways[:-1]]]
        found = [*found[1:], found[0]]
        yield f"| {name} | " + " | ".join(f"{one['samples'] / one['seconds']:.0f}" for one in found) + " |"
        shutil.rmtree(path)


PARTS = {"opening": opening, "flipped": flipped, "digests": digests, "cold": cold}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all by default")
    parser.add_argument("--formats", nargs="+", default=["memmap", "hdf5", "parquet", "arrow", "tar"])
    parser.add_argument("--samples", type=int, default=1_000_000, help="of the store that is opened")
    parser.add_argument("--flips", type=int, default=100, help="bytes changed in each format")
    parser.add_argument("--scale", type=float, default=1.0, help="of the file of digests and the cold store")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of what is timed; the best counts")
    parser.add_argument("--work", type=Path, default=Path("runs/stores"), help="where stores go meanwhile")
    parser.add_argument("--output", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    text = []
    for part in options.parts:
        for line in PARTS[part](options):
            print(line, flush=True)
            text.append(line)
        print(flush=True)
        text.append("")
    if options.output:
        options.output.write_text("\n".join(text))


if __name__ == "__main__":
    main()
