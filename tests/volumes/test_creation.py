import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import DataError, OutputExistsError, SaveError, SchemaError
from voxloom.testing.ngff import check_ngff
from voxloom.testing.volumes import write_volume
from voxloom.volumes import creation
from voxloom.volumes.creation import create, create_labels, layout_of
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.volume import Volume

SHAPE = (20, 33, 40)
SMALL = {"chunk": (8, 8, 8), "shard": (16, 16, 16), "levels": 3}


def layout(**settings):
    return VolumeLayout(
        **{"spacing": (8, 4, 4), "origin": (100, 0, -6), "dtype": "uint8", **SMALL, **settings}
    )


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


FORMS = [
    {"version": "0.5"},
    {"version": "0.4"},
    {"version": "0.5", "shard": None},
    {"channels": ("mito", "er"), "dtype": "float32"},
    {"channels": ("mito", "er"), "version": "0.4"},
    {"dtype": "uint16", "compression": "blosc"},
    {"dtype": "int64", "compression": "gzip", "fill": -1},
    {"dtype": "bool", "compression": "none"},
    {"dtype": "uint16", "compression": "zstd", "version": "0.4", "fill": 7},
    {"dtype": "float64", "compression": "gzip", "version": "0.4"},
    {"dtype": "bool", "compression": "none", "version": "0.4"},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
def test_others_read_what_is_made(tmp_path, form):
    wanted = layout(**form)
    create(tmp_path / "raw.zarr", shape=SHAPE, layout=wanted)
    group = check_ngff(tmp_path / "raw.zarr", version=wanted.version)
    volume = Volume.open(tmp_path / "raw.zarr")
    assert [level.grid for level in volume.levels] == [grid for grid, _, _ in wanted.levels_of(SHAPE)]
    assert volume.dtype == wanted.dtype
    assert volume.channels == (wanted.channels or ("0",))
    array = group["s1"]
    assert array.shape == (*(len(wanted.channels),) * bool(wanted.channels), 20, 17, 20)
    assert (array[:] == wanted.fill).all()
    if wanted.version == "0.5":
        assert array.metadata.dimension_names == tuple(wanted.axes)


def test_the_first_centre_of_each_level_lies_over_its_voxels(tmp_path):
    create(tmp_path / "raw.zarr", shape=SHAPE, layout=layout())
    attributes = json.loads((tmp_path / "raw.zarr" / "zarr.json").read_text())["attributes"]
    [image] = attributes["ome"]["multiscales"]
    placed = [[t[k] for t, k in zip(d["coordinateTransformations"], ("scale", "translation"), strict=True)]
              for d in image["datasets"]]  # fmt: skip
    assert placed == [
        [[8, 4, 4], [100, 0, -6]],
        [[8, 8, 8], [100, 2, -4]],
        [[16, 16, 16], [104, 6, 0]],
    ]
    assert {axis["unit"] for axis in image["axes"]} == {"nanometer"}


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_plane_is_stored_without_z(tmp_path, version):
    flat = layout(is_flat=True, channels=("red", "green", "blue"), version=version)
    create(tmp_path / "plane.zarr", shape=(1, 40, 60), layout=flat)
    assert check_ngff(tmp_path / "plane.zarr", version=version)["s0"].shape == (3, 40, 60)
    assert Volume.open(tmp_path / "plane.zarr").shape == (3, 1, 40, 60)
    with pytest.raises(SchemaError, match="1, y, x"):
        create(tmp_path / "other.zarr", shape=(2, 40, 60), layout=flat)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_labels_are_listed_and_have_classes_and_colours(tmp_path, version):
    path = tmp_path / "raw.zarr"
    create(path, shape=SHAPE, layout=layout(version=version))
    ids = layout(version=version, kind="labels", dtype="uint16", classes={1: "mito", 2: "er"}, levels=None)
    for name in ("organelles", "cells"):
        create_labels(path, name, shape=SHAPE, layout=ids)
        check_ngff(path / "labels" / name, version=version, is_labels=True)
    check_ngff(path, version=version)
    volume = Volume.open(path)
    assert volume.label_names == ("organelles", "cells")
    label = volume.label("cells")
    assert dict(label.classes) == {1: "mito", 2: "er"}
    assert len(label.levels) == len(volume.levels) == 3
    with pytest.raises(OutputExistsError):
        create_labels(path, "cells", shape=SHAPE, layout=ids)
    create_labels(path, "cells", shape=SHAPE, layout=ids, resume=True)
    assert Volume.open(path).label_names == ("organelles", "cells")


def test_small_labels_have_as_many_levels_as_they_can(tmp_path):
    create(tmp_path / "raw.zarr", shape=SHAPE, layout=layout())
    create_labels(tmp_path / "raw.zarr", "ids", shape=(1, 2, 1), layout=layout(kind="labels", levels=None))
    assert len(Volume.open(tmp_path / "raw.zarr" / "labels" / "ids").levels) == 2


def test_a_layout_is_kept_with_the_volume(tmp_path):
    create(tmp_path / "raw.zarr", shape=SHAPE, layout=layout(kind="labels", classes={3: "er"}))
    assert layout_of(tmp_path / "raw.zarr") == layout(kind="labels", classes={3: "er"})
    assert layout_of(tmp_path) is None
    metadata = tmp_path / "raw.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"shard":', '"shrad":'))
    assert layout_of(tmp_path / "raw.zarr") is None


def test_labels_want_an_image_of_their_version(tmp_path):
    ids = layout(kind="labels")
    with pytest.raises(DataError, match="there is none"):
        create_labels(tmp_path / "raw.zarr", "ids", shape=SHAPE, layout=ids)
    create(tmp_path / "raw.zarr", shape=SHAPE, layout=layout(version="0.4"))
    with pytest.raises(DataError, match=r"version='0\.4'"):
        create_labels(tmp_path / "raw.zarr", "ids", shape=SHAPE, layout=ids)
    with pytest.raises(SchemaError, match="plain name"):
        create_labels(tmp_path / "raw.zarr", "a/b", shape=SHAPE, layout=ids)
    with pytest.raises(SchemaError, match="kind='labels'"):
        create_labels(tmp_path / "raw.zarr", "ids", shape=SHAPE, layout=layout())


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 0)])
def test_a_shape_has_three_numbers(tmp_path, shape):
    with pytest.raises(SchemaError, match="along z, y, x"):
        create(tmp_path / "raw.zarr", shape=shape, layout=layout())
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_replaced_only_when_asked(tmp_path):
    path = write_volume(tmp_path / "raw.zarr", np.ones((8, 8, 8), np.uint8))
    before = files(path)
    for how in ({}, {"resume": True}):
        with pytest.raises(OutputExistsError, match="overwrite"):
            create(path, shape=SHAPE, layout=layout(), **how)
    assert files(path) == before
    create(path, shape=SHAPE, layout=layout(), overwrite=True)
    assert sorted(files(path)) == ["s0/zarr.json", "s1/zarr.json", "s2/zarr.json", "zarr.json"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("all of it")
    for path in (tmp_path / "thesis", tmp_path / "thesis" / "chapter.txt"):
        with pytest.raises(OutputExistsError, match="no store"):
            create(path, shape=SHAPE, layout=layout(), overwrite=True)
    assert files(tmp_path) == {"thesis/chapter.txt": b"all of it"}


def test_a_store_that_is_there_is_taken_up_if_it_is_the_same(tmp_path):
    path = tmp_path / "raw.zarr"
    create(path, shape=SHAPE, layout=layout())
    (path / "s0" / "c").mkdir()
    (path / "s0" / "c" / "voxels").touch()
    create(path, shape=SHAPE, layout=layout(), resume=True)
    assert (path / "s0" / "c" / "voxels").exists()
    with pytest.raises(OutputExistsError, match="has dtype 'uint8', not 'uint16'"):
        create(path, shape=SHAPE, layout=layout(dtype="uint16"), resume=True)
    with pytest.raises(OutputExistsError, match="has shape"):
        create(path, shape=(1, 2, 3), layout=layout(levels=1), resume=True)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_cut_off_anywhere_it_is_made_anew(tmp_path, monkeypatch, version, overwrite):
    """It fails after each number of files, as if killed there; what is left opens nowhere."""
    create(tmp_path / "whole.zarr", shape=SHAPE, layout=layout(version=version))
    whole = files(tmp_path / "whole.zarr")
    write = creation.write_json
    for allowed in range(len(whole)):
        path = tmp_path / str(allowed) / "whole.zarr"
        if overwrite:
            create(path, shape=(9, 9, 9), layout=layout(version=version, levels=1))
        left = iter(range(allowed))

        def cut_off(*args, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(*args)

        monkeypatch.setattr(creation, "write_json", cut_off)
        with pytest.raises(KeyboardInterrupt):
            create(path, shape=SHAPE, layout=layout(version=version), overwrite=overwrite)
        with pytest.raises(DataError):
            Volume.open(path)
        monkeypatch.setattr(creation, "write_json", write)
        create(path, shape=SHAPE, layout=layout(version=version))
        assert files(path) == whole


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not write"):
        create(tmp_path / "file" / "raw.zarr", shape=SHAPE, layout=layout())


def test_a_store_that_is_made_while_one_looks_is_found_made(tmp_path, monkeypatch):
    """Another process ends between the first look and the list of what is there."""
    path, list_names = tmp_path / "raw.zarr", creation.names_in

    def others_end_first(place):
        monkeypatch.setattr(creation, "names_in", list_names)
        create(path, shape=SHAPE, layout=layout())
        return list_names(place)

    monkeypatch.setattr(creation, "names_in", others_end_first)
    create(path, shape=SHAPE, layout=layout(), resume=True)
    check_ngff(path)


ONE_OF_SEVERAL = """
import sys
from voxloom.volumes import VolumeLayout, create, create_labels
path, number = sys.argv[1:]
image = VolumeLayout(spacing=(8, 4, 4), dtype="uint8")
labels = VolumeLayout(spacing=(8, 4, 4), dtype="uint8", kind="labels")
create(path, shape=(20, 33, 40), layout=image, resume=True)
create_labels(path, f"ids{number}", shape=(20, 33, 40), layout=labels, resume=True)
create_labels(path, "all", shape=(20, 33, 40), layout=labels, resume=True)
"""


def test_several_processes_make_one_store(tmp_path):
    path = tmp_path / "raw.zarr"
    command = [sys.executable, "-W", "error", "-c", ONE_OF_SEVERAL, str(path)]
    workers = [subprocess.Popen([*command, str(number)]) for number in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert sorted(Volume.open(path).label_names) == ["all", "ids0", "ids1"]
    check_ngff(path)
    assert not [name for name in files(path) if ".voxloom" in name]
