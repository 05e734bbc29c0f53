import logging
import pickle

import numpy as np
import pytest

from voxloom.errors import DataError, MissingDataError, SchemaError, VolumeMetadataError
from voxloom.sources.split_rows import SplitRow
from voxloom.sources.volume_split import VolumeSplit
from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume
from voxloom.volumes import opening
from voxloom.volumes.classes import Classes

MITO = Classes(names=("mito",))
SHAPE = (12, 16, 20)


@pytest.fixture
def root(tmp_path):
    """Three crops with mito and er, of which c lies elsewhere than its raw."""
    masks = {name: (phantom(SHAPE, seed=n) > 120).astype(np.uint8) for n, name in enumerate(("mito", "er"))}
    for n, name in enumerate("abc"):
        write_volume(tmp_path / name / "em.zarr", phantom(SHAPE, seed=n), form=VolumeForm(levels=2))
        write_classes(tmp_path / name / "gt.zarr", masks, origin=(0.0, 0.0, 1e6 if name == "c" else 0.0))
    return tmp_path


def split(root, *lines):
    (root / "split.csv").write_text("\n".join(lines) + "\n")
    return VolumeSplit.from_csv(root / "split.csv")


def test_raw_and_labels_are_opened_by_part(root):
    chosen = split(root, 'train,a/em.zarr,"a/gt.zarr/[mito,er]"', "val,b/em.zarr")
    train, validation, skipped = chosen.open()
    assert (train[0].name, validation[0].name, skipped) == ("a/gt.zarr", "b/em.zarr", [])
    assert train[0].raw["raw"].shape == (1, *SHAPE)
    assert train[0].labels.annotated == {"mito", "er"}
    assert validation[0].labels is None
    assert pickle.loads(pickle.dumps(train[0])).raw["raw"].path == train[0].raw["raw"].path


def test_only_volumes_of_wanted_classes_are_opened(root):
    opened = split(root, 'train,a/em.zarr,"a/gt.zarr/[mito,er]"').open(MITO)
    assert opened.train[0].labels.annotated == {"mito"}


def test_several_inputs_may_be_of_one_volume_or_of_several(root):
    opened = split(root, "train,a/em.zarr").open(inputs=("near", "far"))
    assert opened.train[0].raw["near"] is opened.train[0].raw["far"]
    rows = {
        "train": [
            {"raw": {"em": "a/em.zarr", "light": "b/em.zarr"}, "gt": ["a/gt.zarr/[mito]", "a/gt.zarr/er"]}
        ]
    }
    found = VolumeSplit.from_dict(rows, base=root).open(inputs=("em", "light")).train[0]
    assert [volume.path for volume in found.raw.values()] == [str(root / n / "em.zarr") for n in "ab"]
    assert found.labels.annotated == {"mito", "er"}
    with pytest.raises(ValueError, match="train 1: no raw volume for input 'x'"):
        VolumeSplit.from_dict(rows, base=root).open(inputs=("x",))


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("train,b/nothing.zarr", DataError, "nothing.zarr"),
        ('train,b/em.zarr,"b/gt.zarr/[mito,golgi]"', DataError, "golgi"),
        ("train,b/*.n5", MissingDataError, "nothing is there"),
        (
            'train,c/em.zarr,"c/gt.zarr/[mito]"',
            VolumeMetadataError,
            "share no volume.*translations and units",
        ),
    ],
)
def test_a_dataset_that_cannot_be_used_is_an_error_with_its_row(root, line, error, words):
    with pytest.raises(error, match=rf"split.csv, row 2: (?s:.*){words}"):
        split(root, "train,a/em.zarr", line).open()


def test_or_it_is_left_out_counted_and_listed(root, caplog):
    chosen = split(
        root, "train,a/em.zarr", "train,b/nothing.zarr", 'val,c/em.zarr,"c/gt.zarr/[er]"', "val,b/em.zarr"
    )
    with caplog.at_level(logging.WARNING):
        opened = chosen.open(on_error="skip")
    assert (len(opened.train), len(opened.validation)) == (1, 1)
    assert [each.origin.rpartition(", ")[2] for each in opened.skipped] == ["row 2", "row 3"]
    assert "left out 2 of 4 datasets" in caplog.text
    assert "nothing.zarr" in caplog.text


