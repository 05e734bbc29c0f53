"""The names of the room: they load when they are used, and stand for the jobs."""

import subprocess
import sys

import pytest

import voxloom.jobs


def run(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["conversion", "inspection", "inspection_page", "listing", "progress"])
def test_no_torch_where_nothing_is_trained(name):
    assert run(f"import voxloom.jobs.{name}, sys; print('torch' in sys.modules)") == "False"


def test_unknown_names_are_told():
    assert dir(voxloom.jobs) == sorted(voxloom.jobs.__all__)
    with pytest.raises(AttributeError, match=r"module 'voxloom\.jobs' has no attribute 'trian'"):
        _ = voxloom.jobs.trian
