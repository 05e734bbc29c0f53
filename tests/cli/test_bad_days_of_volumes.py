"""What goes wrong with volumes, from the door: each command says what, where, and what helps."""

import json
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from voxloom.cli import main
from voxloom.testing.segmentation import write_segmentation, write_split
from voxloom.testing.volumes import write_classes, write_volume
from voxloom.volumes import Volume

resource = pytest.importorskip("resource", reason="limits the size of files as POSIX does")

SHAPE = (16, 20, 24)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    write_split(folder, shape=SHAPE)
    return folder


@pytest.fixture
def data(good, tmp_path):
    """Three datasets that a test may spoil."""
    return shutil.copytree(good, tmp_path / "data")


@pytest.fixture
def train(call, tmp_path):
    def run(split, *arguments):
        recipe = write_segmentation(tmp_path / "small.json", split)
        words = ("-c", recipe, "--run-dir", tmp_path / "run", "--max-epochs", 1)
        return call("train", "segmentation", *words, *arguments)

    return run


@pytest.fixture(scope="module")
def network(good, tmp_path_factory):
    """A trained run."""
    folder = tmp_path_factory.mktemp("network")
    recipe = write_segmentation(folder / "small.json", good / "split.csv")
    words = ["train", "segmentation", "-c", recipe, "--run-dir", folder / "run", "--max-epochs", 1]
    main([str(word) for word in words])
    return folder / "run"


@pytest.fixture
def predict(call, network, tmp_path):
    def run(volume, *arguments):
        words = ("--checkpoint", network, "--input", volume, "--output", tmp_path / "p.zarr")
        return call("predict", "segmentation", *words, "--device", "cpu", "--shard", 16, 16, 16, *arguments)

    return run


def change(path, change):
    """Change the multiscale metadata of a volume."""
    metadata = json.loads((path / "zarr.json").read_text())
    change(metadata["attributes"]["ome"]["multiscales"][0])
    (path / "zarr.json").write_text(json.dumps(metadata))


def set_units(image, unit):
    for axis in image["axes"]:
        axis.pop("unit", None)
        axis.update({"unit": unit} if unit else {})


def move(image):
    image["datasets"][0]["coordinateTransformations"][1]["translation"] = [1e5] * 3


def no_level(data):
    shutil.rmtree(data / "1/em.zarr/s0")


def other_unit(data):
    change(data / "1/em.zarr", lambda image: set_units(image, "micrometer"))


def no_unit(data):
    change(data / "1/em.zarr", lambda image: set_units(image, None))


def no_overlap(data):
    change(data / "1/em.zarr", move)


def half_written(data):
    (data / "1/em.zarr/zarr.json").write_text('{"attri')


def nothing(data):
    shutil.rmtree(data / "1/em.zarr")


def no_class(data):
    shutil.rmtree(data / "1/gt.zarr/er")


def fractions(data):
    shutil.rmtree(data / "1/gt.zarr")
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    write_classes(data / "1/gt.zarr", {"mito": values, "er": values})


METADATA = {
    no_level: r"em\.zarr: level 's0': the metadata name it, and no array is there\. Copy it too",
    other_unit: r"em\.zarr has voxels of \(8000\.0, .* its labels .* of \(8\.0, .* wrong unit; mend it",
    no_unit: r"em\.zarr: axis z has no unit\. State it: ",
    no_overlap: r"share no volume: raw lies in 99996 to .*, labels in -4 to 124 .* Look at the translations",
    half_written: r"em\.zarr/zarr\.json: not JSON: .* Copy it anew",
    nothing: r"em\.zarr: nothing is there",
    no_class: r"gt\.zarr/er: nothing is there\. .* holds mito",
    fractions: r"gt\.zarr/mito hold float32: expected integers, ids or 0 and 1\. .* decide first",
}


@pytest.mark.parametrize("spoil", METADATA, ids=lambda spoil: spoil.__name__)
def test_a_dataset_that_cannot_be_used_is_named_with_its_row(data, call, train, tmp_path, spoil):
    spoil(data)
    split, message = data / "split.csv", re.compile(rf"split\.csv, row 2: .*{METADATA[spoil]}")
    table = call("inspect", split)
    assert table.code == 1
    assert message.search(table.out)
    assert "1 further dataset cannot be used" in table.out
    for failed in (train(split), call("pack", split, tmp_path / "packed")):
        assert failed.code == 1
        assert message.search(failed.err)
        assert "Traceback" not in failed.err
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "packed").exists()
    skipped = call("pack", split, tmp_path / "packed", "--on-error", "skip")
    assert (skipped.code, message.search(skipped.out) is not None) == (0, True)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("volume", ["em.zarr", "gt.zarr/mito"])
