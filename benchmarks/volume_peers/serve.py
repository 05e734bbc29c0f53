"""One reader of volumes in a process of its own, told by `volumes.py` over its standard input what to do.

``serve.py MODULE CASE DATA``; then a line ``check`` or ``time COUNT SEED`` for each answer, one line of JSON.
A module has ``reader(case, data)``, which returns a function of a numpy generator that makes one item and
returns it: an array, or a mapping of arrays.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def resident() -> float:
    """Return the MB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def check(item: Callable[[Any], Any]) -> dict[str, Any]:
    """Make a few items, which also warms caches and compiles; tell what one is."""
    for seed in range(3):
        made = item(np.random.default_rng(seed))
    arrays = made.items() if isinstance(made, dict) else [("item", made)]
    told = {name: f"{tuple(a.shape)} {a.dtype}" for name, a in arrays if hasattr(a, "shape")}
    return {"item": told, "MB": resident()}


def timed(item: Callable[[Any], Any], count: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        item(rng)
    return {
        "wall": (time.perf_counter() - wall) / count,
        "cpu": (time.process_time() - cpu) / count,
        "MB": resident(),
    }


def main() -> None:
    name, case, data = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the log
    item = None
    for line in sys.stdin:
        order, *numbers = line.split()
        try:
            item = item or importlib.import_module(name).reader(case, Path(data))
            answer = check(item) if order == "check" else timed(item, *map(int, numbers))
        except Exception as error:  # noqa: BLE001 - whatever a library raises goes into the table
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
