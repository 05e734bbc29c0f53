import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from voxloom.volumes import compiling
from voxloom.volumes.compiling import kernel, load_pair


def test_without_a_folder_for_the_cache_kernels_compile_all_the_same(monkeypatch):
    def none(_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiling, "_Cache", none)
    assert kernel(lambda a: a + 1)(2) == 3


CODE = """
import logging, resource, signal
logging.basicConfig()
from voxloom.volumes.crossing import bounds_between
import numpy as np
import pytest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for dtype in (np.float64, np.float32):
    found = np.empty((1, 2, 3))
    bounds_between(np.zeros((8, 3), dtype), np.array([[-1.0, 1.0]]), found)
print(found.any())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_where_the_disk_is_full_kernels_compile_all_the_same(tmp_path):
    """As with a quota: the folder is there, and takes no file. Said once."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert done.stderr.count("NUMBA_CACHE_DIR") == 1


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_changes(tmp_path, monkeypatch):
    """The other lies in another file, at which numba does not look."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    (tmp_path / "outer.py").write_text("def outer(a):\n    return inner(a)\n")
    found = []
    for number, sources in ((1, "one"), (2, "one"), (2, "two")):
        monkeypatch.setattr(compiling, "_sources", lambda sources=sources: sources)
        names = {"inner": numba.njit(eval(f"lambda a: a + {number}"))}
        exec(compile((tmp_path / "outer.py").read_text(), str(tmp_path / "outer.py"), "exec"), names)
        found.append(kernel(names["outer"])(0))
    assert found == [1, 1, 2]  # the second is what numba alone would always do


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