def test_a_damaged_chunk_is_named(data, call, train, predict, tmp_path, volume):
    chunk = data / "1" / volume / "s0/c/0/0/0"
    whole = chunk.read_bytes()
    cut(chunk)
    message = re.compile(
        rf"1/{volume}: level 0, voxels \[.*\] \(z, y, x\) cannot be read: .*damaged: copy them anew"
    )
    table = call("inspect", data / "split.csv")
    assert (table.code, message.search(table.out) is not None) == (1, True)
    failed = [train(data / "split.csv"), call("pack", data / "split.csv", tmp_path / "packed")]
    failed += [predict(data / "1/em.zarr")] if volume == "em.zarr" else []
    for each in failed:
        assert each.code == 1
        assert message.search(each.err), each.err
    chunk.write_bytes(whole)  # copied anew, the same commands go on
    assert call("pack", data / "split.csv", tmp_path / "packed").code == 0
    assert predict(data / "1/em.zarr").code == 0


def test_a_volume_of_another_unit_is_not_predicted(data, predict, tmp_path):
    """There would be a billion voxels for each."""
    other_unit(data)
    failed = predict(data / "1/em.zarr")
    assert failed.code == 1
    assert (
        "voxels of (8000.0, 8000.0, 8000.0) nm (z, y, x), and the network is for voxels of (8.0" in failed.err
    )
    assert "--spacing Z Y X" in failed.err
    assert not (tmp_path / "p.zarr").exists()
    assert predict(data / "1/em.zarr", "--spacing", 8, 8, 8).code == 0


def test_a_unit_that_is_missing_is_stated(data, call, train, predict, tmp_path):
    no_unit(data)
    volume, split = data / "1/em.zarr", data / "split.csv"
    failed = predict(volume)
    assert "em.zarr: axis z has no unit. State it: --unit nanometer" in failed.err
    looked = call("inspect", volume)
    assert looked.code == 0  # looking needs no lengths
    assert "no unit" in looked.out
    unit = ("--unit", "nanometer")
    assert call("inspect", volume, *unit, "--preview", tmp_path / "p.png").code == 0
    assert call("inspect", split, *unit).code == 0
    assert call("pack", split, tmp_path / "packed", *unit).code == 0
    assert predict(volume, *unit).code == 0
    assert train(split, "--set", "segmentation_data.unit=nanometer").code == 0


def test_volumes_smaller_than_a_patch_and_of_one_plane(data, train, predict):
    raw = np.random.default_rng(0).integers(0, 255, (3, 20, 5)).astype(np.uint8)
    shutil.rmtree(data / "1")
    write_volume(data / "1/em.zarr", raw)
    write_classes(
        data / "1/gt.zarr", {"mito": (raw > 150).astype(np.uint8), "er": (raw < 60).astype(np.uint8)}
    )
    assert train(data / "split.csv").code == 0
    assert predict(data / "1/em.zarr").code == 0
    write_volume(data / "plane.zarr", raw[:1])
    assert predict(data / "plane.zarr", "--overwrite").code == 0


def test_colours_where_grey_was_trained(data, train, predict):
    raw = np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)
    shutil.rmtree(data / "1/em.zarr")
    write_volume(data / "1/em.zarr", raw)
    failed = train(data / "split.csv")
    assert failed.code == 1
    assert re.search(r"row 3: .*2/em.zarr has 1 channel of uint8, and .*1/em.zarr \(.*row 2\)", failed.err)
    failed = predict(data / "1/em.zarr")
    assert "em.zarr has 3 channels (0, 1, 2): the network expects 1. Choose them" in failed.err
    assert predict(data / "1/em.zarr", "--channel", 1).code == 0


def test_a_class_that_nobody_annotated_is_told(data, train):
    split = data / "split.csv"
    split.write_text(split.read_text().replace(",er]", "]"))
    failed = train(split)
    assert failed.code == 1
    assert "classes er: annotated in none of the 2 datasets to learn from" in failed.err


@contextmanager
def full_disk(limit):
    """Let no file grow over a limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_and_then_there_is_room(data, call, predict, tmp_path):
    packing = ("pack", data / "split.csv", tmp_path / "packed")
    with full_disk(3000):  # metadata go in, shards do not
        failed = {"p.zarr": predict(data / "3/em.zarr"), "packed": call(*packing)}
    for name, each in failed.items():
        assert each.code == 1
        assert re.search(rf"could not write .*{name}.*File too large\. Free some space", each.err)
        assert "Traceback" not in each.err
    assert predict(data / "3/em.zarr").code == 0
    assert call(*packing).code == 0
    made, raw = Volume.open(tmp_path / "packed/raw/3_em.zarr"), Volume.open(data / "3/em.zarr")
    np.testing.assert_array_equal(made.read(made.bounding_box), raw.read(raw.bounding_box))
