"""How fast patches of volumes are read, turned and opened: voxloom's, other packages', and what bounds all.

    .venv/bin/python benchmarks/volumes.py --size 256 --seconds 1 --rounds 2                # does it run
    .venv/bin/python benchmarks/volumes.py --environments ENVS --peers all --output volumes.md

Each reader is a process of its own, pinned to the same core. It makes some items first, untimed, which warms
the page cache and compiles what is compiled; then the readers take turns for some rounds, and the best
round of each counts, by CPU time. The volumes are synthetic and lie in two layouts: zarr v3 in shards of 256
voxels an axis with chunks of 32, zstd level 1 (`v3`), and OME-NGFF 0.4 in zarr v2 with chunks of 64 (`v2`),
which CellMap-Data reads. MONAI, TorchIO and scipy turn arrays that lie in memory: they read no chunk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from volume_data import make

HERE = Path(__file__).parent
SINGLE = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
NO_CACHE = {"VOXLOOM_VOLUME_CACHE": "8000000"}
"""Ours keeps decoded chunks; here as good as none, so that each crop is decoded as it is for the others."""
PATIENCE = 120
"""Seconds that a reader may take for an answer."""

PEERS = {
    "cellmap-data 2025.12": ("cellmap-2025", ["cellmap-data==2025.12.24.539"]),
    "cellmap-data 2026.3": ("cellmap-2026", ["cellmap-data==2026.3.20.1935"]),
    "TorchIO": ("torchio", ["torchio"]),
}
"""Each peer with an environment of its own, and what pip installs there."""


@dataclass
class Reader:
    """One line of a table."""

    label: str
    module: str
    case: str
    note: str = ""
    items: int = 1
    """Patches, or volumes, of one item."""
    process: Any = None
    error: str = ""
    count: int = 1
    first: dict[str, Any] = field(default_factory=dict)
    times: list[dict[str, float]] = field(default_factory=list)

    def ask(self, order: str) -> dict[str, Any]:
        if self.error:
            return {}
        alarm = Timer(PATIENCE, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            answer = json.loads(
                self.process.stdout.readline() or f'{{"error": "ended, or took over {PATIENCE} s"}}'
            )
        except BrokenPipeError:
            answer = {"error": "the process ended"}
        alarm.cancel()
        self.error = answer.get("error", "")
        return answer

    @property
    def cpu(self) -> float:
        """Seconds of CPU time an item, the best round's."""
        return min(time["cpu"] for time in self.times) / self.items


CASES: dict[str, tuple[str, list[Reader]]] = {
    "crops": (
        "random crops of 64 x 64 x 64 uint8",
        [
            Reader("bare", "with_bare", "crops", "decompresses the chunks touched"),
            Reader("TensorStore", "with_tensorstore", "crops"),
            Reader("zarr-python 3", "with_zarr", "crops"),
            Reader("voxloom", "with_voxloom", "crops"),
            Reader("voxloom", "with_voxloom", "crops8", "8 crops a block", 8),
        ],
    ),
    "patches": (
        "128 x 128 x 128 uint8, raw and 5 classes, not turned",
        [
            Reader("bare", "with_bare", "patches", "decompresses the chunks touched"),
            Reader("TensorStore", "with_tensorstore", "patches"),
            Reader("zarr-python 3", "with_zarr", "patches"),
            Reader("cellmap-data 2025.12", "with_cellmap", "patches", "v2"),
            Reader("cellmap-data 2026.3", "with_cellmap", "patches", "v2"),
            Reader("voxloom", "with_voxloom", "patches@v2", "v2"),
            Reader("voxloom", "with_voxloom", "patches"),
        ],
    ),
    "turned": (
        "the same, turned about three axes by up to 30 degrees",
        [
            Reader("scipy", "with_scipy", "turned", "no reading"),
            Reader("MONAI", "with_monai", "turned", "no reading"),
            Reader("TorchIO", "with_torchio", "turned", "no reading"),
            Reader("cellmap-data 2025.12", "with_cellmap", "turned", "v2"),
            Reader("cellmap-data 2026.3", "with_cellmap", "turned", "v2"),
            Reader("voxloom", "with_voxloom", "turned@v2", "v2"),
            Reader("voxloom", "with_voxloom", "turned"),
        ],
    ),
    "opening": (
        "opening 300 volumes",
        [
            Reader("zarr-python 3", "with_zarr", "opening", "attributes and two arrays each"),
            Reader("cellmap-data 2025.12", "with_cellmap", "opening"),
            Reader("cellmap-data 2026.3", "with_cellmap", "opening"),
            Reader("voxloom", "with_voxloom", "opening"),
        ],
    ),
    "memory": (
        "patches of 32 x 32 x 32 from 100 volumes with 8 threads: memory as the epoch grows",
        [
            Reader("voxloom", "with_voxloom", "epoch1000", "an epoch of 1000", 1000),
            Reader("voxloom", "with_voxloom", "epoch4000", "an epoch of 4000", 4000),
        ],
    ),
    "writing": (
        "a tile of 5 x 128 x 128 x 128 uint8 probabilities, blended, with its pyramid",
        [
            Reader("TensorStore", "with_writing", "bare", "compresses and writes 5 x 128^3, no blending"),
            Reader("MONAI", "with_monai", "writing", "SlidingWindowInferer, writes nothing", 27),
            Reader("voxloom", "with_writing", "blended", "all but the network", 27),
        ],
    ),
}


