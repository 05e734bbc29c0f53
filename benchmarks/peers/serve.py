"""One reader in a process of its own, told by `readers.py` over its standard input what to do.

``serve.py MODULE VARIANT CASE_FOLDER STORE_FOLDER``; then a line ``write``, ``check SEED`` or ``time SEED``
for each answer, one line of JSON. A check reads one epoch and compares it with the truth; a timed epoch
keeps the ids and nothing else, and compares them after the clock has stopped.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from case import Case

Answer = dict[str, Any]


def sum_of_bytes(images: Any) -> Any:
    """Return the sum of the bytes of each image."""
    return images.contiguous().view(torch.uint8).reshape(len(images), -1).sum(1, dtype=torch.int64)


def rows_first(images: Any) -> Any:
    """Return a batch with its channels last, whether it is so in memory alone or in its axes too."""
    is_channels_first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3)
    return images.permute(0, 2, 3, 1) if is_channels_first else images


def lies_in_a_file(images: Any) -> bool:
    """Return whether a tensor is a view of a mapped file: it was not read, then, only promised."""
    address = images.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
        if low <= address < high:
            return "/" in line
    return False


def check(case: Case, epoch: Any) -> Answer:
    total, mixed, seen, sizes = 0, 0, [], []
    for ids, images in epoch:
        images = rows_first(images)
        expected = (len(images), *case.shape)
        if tuple(images.shape) != expected or str(images.dtype) != f"torch.{case.dtype}":
            raise ValueError(
                f"a batch {tuple(images.shape)} of {images.dtype}; expected {expected} of {case.dtype}"
            )
        if lies_in_a_file(images):
            raise ValueError("a batch is a view of a mapped file: nothing has been read yet")
        sums, numbers = sum_of_bytes(images).tolist(), np.asarray(ids).tolist()
        total += sum(sums)
        mixed += sum(number * value for number, value in zip(numbers, sums, strict=True))
        seen += numbers
        sizes.append(len(numbers))
    check_ids(case, seen)
    if (total, mixed % 2**61) != (case.total, case.mixed):
        raise ValueError(
            f"the bytes sum to {total} and {mixed % 2**61}; expected {case.total} and {case.mixed}"
        )
    if sizes[:-1] != [case.batch_size] * (len(sizes) - 1):
        raise ValueError(
            f"batches of {sorted(set(sizes))} samples; expected {case.batch_size}, the last one smaller"
        )
    return {"is_shuffled": seen != sorted(seen)}


def check_ids(case: Case, seen: list[int]) -> None:
    if len(seen) != case.samples or set(seen) != set(range(case.samples)):
        raise ValueError(f"{len(seen)} samples, {len(set(seen))} of them different; expected {case.samples}")


def timed(case: Case, epoch: Callable[[int], Any], seed: int) -> Answer:
    seen = []
    wall, cpu = time.perf_counter(), time.process_time()
    for ids, images in epoch(seed):
        seen.append(ids)
        del images
    answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    check_ids(case, [number for ids in seen for number in np.asarray(ids).tolist()])
    return answer


def write(module: Any, case: Case, folder: Path, variant: str) -> Answer:
    done = folder.with_suffix(".bytes")
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        module.write(case, folder, variant)
        done.write_text(str(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())))
    return {"bytes": int(done.read_text())}


def main() -> None:
    name, variant, case_folder, folder = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the log
    torch.set_num_threads(1)
    case, epoch, module = Case.load(Path(case_folder)), None, None
    for line in sys.stdin:
        order, *arguments = line.split()
        try:
            module = module or importlib.import_module(name)
            if order == "write":
                answer = write(module, case, Path(folder), variant)
            else:
                epoch = epoch or module.reader(case, Path(folder), variant)
                seed = int(arguments[0])
                answer = check(case, epoch(seed)) if order == "check" else timed(case, epoch, seed)
        except Exception as error:  # noqa: BLE001 - whatever a library raises goes into the table
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
