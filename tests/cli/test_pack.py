import numpy as np
import pytest

from voxloom.testing.volumes import phantom, write_classes, write_volume


@pytest.fixture
def split(tmp_path):
    write_volume(tmp_path / "em.zarr", phantom((20, 24, 28)))
    write_classes(tmp_path / "gt.zarr", {"mito": np.ones((8, 8, 8), np.uint8)})
    (tmp_path / "split.csv").write_text('train,em.zarr,"gt.zarr/[mito]"\n')
    return tmp_path / "split.csv"


def test_it_says_what_it_made_and_where_the_split_lies(call, split, tmp_path):
    told = call("pack", split, tmp_path / "copy")
    assert told.code == 0, told.err
    assert "2 volumes, 14.0 kB before compression; 2 of 2 shards copied by this call" in told.out
    assert f"the split to train on: {tmp_path / 'copy' / 'split.csv'}" in told.out
    again = call("pack", split, tmp_path / "copy")
    assert "0 of 2 shards copied" in again.out


def test_quietly_it_says_nothing(call, split, tmp_path):
    told = call("-q", "pack", split, tmp_path / "copy")
    assert (told.code, told.out, told.err) == (0, "", "")


def test_all_options_together(call, split, tmp_path):
    told = call(
        "pack", split, tmp_path / "copy", "--spacing", 8, 8, 8, "--margin", 16, "--unit", "nanometer",
        "--workers", 1, "--overwrite", "--on-error", "skip",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert "2 volumes" in told.out


def test_what_is_left_out_is_listed(call, split, tmp_path):
    split.write_text(split.read_text() + "train,none.zarr\n")
    told = call("pack", split, tmp_path / "copy")
    assert told.code == 1
    assert "row 2" in told.err
    told = call("pack", split, tmp_path / "copy", "--on-error", "skip")
    assert told.code == 0
    assert "1 dataset skipped:" in told.out
    assert "row 2" in told.out


def test_the_words_are_those_of_the_command_line(call, split, tmp_path):
    write_volume(tmp_path / "copy" / "raw" / "em.zarr", phantom((4, 4, 4)))
    told = call("pack", split, tmp_path / "copy")
    assert told.code == 1
    assert "Use --overwrite to replace it" in told.err


def test_a_missing_unit_can_be_stated(call, split, tmp_path):
    metadata = tmp_path / "em.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"unit": "nanometer"', '"unit": ""'))
    told = call("pack", split, tmp_path / "copy")
    assert told.code == 1
    assert "--unit nanometer" in told.err
    assert call("pack", split, tmp_path / "copy", "--unit", "nanometer").code == 0


def test_a_slip_is_told(call, split, tmp_path):
    assert call("pack", split, tmp_path / "copy", "--spacing", 8, 8, 0).code == 2
    told = call("pack", split)
    assert (told.code, "DST" in told.err) == (2, True)