@pytest.mark.parametrize(
    ("lines", "part"),
    [(["train,x.zarr", "val,a/em.zarr"], "train"), (["train,a/em.zarr", "val,x.zarr"], "validation")],
)
def test_no_part_is_left_empty(root, lines, part):
    with pytest.raises(MissingDataError, match=f"no dataset of the {part} part can be used.*x.zarr"):
        split(root, *lines).open(on_error="skip")


def test_labels_of_fractions_are_refused(root):
    write_volume(root / "float.zarr" / "mito", phantom(SHAPE).astype(np.float32), classes={})
    with pytest.raises(SchemaError, match=r"row 1: labels .* hold float32.*> 0.5"):
        split(root, 'train,a/em.zarr,"float.zarr/[mito]"').open()


def test_labels_of_another_unit_are_refused(root):
    write_classes(root / "um.zarr", {"mito": np.ones(SHAPE, np.uint8)}, spacing=(8e3, 8e3, 8e3))
    with pytest.raises(VolumeMetadataError, match=r"row 1: .*wrong unit"):
        split(root, 'train,a/em.zarr,"um.zarr/[mito]"').open()


def test_labels_without_any_wanted_class_are_refused(root):
    with pytest.raises(SchemaError, match="row 1: none of the classes mito is annotated"):
        split(root, 'train,a/em.zarr,"a/gt.zarr/[er]"').open(MITO)


def test_a_class_that_no_dataset_has_is_said(root, caplog):
    split(root, 'train,a/em.zarr,"a/gt.zarr/[mito,er]"').open(Classes(names=("mito", "golgi")))
    assert "no dataset to learn from has annotations of: golgi" in caplog.text


def test_what_trains_and_validates_is_said(root, caplog):
    split(root, "train,a/em.zarr", "val,a/em.zarr").open()
    assert "validates" in caplog.text


def test_names_tell_datasets_apart(root):
    opened = split(root, "train,?/em.zarr", "train,a/em.zarr").open()
    assert [each.name for each in opened.train] == ["a/em.zarr", "b/em.zarr", "c/em.zarr", "a/em.zarr#2"]
    assert split(root, "train,a/em.zarr").open().train[0].name == "em.zarr"


def test_a_missing_unit_names_the_option(root):
    path = root / "a" / "em.zarr" / "zarr.json"
    path.write_text(path.read_text().replace(', "unit": "nanometer"', ""))
    with pytest.raises(VolumeMetadataError, match="unit"):
        split(root, "train,a/em.zarr").open()
    assert split(root, "train,a/em.zarr").open(unit="nanometer").train


def test_reading_writes_nothing(root):
    before = sorted(root.rglob("*"))
    chosen = VolumeSplit(
        (SplitRow("row", "train", str(root / "a/em.zarr"), (str(root / "a/gt.zarr/[er]"),)),)
    )
    chosen.open()
    chosen.verify()
    assert sorted(root.rglob("*")) == before


def test_for_training_each_class_is_annotated_somewhere(root):
    chosen = split(root, 'train,a/em.zarr,"a/gt.zarr/[mito,er]"')
    with pytest.raises(
        MissingDataError, match=r"classes golgi: annotated in none of the 1 .* are: mito\. .*Take"
    ):
        chosen.open(Classes(names=("mito", "golgi")), for_training=True)
    related = Classes(names=("mito", "organelle"), implies={"mito": ("organelle",)})
    assert chosen.open(related, for_training=True).train


def test_for_training_the_images_are_alike(root):
    write_volume(root / "deep.zarr", phantom(SHAPE).astype(np.uint16))
    chosen = split(root, "train,a/em.zarr", "validate,deep.zarr")
    with pytest.raises(SchemaError, match=r"row 2: .*deep.zarr has 1 channel of uint16, and .*\(.*row 1\)"):
        chosen.open(for_training=True)
    assert chosen.open().validation


def test_rows_that_cannot_be_opened_do_not_cost_the_others_a_second_time(root, monkeypatch):
    begun = []
    begin = opening.begin_reads
    monkeypatch.setattr(opening, "begin_reads", lambda files: begun.append(1) or begin(files))
    lines = ["train,a/em.zarr", "train,b/em.zarr", "train,c/em.zarr"]
    split(root, *lines).open()
    good = len(begun)
    begun.clear()
    split(root, *lines, "train,none.zarr").open(on_error="skip")
    assert len(begun) <= good + 2
