"""Splits: from a CSV, from a dict; what cannot be used."""

from __future__ import annotations

import logging

import pytest
import torch

from voxloom.compat.cellmap_data import CellMapDataSplit
from voxloom.errors import ConfigError, DataError, MissingDataError

CUBE = {"shape": (16, 16, 16), "scale": (8, 8, 8)}
CLASSES = ["mito", "er"]


def split(**options):
    return CellMapDataSplit({"raw": CUBE}, {"labels": CUBE}, **{"classes": CLASSES, **options})


def test_five_columns(split_csv):
    made = split(csv_path=split_csv)
    assert repr(made) == "CellMapDataSplit of 2 and 1 datasets"
    assert len(made.train_datasets_combined) == 2 * 729
    assert made.train_datasets_combined is made.train_datasets_combined
    assert len(made.validation_blocks) == 8
    assert made.class_counts["train"]["totals"]["mito"] > 0
    item = made.train_datasets_combined[0]
    assert item["raw"].dtype == torch.float32
    assert 0 < item["raw"].max() <= 1
    assert set(item["labels"].unique().tolist()) <= {0, 1}
    assert made.train_datasets_combined[729]["labels"][1].isnan().all()  # er, in the second crop of jrc_b
    assert [d.is_train for d in made.train_datasets + made.validation_datasets] == [True, True, False]


def test_three_columns_wildcards_and_where_paths_begin(root, tmp_path, monkeypatch):
    path = tmp_path / "split.csv"
    path.write_text(
        'train,*/*.zarr/recon-1/em/fibsem-uint8,"*/*.zarr/recon-1/labels/groundtruth/crop1/[mito,er]"\n'
    )
    monkeypatch.chdir(root)
    made = split(csv_path=path)
    assert [d.raw_path.split("/")[-4] for d in made.train_datasets] == ["jrc_a.zarr", "jrc_b.zarr"]
    assert len(made.validation_datasets_combined) == 0
    assert len(made.validation_blocks) == 0


def test_a_dict(raw_path, gt_path):
    row = {"raw": raw_path(), "gt": gt_path()}
    made = split(dataset_dict={"train": [row], "validate": [row]})
    assert len(made.datasets["validate"]) == 1
    with pytest.raises(ConfigError, match="trane"):
        split(dataset_dict={"trane": [row]})


def test_datasets_that_are_made(split_csv):
    made = split(csv_path=split_csv)
    again = split(datasets=made.datasets)
    assert again.train_datasets == made.train_datasets


def test_a_typo_names_its_row(raw_path, gt_path, split_csv):
    text = split_csv.read_text().replace("crop2", "crop3")
    split_csv.write_text(text)
    with pytest.raises(MissingDataError, match=r"row 2: .*crop3"):
        split(csv_path=split_csv)
    with pytest.raises(DataError, match="train 1: "):
        split(dataset_dict={"train": [{"raw": raw_path() + "x", "gt": gt_path()}]})


def test_what_has_no_data_is_left_out_and_named(split_csv, caplog):
    caplog.set_level(logging.WARNING)
    made = split(csv_path=split_csv, classes=["er"])
    assert len(made.train_datasets) == 1
    assert "left out 1 of 3 datasets" in caplog.text
    assert "jrc_b.zarr/recon-1/labels/groundtruth/crop2" in caplog.text
    assert len(split(csv_path=split_csv, classes=["er"], force_has_data=True).train_datasets) == 2


def test_nothing_left_to_learn_from(split_csv):
    with pytest.raises(MissingDataError, match="of 3"):
        split(csv_path=split_csv, classes=["nucleus"])
    with pytest.raises(ConfigError, match="one of datasets"):
        split()


@pytest.mark.parametrize(("pad", "sizes"), [(True, (2, 1)), ("train", (2, 0)), (False, None)])
def test_padding_of_one_part(split_csv, pad, sizes):
    large = {"shape": (32, 32, 32), "scale": (8, 8, 8)}

    def make():
        return CellMapDataSplit({"raw": large}, {"labels": large}, CLASSES, csv_path=split_csv, pad=pad)

    if sizes is None:
        with pytest.raises(MissingDataError):
            make()
        return
    made = make()
    assert (len(made.train_datasets), len(made.validation_datasets)) == sizes


