import os
import subprocess
import sys

import numba
import numpy as np

from voxloom.volumes import compiling
from voxloom.volumes.compiling import kernel, load_pair


def test_without_a_folder_for_the_cache_kernels_compile_all_the_same(monkeypatch):
    njit = numba.njit

    def without_cache(*_, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(compiling.numba, "njit", without_cache)
    assert kernel(lambda a: a + 1)(2) == 3


def test_a_pair_comes_lowest_first():
    @kernel
    def pair(values, at):
        return load_pair(values, at)

    assert pair(np.array([1, 2, 3], np.uint8), np.uint64(1)) == 2 + 3 * 256
    assert pair(np.array([1, 2, 3], np.uint16), np.uint64(0)) == 1 + 2 * 65536


def test_reading_volumes_compiles_nothing_at_import(tmp_path):
    """The import of what reads patches is quick; the first read compiles."""
    code = "import voxloom.volumes.bits, voxloom.volumes.sampling as s; print(len(s._nearest.signatures))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "0"
    assert not list(tmp_path.rglob("*.nb*"))
