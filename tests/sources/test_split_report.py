import json

import numpy as np
import pytest

from voxloom.sources.volume_split import VolumeSplit
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.volumes.classes import Classes

SHAPE = (12, 16, 20)
CLASSES = Classes(names=("mito", "er", "golgi"))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    half = np.zeros(SHAPE, np.uint8)
    half[:6] = 1
    write_volume(tmp_path / "em.zarr", phantom(SHAPE))
    write_classes(tmp_path / "gt.zarr", {"mito": half, "er": half * 0})
    return tmp_path


def report(root, classes=CLASSES, **rows):
    listed = {
        part: [{"raw": raw, **({"gt": gt} if gt else {})} for raw, gt in pairs]
        for part, pairs in rows.items()
    }
    return VolumeSplit.from_dict(listed, base=root).verify(classes)


def test_each_dataset_has_a_row(root):
    found = report(root, validate=[("em.zarr", None)], train=[("em.zarr", "gt.zarr/[mito,er]")])
    one, other = found.rows
    assert (one.part, one.name, one.inside, one.problem) == ("train", "gt.zarr", 1.0, "")
    assert (one.raw, one.labels) == ("uint8, 12 x 16 x 20 of 8 x 8 x 8 nm",) * 2
    assert one.classes == "mito; empty: er"
    assert (other.part, other.labels, other.inside) == ("validation", "", None)
    assert found.problems == ()


def test_it_prints_as_a_table(root):
    text = str(
        report(
            root, train=[("em.zarr", "gt.zarr/[mito,er]"), ("none.zarr", None)], validate=[("em.zarr", None)]
        )
    )
    lines = text.splitlines()
    assert lines[0].split() == ["split", "dataset", "raw", "labels", "within", "raw", "classes"]
    assert lines[1].startswith("train")
    assert lines[1].endswith("100%        mito; empty: er")
    assert "mito   1             1         50.00%" in text
    assert "er     1             0         0.00%" in text
    assert "golgi  0             0         -" in text
    assert "1 dataset to learn from, 1 to measure on; 1 further dataset cannot be used" in text
    assert "cannot be used: train 2: " in text


def test_without_classes_those_that_are_there_are_counted(root):
    assert report(root, None, train=[("em.zarr", "gt.zarr/[mito,er]")]).classes == ("er", "mito")
    assert report(root, None, train=[("em.zarr", None)]).classes == ()


def test_a_chunk_that_cannot_be_read_is_a_problem_with_its_row(root):
    for chunk in (root / "em.zarr" / "s0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"no chunk")
    (problem,) = report(root, train=[("em.zarr", "gt.zarr/[mito]")]).problems
    assert problem.problem.startswith("train 1: ")
    assert "em.zarr" in problem.problem


def test_what_looks_odd_is_said(root):
    write_volume(root / "blank.zarr", np.zeros(SHAPE, np.uint8))
    write_volume(root / "nan.zarr", np.full(SHAPE, np.nan, np.float32))
    far = write_classes(root / "far.zarr", {"mito": np.ones(SHAPE, np.uint8)}, origin=(48.0, 0.0, 0.0))
    found = report(root, train=[("blank.zarr", None), ("nan.zarr", None), ("em.zarr", far)])
    notes = [row.notes for row in found.rows]
    assert "nothing but 0 in the middle" in notes[0][0]
    assert "NaN" in notes[1][0]
    assert "50% of it lies outside raw" in notes[2][0]
    assert found.rows[2].inside == 0.5
    assert str(found).count("look at train") == 3


@pytest.mark.parametrize(
    ("spacing", "origin", "said"),
    [
        ((8, 8, 8), (4, 4, 4), "+0.5 voxel of 8 nm along z, +0.5 voxel of 8 nm along y"),  # a corner is meant
        ((8, 16, 16), (0, 0, 0), "aside of raw's voxels by -0.5 voxel of 8 nm along y"),  # no translation
        ((8, 16, 16), (0, 4, 4), ""),
        ((4, 4, 4), (6, 2, 14), ""),  # finer than raw, and on the faces of its own voxels
        ((8, 8, 8), (16, 0, 8), ""),
    ],
)
def test_labels_aside_by_a_part_of_a_voxel_are_told(root, spacing, origin, said):
    mask = np.ones((4, 6, 6), np.uint8)
    write_classes(root / "moved.zarr", {"mito": mask}, spacing=spacing, origin=origin)
    found = report(root, train=[("em.zarr", "moved.zarr/[mito]")])
    told = [note for note in found.rows[0].notes if "lies aside" in note]
    assert [said in note for note in told] == [True] * bool(said)


def test_labels_in_another_unit_are_a_problem(root):
    path = root / "gt.zarr" / "mito" / "zarr.json"
    told = json.loads(path.read_text())
    for axis in told["attributes"]["ome"]["multiscales"][0]["axes"]:
        axis["unit"] = "micrometer"
    told["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][1][
        "translation"
    ] = [9, 9, 9]
    path.write_text(json.dumps(told))
    (problem,) = report(root, train=[("em.zarr", "gt.zarr/[mito]")]).problems
    assert "share no volume" in problem.problem


def test_images_of_another_kind_are_a_problem_where_there_are_labels(root):
    write_volume(root / "colour.zarr", np.zeros((3, *SHAPE), np.uint8))
    write_volume(root / "deep.zarr", phantom(SHAPE).astype(np.uint16))
    labelled = report(
        root, train=[("em.zarr", "gt.zarr/[mito]")], validate=[("colour.zarr", None), ("deep.zarr", None)]
    )
    one, other = (row.problem for row in labelled.problems)
    assert one.startswith("validate 1: ")
    assert "colour.zarr has 3 channels of uint8, and " in one
    assert "em.zarr (train 1) has 1 channel of uint8" in one
    assert "deep.zarr has 1 channel of uint16" in other
    assert "Bring them to one type" in other
    assert report(root, train=[("em.zarr", None)], validate=[("colour.zarr", None)]).problems == ()


def test_a_part_without_datasets_is_told(root):
    text = str(report(root, train=[("em.zarr", "gt.zarr/[mito]")]))
    assert (
        "1 dataset to learn from, 0 to measure on; a training needs some, in rows that begin with validate"
        in text
    )


def test_ids_without_names_are_told_to_be_one_class(root):
    write_volume(root / "cells.zarr", phantom(SHAPE), classes={})
    found = report(root, None, train=[("em.zarr", "cells.zarr"), ("em.zarr", "gt.zarr/[mito]")])
    notes = [row.notes for row in found.rows]
    assert "no names of classes: all are taken as the one class 'cells.zarr'" in notes[0][0]
    assert notes[1] == ()
    write_volume(root / "ids.zarr" / "er", phantom(SHAPE), classes={})
    assert report(root, None, train=[("em.zarr", "ids.zarr/[er]")]).rows[0].notes == ()
    (problem,) = report(root, CLASSES, train=[("em.zarr", "cells.zarr")]).problems
    assert "which tell about cells.zarr." in problem.problem
    assert "Name what its values mean in its image-label metadata" in problem.problem


def test_another_type_is_told_before_classes(root):
    write_volume(root / "cells.zarr", phantom(SHAPE).astype(np.float32))
    (problem,) = report(root, CLASSES, train=[("em.zarr", "cells.zarr")]).problems
    assert "hold float32: expected integers" in problem.problem