def test_sections_of_each_axis(split_csv):
    flat = {"shape": (16, 16), "scale": (8, 8)}
    made = CellMapDataSplit({"raw": flat}, {"labels": flat}, CLASSES, csv_path=split_csv)
    assert len(made.train_datasets) == 6
    assert made.train_datasets_combined[0]["labels"].shape == (2, 16, 16)


def test_settings_of_both_parts(split_csv):
    made = split(csv_path=split_csv, spatial_transforms={"mirror": True})
    train, validation = made.train_datasets_combined, made.validation_datasets_combined
    made.set_raw_value_transforms(train_transforms=lambda x: x.float() * 0)
    assert train[0]["raw"].max() == 0 < validation[0]["raw"].max()
    made.set_target_value_transforms(lambda x: x * 0 + 3)
    assert train[0]["labels"].max() == validation[0]["labels"].max() == 3
    made.set_spatial_transforms({"mirror": {"axes": {"x": 1.0}}})
    assert made.train_datasets[0].generate_spatial_transforms() == {"mirror": ["x"]}
    assert made.validation_datasets[0].generate_spatial_transforms() is None
    small = {"shape": (8, 8, 8), "scale": (8, 8, 8)}
    made.set_arrays({"small": small})
    made.set_arrays({"raw": small}, type="inputs", usage="train")
    assert made.validation_datasets_combined[0]["small"].shape == (2, 8, 8, 8)
    assert made.train_datasets_combined[0]["raw"].shape == (1, 8, 8, 8)
    assert made.to("cpu") is made


def test_raw_data_alone(raw_path):
    made = CellMapDataSplit({"raw": CUBE}, dataset_dict={"train": [{"raw": raw_path()}]})
    assert set(made.train_datasets_combined[0]) == {"raw", "idx", "__metadata__"}


def test_other_arrays_of_a_part(split_csv):
    made = split(csv_path=split_csv)
    small = {"labels": {"shape": (8, 8, 8), "scale": (8, 8, 8)}}
    before = len(made.validation_datasets_combined)
    made.set_arrays(small, "target", "validate")
    combined = made.validation_datasets_combined
    assert len(combined) == len(made.validation_datasets[0]) != before
    assert combined.verify()
    assert made.validation_blocks[-1]["labels"].shape == (2, 8, 8, 8)
    assert made.train_datasets_combined[0]["labels"].shape == (2, 16, 16, 16)


def test_wildcards_that_find_nothing_name_their_row(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text('train,no*/raw,"no*/[mito]"\n')
    with pytest.raises(MissingDataError, match=r"split\.csv, row 1: .*nothing is there"):
        split(csv_path=path)


def test_other_arrays_of_sections_lie_across_the_same_axis(split_csv):
    plane = {"shape": (16, 16), "scale": (8, 8)}
    made = CellMapDataSplit({"raw": plane}, {"labels": plane}, CLASSES, csv_path=split_csv)
    made.set_arrays({"labels": {"shape": (8, 8), "scale": (8, 8)}}, "target", "validate")
    shapes = [
        list(d.target_sources["labels"]["mito"].output_shape.values()) for d in made.validation_datasets
    ]
    assert shapes == [[1, 8, 8], [8, 1, 8], [8, 8, 1]]


def test_the_image_that_a_patch_does_not_fit_in_is_named(raw_path, gt_path, caplog):
    large = {"raw": {"shape": (64, 64, 64), "scale": (8, 8, 8)}}
    rows = {"train": [{"raw": raw_path(), "gt": gt_path()}]}
    with pytest.raises(MissingDataError, match="as large as a patch"):
        CellMapDataSplit(large, {"labels": CUBE}, CLASSES, dataset_dict=rows)
    assert f"{raw_path()}: patches of (64, 64, 64) voxels do not fit in it along z, y, x" in caplog.text
