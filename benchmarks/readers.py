"""How fast stores are read: voxloom's, other packages', each in its environment, and what bounds all.

    .venv/bin/python benchmarks/readers.py --scale 0.05 --rounds 2            # does it run
    .venv/bin/python benchmarks/readers.py --environments ENVS --peers all --output readers.md

Every reader gives torch batches of 64 images in their native size and type, in a shuffled order, the last
smaller one too, each with the ids that it stored beside them. Each runs in a process of its own on the same
cores and writes the same images once, in its own format. A first epoch, untimed, proves that all bytes sum
to the truth, that each id comes once and belongs to its image, and that batches are memory and not views of
files; it also warms the page cache. Then the readers take turns, an epoch each, for some rounds, and the
best epoch of each counts. In a timed epoch only the ids are kept; they are compared when the clock has
stopped. Ratios are images a second over those of the reference: ref-raw gathers each batch from a mapped
array, ref-jpeg decodes JPEG from one mapped file into its place in the batch.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from reader_data import KINDS, make_case, progress

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))
from environments import PEERS, NotInstalledError, python_of  # noqa: E402

RAW = ("memmap", "arrow", "hdf5")
WAYS = {"loader": "Loader", "thread": "Loader, one thread reads ahead", "gather": "bare gather"}
SINGLE = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
PATIENCE = 900
"""Seconds that a reader may take to write its files, or for an epoch."""


@dataclass
class Reader:
    """One line of the table."""

    label: str
    module: str
    variant: str
    note: str = ""
    peer: str = ""
    store: str = ""
    """Readers of one case with the same store share what is written."""
    process: Any = None
    error: str = ""
    bytes: int = 0
    times: list[dict[str, float]] = field(default_factory=list)

    def start(self, python: str, case: Path, stores: Path, log: Path) -> None:
        command = [python, str(HERE / "peers" / "serve.py"), self.module, self.variant, str(case)]
        command.append(str(stores / self.store))
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("a"),
            text=True,
            env=os.environ | SINGLE,
        )

    def ask(self, order: str) -> dict[str, Any]:
        """Return the answer to an order; what fails is out of the race."""
        if self.error:
            return {}
        ended = {"error": f"the process ended, or did not answer in {PATIENCE} s"}
        alarm = Timer(PATIENCE, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            answer = json.loads(line) if line else ended
        except BrokenPipeError:
            answer = ended
        alarm.cancel()
        self.error = answer.get("error", "")
        return answer

    def stop(self) -> None:
        if self.process:
            self.process.stdin.close()
            self.process.wait()

    def best(self, clock: str) -> float:
        return min(time[clock] for time in self.times)


def own(case: str) -> Iterator[Reader]:
    """Yield the references and voxloom's readers of a case."""
    reference = "jpeg" if case == "jpeg" else "raw"
    yield Reader(f"ref-{reference}", "with_reference", reference, "the floor", store="reference")
    variants = {
        "jpeg": ["arrow:loader", "tar:loader", "parquet:loader", "arrow:thread", "arrow:gather"],
        "frames": ["memmap:loader", "arrow+blosc:loader", "hdf5+blosc:loader", "arrow+blosc:gather"],
    }.get(case, [f"{name}:{way}" for way in WAYS for name in RAW] + ["tar:loader"])
    for variant in variants:
        store, _, way = variant.partition(":")
        note = WAYS[way]
        yield Reader(f"voxloom {store}", "with_voxloom", variant, note, store=f"voxloom-{store}")


def others(case: str, names: Sequence[str], cores: int) -> Iterator[Reader]:
    """Yield the peers' readers of a case."""
    is_jpeg = case == "jpeg"
    fast = "simplejpeg" if is_jpeg else "bytes copied into place"
    slow = "its own decoder, Pillow" if is_jpeg else "its own arrays"
    grain = [("0", "no threads"), (str(max(2, cores)), f"{max(2, cores)} threads")]
    ways = {
        "litdata": [
            ("own", "tensors; shuffles chunks, then within"),
            ("bytes", f"{fast}; shuffles chunks, then within"),
        ],
        "datasets": [("image" if is_jpeg else "array", slow), ("bytes", fast)],
        "webdataset": [("own", f"{slow}; buffer of 1000"), ("bytes", f"{fast}; buffer of 1000")],
        "mosaicml-streaming": [("own", slow), ("bytes", fast)],
        "grain": [(variant, f"{fast}; {words}") for variant, words in grain]
        + [("bare", f"{fast}; array_record alone, a batch at once")],
        "pylance": [("any", "simplejpeg" if is_jpeg else "lists of one length, not copied again")],
        "pillow": [("any", f"folder of {'JPEG' if is_jpeg else 'PNG'} files, torch's DataLoader")],
        "ffcv": [("any", "")],
    }
    for name in names:
        if case == "frames" and name != "pillow":
            continue  # how they hold 16 bits without loss, compressed, is each user's choice
        for variant, note in ways[name]:
            if (name, variant, is_jpeg) in (("webdataset", "own", False), ("litdata", "own", True)):
                continue  # no arrays without a codec of numpy's; no decoder but torchvision's
            store = f"{name}-{variant}" if name in ("datasets", "litdata", "mosaicml-streaming") else name
            reader = Reader(name, PEERS[name].module, variant, note, name, store)
            yield reader


