import subprocess
import sys

import pytest

from voxloom.errors import ConfigError, VolumeReadError
from voxloom.testing.volumes import phantom, write_volume
from voxloom.volumes import engine
from voxloom.volumes.volume import Volume

FORKING = """
import multiprocessing, os, sys
from voxloom.errors import LoadingError
from voxloom.volumes import Volume

def mean(volume):
    return float(volume.read(volume.bounding_box).mean())

def refused(volume):
    try:
        mean(volume)
    except LoadingError as error:
        return str(error)

if __name__ == "__main__":
    volume = Volume.open(sys.argv[1])
    expected = mean(volume)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(mean, (volume,)) == expected
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.apply(refused, (volume,)))
"""


@pytest.fixture
def fresh(monkeypatch):
    """Make each test's settings its own."""
    monkeypatch.setattr(engine, "_cache", None)
    engine._context.cache_clear()
    yield monkeypatch
    engine._context.cache_clear()


def test_the_cache_has_a_budget(fresh):
    fresh.delenv("VOXLOOM_VOLUME_CACHE", raising=False)
    assert engine.cache_bytes() == 256_000_000
    fresh.setenv("VOXLOOM_VOLUME_CACHE", "1000")
    assert engine.context()["cache_pool"].to_json() == {"total_bytes_limit": 1000}
    engine.set_cache(5000)
    assert engine.context()["cache_pool"].to_json() == {"total_bytes_limit": 5000}
    assert engine.context() is engine.context()


def test_settings_that_cannot_be_meant(fresh):
    with pytest.raises(ConfigError, match="-1 bytes"):
        engine.set_cache(-1)
    fresh.setenv("VOXLOOM_VOLUME_CACHE", "1 GB")
    with pytest.raises(ConfigError, match="VOXLOOM_VOLUME_CACHE='1 GB'"):
        engine.cache_bytes()


def test_decoded_chunks_are_kept_up_to_the_budget(fresh, tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((16, 16, 16)))
    chunk = path / "s0" / "c" / "0" / "0" / "0"
    data = chunk.read_bytes()
    for budget, is_kept in ((10_000_000, True), (0, False)):
        chunk.write_bytes(data)
        engine.set_cache(budget)
        volume = Volume.open(path)
        first = volume.read(volume.bounding_box)
        chunk.write_bytes(b"damaged")
        if is_kept:
            assert (volume.read(volume.bounding_box) == first).all()
        else:
            with pytest.raises(VolumeReadError):
                volume.read(volume.bounding_box)


def test_a_reopened_volume_reads_anew(tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((16, 16, 16)))
    volume = Volume.open(path)
    before = volume.read(volume.bounding_box)
    other = write_volume(tmp_path / "other.zarr", 255 - phantom((16, 16, 16)))
    chunk = "s0/c/0/0/0"
    (path / chunk).write_bytes((other / chunk).read_bytes())
    again = Volume.open(path)
    assert (again.read(again.bounding_box) == 255 - before).all()


def test_messages_are_short_and_end_with_what_helps():
    def said(text):
        return engine.told(ValueError(text))

    text = "NOT_FOUND: chunk {0} is missing [source locations='x.cc:1'] [tensorstore_spec='{}']"
    assert said(text) == "NOT_FOUND: chunk {0} is missing. Without strict=True the fill value is taken for it"
    assert "Check the rights" in said(
        "PERMISSION_DENIED: no [x-amzn-requestid='1'] [http_response_code='403']"
    )
    assert "x-amzn" not in said("PERMISSION_DENIED: no [x-amzn-requestid='1'] [http_response_code='403']")
    assert "Check the network" in said("ABORTED: All 3 retry attempts failed: UNAVAILABLE")


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_child_is_told_and_a_fresh_process_reads(tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((8, 8, 8)))
    script = tmp_path / "forking.py"
    script.write_text(FORKING)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "TensorStore's threads do not survive a fork" in done.stdout
    assert "start_method='spawn' or 'forkserver'" in done.stdout


@pytest.mark.parametrize("module", ["tensorstore", "numba"])
def test_without_the_extra_it_is_named(module):
    code = f"import sys; sys.modules[{module!r}] = None; from voxloom.volumes import Volume"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("voxloom.errors.MissingExtraError: ")
    assert "voxloom[volumes]" in done.stderr
