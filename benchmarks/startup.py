"""How long the first things take: ``import voxloom`` and ``voxloom --help``, beside an empty Python.

Run with ``.venv/bin/python benchmarks/startup.py``. Seconds depend on the machine, so they are shown
with their ratio to an empty Python too. The promises, Python's own start included: 0.1 s and 0.3 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": (["-c", "pass"], None),
    "import voxloom": (["-c", "import voxloom"], 0.1),
    "voxloom --help": (["-m", "voxloom", "--help"], 0.3),
    "voxloom train --help": (["-m", "voxloom", "train", "--help"], None),
}


def seconds(arguments: list[str], repeats: int) -> float:
    """Return the best of several runs in fresh processes: what the code costs, less the machine's noise."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="runs of each; the best counts")
    repeats = parser.parse_args().repeats
    print(f"Python {sys.version.split()[0]}, best of {repeats}")
    print(f"{'':22} {'seconds':>8} {'ratio':>6} {'promise':>8}")
    measured = {name: seconds(arguments, repeats) for name, (arguments, _) in COMMANDS.items()}
    for name, (_, promise) in COMMANDS.items():
        ratio = measured[name] / measured["python -c pass"]
        print(f"{name:22} {measured[name]:8.3f} {ratio:6.1f} {f'< {promise}' if promise else '':>8}")
    broken = [n for n, (_, promise) in COMMANDS.items() if promise and measured[n] > promise]
    if broken:
        sys.exit(f"slower than promised: {', '.join(broken)}")


if __name__ == "__main__":
    main()