def begin(reader: Reader, options: argparse.Namespace, case: Path) -> None:
    """Start a reader's process, or note why it cannot run."""
    try:
        python = sys.executable
        if reader.peer:
            base = options.python or sys.executable
            python = python_of(reader.peer, options.environments, options.constraint, base=base)
            if not reader.module:
                raise NotInstalledError("no reader has been written for it")
    except NotInstalledError as error:
        reader.error = f"not installed: {error}"
        return
    reader.start(python, case, case / "stores", options.work / "readers.log")


def measure(name: str, options: argparse.Namespace) -> tuple[Any, list[Reader]]:
    """Write one case, check all its readers, and let them take turns."""
    folder = options.work / name
    progress(f"{name}: images")
    case = make_case(name, folder, options.scale)
    (folder / "stores").mkdir(exist_ok=True)
    readers = [*own(name), *others(name, options.peers, len(options.cores))]
    with ExitStack() as stack:
        for reader in readers:
            stack.callback(reader.stop)
            if not reader.error:
                begin(reader, options, folder)
            progress(f"{name}: {reader.label}, {reader.note}: {reader.error or 'writes and checks'}")
            reader.bytes = reader.ask("write").get("bytes", 0)
            reader.ask("check 0")
        for turn in range(options.rounds):
            progress(f"{name}: round {turn + 1} of {options.rounds}")
            start = turn * len(readers) // options.rounds
            for reader in readers[start:] + readers[:start]:
                if (answer := reader.ask(f"time {turn + 1}")) and not reader.error:
                    reader.times.append(answer)
    if not options.keep:
        shutil.rmtree(folder)
    return case, readers


def table(case: Any, readers: Sequence[Reader]) -> str:
    """Return the results of a case as Markdown."""
    kind, reference = KINDS[case.name], readers[0]
    pixels = case.samples * case.nbytes
    head = ["reader", "how", "images/s", "GB/s", "/ ref, wall", "/ ref, CPU", "GB/s a core", "bytes / pixels"]
    lines = [
        f"### {kind.words}, {case.samples} images, {pixels / 1e6:.0f} MB of pixels, / {reference.label}",
        "",
        "| " + " | ".join(head) + " |",
        "|---|---|" + "---:|" * (len(head) - 2),
    ]
    for reader in readers:
        if reader.error or not reader.times:
            lines.append(f"| {reader.label} | {reader.error or 'not timed'} |" + " |" * (len(head) - 2))
            continue
        wall, cpu = reader.best("wall"), reader.best("cpu")
        cells = [reader.label, reader.note, f"{case.samples / wall:.0f}", f"{pixels / wall / 1e9:.2f}"]
        if reference.times:
            cells += [f"{reference.best(clock) / reader.best(clock):.2f}" for clock in ("wall", "cpu")]
        else:
            cells += ["-", "-"]
        cells += [f"{pixels / cpu / 1e9:.2f}", f"{reader.bytes / pixels:.2f}" if reader.bytes else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def versions(options: argparse.Namespace) -> str:
    """Return the versions of the packages that were measured."""
    found = []
    for name in options.peers:
        python = options.environments / name / "bin" / "python"
        code = f"from importlib.metadata import version; print(version({name!r}))"
        done = (
            subprocess.run([python, "-c", code], capture_output=True, text=True) if python.exists() else None
        )
        if done and not done.returncode:
            found.append(f"{name} {done.stdout.strip()}")
    return ", ".join(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--cases", nargs="+", choices=KINDS, default=list(KINDS), help="all of them by default"
    )
    parser.add_argument("--peers", nargs="*", default=[], help=f"all, or some of {', '.join(PEERS)}")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--constraint", type=Path, default=HERE.parent / "constraints.txt", help="pins torch")
    parser.add_argument("--python", help="the Python that makes environments; this one by default")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the number of images; 1 is some 500 MB a case"
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs of each reader; the best counts")
    parser.add_argument("--cores", type=int, default=1, help="cores that all readers have together")
    parser.add_argument("--work", type=Path, default=Path("runs/readers"), help="where images and stores go")
    parser.add_argument("--keep", action="store_true", help="leave images and stores for the next run")
    parser.add_argument("--output", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    options.peers = list(PEERS) if options.peers == ["all"] else options.peers
    if wrong := set(options.peers) - set(PEERS):
        parser.error(f"--peers {' '.join(sorted(wrong))}: expected all, or some of {', '.join(PEERS)}")
    if options.peers and not options.environments:
        parser.error("--peers needs --environments DIR, where their environments are or shall be")
    options.work, options.environments = (
        options.work.resolve(),
        (options.environments or options.work).resolve(),
    )
    return options


def main() -> None:
    options = arguments()
    options.cores = sorted(os.sched_getaffinity(0))[: options.cores]
    os.sched_setaffinity(0, options.cores)  # what starts from here on stays there too
    options.work.mkdir(parents=True, exist_ok=True)
    text = [
        f"{len(options.cores)} core{'s' * (len(options.cores) > 1)}, one process a reader, Python "
        f"{platform.python_version()}, best of {options.rounds} interleaved epochs, warm page cache. "
        f"{versions(options)}\n"
    ]
    for name in options.cases:
        text.append(table(*measure(name, options)))
        print(text[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(text))


if __name__ == "__main__":
    main()