def python_of(label: str, options: argparse.Namespace) -> str:
    """Return the interpreter of a peer's environment, made when it is not there."""
    if label not in PEERS:
        return sys.executable
    name, packages = PEERS[label]
    folder = options.environments / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for wanted in (["torch==2.13.0"], packages):
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
    return str(python)


def begin(reader: Reader, options: argparse.Namespace) -> None:
    if reader.label in PEERS and reader.label not in options.peers:
        reader.error = "not asked for (--peers)"
        return
    reader.process = subprocess.Popen(
        [python_of(reader.label, options), str(HERE / "volume_peers" / "serve.py"), reader.module,
         reader.case, str(options.data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | SINGLE | NO_CACHE,
        stderr=(options.work / "volumes.log").open("a"),
    )  # fmt: skip


def measure(case: str, options: argparse.Namespace) -> list[Reader]:
    """Let all readers of a case take turns."""
    readers = CASES[case][1]
    with ExitStack() as stack:
        for reader in readers:
            begin(reader, options)
            if reader.process:
                stack.callback(reader.process.wait)
                stack.callback(reader.process.stdin.close)
            reader.first = reader.ask("check")
            trial = reader.ask("time 1 0")
            print(f"{case}: {reader.label} {reader.note}: {reader.error or reader.first}", file=sys.stderr)
            reader.count = max(1, int(options.seconds / max(trial.get("wall", 1), 1e-6)))
        for turn in range(options.rounds):
            for reader in readers:
                answer = reader.ask(f"time {reader.count} {turn + 1}")
                if answer and not reader.error:
                    reader.times.append(answer)
    return readers


def table(case: str, readers: Sequence[Reader]) -> str:
    """Return the results of a case as Markdown; ratios are to the last line, which is ours."""
    ours = readers[-1]
    lines = [
        f"### {CASES[case][0]}",
        "",
        "| reader | how | ms, CPU | a second of CPU | voxloom is faster by | MB held |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for reader in readers:
        if reader.error or not reader.times:
            lines.append(f"| {reader.label} | {reader.error} | | | | |")
            continue
        ratio = f"{reader.cpu / ours.cpu:.2f}" if ours.times else "-"
        held = f"{max(time['MB'] for time in reader.times):.0f}"
        cells = [reader.label, reader.note, f"{reader.cpu * 1e3:.2f}", f"{1 / reader.cpu:.0f}", ratio, held]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="all by default")
    parser.add_argument("--peers", nargs="*", default=[], help=f"all, or some of {', '.join(PEERS)}")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--size", type=int, default=512, help="voxels of the volumes along each axis")
    parser.add_argument("--many", type=int, default=300, help="volumes to open")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each reader in each round")
    parser.add_argument("--rounds", type=int, default=5, help="the best counts")
    parser.add_argument("--core", type=int, default=0, help="where all readers run")
    parser.add_argument("--work", type=Path, default=Path("runs/volumes"), help="where the volumes go")
    parser.add_argument("--output", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    options.peers = list(PEERS) if options.peers == ["all"] else options.peers
    if wrong := set(options.peers) - set(PEERS):
        parser.error(f"--peers {' '.join(sorted(wrong))}: expected all, or some of {', '.join(PEERS)}")
    if options.peers and not options.environments:
        parser.error("--peers needs --environments DIR, where their environments are or shall be")
    options.work = options.work.resolve()
    options.data = options.work / f"{options.size}"
    return options


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    make(options.data, options.size, options.many)
    os.sched_setaffinity(0, {options.core})  # what starts from here on stays there too
    text = [f"One core, Python {platform.python_version()}, best of {options.rounds} rounds by CPU time.\n"]
    for case in options.cases:
        text.append(table(case, measure(case, options)))
        print(text[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(text))


if __name__ == "__main__":
    main()
