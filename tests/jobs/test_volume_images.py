import logging
from pathlib import Path

import numpy as np
import pytest

from voxloom.config import load_config
from voxloom.errors import ConfigError, MissingDataError, SchemaError, VoxloomError
from voxloom.jobs.data import Place, data_of
from voxloom.jobs.volume_rows import names_volumes, paths_of, rows_of
from voxloom.ranks import Rank
from voxloom.testing.translation import write_raw, write_volume_recipe
from voxloom.testing.volumes import write_volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    write_raw(folder / "raw.zarr")
    write_raw(folder / "wide.zarr", dtype="uint16")
    return folder


@pytest.fixture
def opened(tmp_path):
    """Return a function that opens the data of a task on what lies at a path."""

    def run(task, base, state=None, **values):
        config = load_config(task, [write_volume_recipe(tmp_path / "small.json", base, **values)])
        return data_of(task, config)(task, config, state, Place(Rank(), "cpu", lambda _: None))

    return run


def test_the_far_end_validates_and_no_patch_to_learn_from_sees_it(opened, folder):
    data = opened("vae", folder / "raw.zarr", spatial_dims=3, train_split=0.6, volume_data={"length": 50})
    near, far = (area.grids[0] for area in data.areas)
    assert (near.shape, far.shape) == ((14, 20, 16), (14, 20, 12))  # a patch fits into both
    assert far.origin[2] == near.origin[2] + 16 * 8
    train, validation = data.sources
    highest = max(train.location(index).center[2] for index in range(50))
    assert highest + 6 * 8 <= near.box.high[2] + 1e-6
    assert validation[0]["image"].shape == (1, 12, 12, 12)


def test_planes_lie_across_any_axis_and_draws_differ_by_epoch(opened, folder):
    data = opened("vae", folder / "raw.zarr", volume_data={"axis": "y", "augment": True})
    train, _ = data.sources
    assert train.schema["image"].axes == "czx"
    assert train[0]["image"].shape == (1, 12, 16)
    assert not np.array_equal(train[0]["image"], train.at_epoch(1)[0]["image"])


def test_values_of_all_volumes_have_one_range(opened, folder):
    data = opened("vae", folder / "wide.zarr")
    scale = data.config.preparation.normalization
    assert 0 <= scale.low < scale.high <= 65535
    assert data.material().train_transform.transforms == (scale,)
    stated = {"normalization": {"name": "range", "low": 0, "high": 9}}
    assert opened("vae", folder / "wide.zarr", preparation=stated).config.preparation.normalization.high == 9


def test_a_latent_model_takes_the_range_of_its_vae(opened, folder, tmp_path):
    (tmp_path / "vae").mkdir()
    text = '{"preparation": {"normalization": {"name": "range", "low": 3, "high": 7}}}'
    (tmp_path / "vae/config.json").write_text(text)
    path = str(tmp_path / "vae/checkpoints/best.pt")
    data = opened("ldm", folder, condition="raw.zarr", target="raw.zarr", autoencoder_path=path)
    assert data.config.preparation.normalization.high == 7


def test_the_split_of_a_checkpoint_counts(opened, folder):
    first = opened("vae", folder / "raw.zarr", train_split=0.5)
    again = opened("vae", folder / "wide.zarr", {"split": first.split}, train_split=0.9)
    assert [paths_of(row) for row in again.rows] == [{"image": str(folder / "raw.zarr")}]
    assert again.share == 0.5


def test_a_volume_too_small_to_be_divided_is_told(opened, tmp_path, caplog):
    small = write_volume(tmp_path / "small.zarr", np.zeros((1, 14, 14), np.uint8))
    with caplog.at_level(logging.WARNING):
        assert opened("vae", small).describe()
    assert "patches stand out" in caplog.text


@pytest.mark.parametrize(
    ("base", "found"), [("nowhere", False), ("s3://bucket/em.zarr", True), ("gs://bucket/a", True)]
)
def test_what_names_volumes(tmp_path, base, found):
    assert names_volumes(load_config("vae", overrides={"data_base_dir": base})) is found


def test_urls_keep_their_slashes():
    config = load_config(
        "ldm", overrides={"data_base_dir": "s3://b/em.zarr", "val_dir": Path("gs://b/c.zarr")}
    )
    train, validation = rows_of(config, "pairs")
    assert paths_of(train) == {"condition": "s3://b/em.zarr", "target": "s3://b/em.zarr"}
    assert validation.part == "validation"
    assert paths_of(validation)["target"] == "gs://b/c.zarr"


def test_pairs_of_a_csv_are_raw_and_gt(tmp_path):
    (tmp_path / "split.csv").write_text("train,a.zarr,b.zarr\nval,c.zarr,d.zarr\n")
    config = load_config("regression", overrides={"data_base_dir": str(tmp_path / "split.csv")})
    assert [dict(paths_of(row)) for row in rows_of(config, "pairs")] == [
        {"condition": str(tmp_path / one), "target": str(tmp_path / other)}
        for one, other in (("a.zarr", "b.zarr"), ("c.zarr", "d.zarr"))
    ]
    one_each = [{"raw": {"image": "a.zarr"}}]
    wrong = load_config("ldm", overrides={"volume_data.split": {"train": one_each}})
    with pytest.raises(ConfigError, match="expected condition and target"):
        rows_of(wrong, "pairs")


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"autoencoder_train": {"patch_size": [8]}}, ConfigError, "patch_size"),
        ({"autoencoder_train": {"patch_size": [8, 8, 8]}}, ConfigError, "Set spatial_dims"),
        ({"volume_data": {"channels": {"raw": 0}}}, ConfigError, "image, condition or target"),
        ({"volume_data": {"channels": {"image": 5}}}, VoxloomError, "5"),
        ({"augment": True}, ConfigError, "volume_data.augment"),
        ({"volume_data": {"split": {"val": [{"raw": "raw.zarr"}]}}}, VoxloomError, "raw.zarr"),
    ],
)
def test_what_cannot_be_meant_is_refused(opened, folder, values, error, said):
    with pytest.raises(error, match=said):
        opened("vae", folder / "raw.zarr", **values)


def test_channels_are_to_be_chosen(opened, tmp_path):
    path = write_volume(tmp_path / "two.zarr", np.zeros((2, 4, 16, 20), np.uint8))
    with pytest.raises(SchemaError, match=r"2 channels.*volume_data.channels"):
        opened("vae", path)
    data = opened("vae", path, volume_data={"channels": {"image": 1}})
    assert data.sources[0].schema["image"].shape == (1, 12, 16)


def test_a_file_url_names_the_volume_that_its_path_does(opened, folder):
    data = opened("vae", f"file://{folder}/raw.zarr")
    assert len(data.sources[0]) > 0
    assert data.rows[0].raw == {"image": f"file://{folder}/raw.zarr"}


def test_wildcards_that_find_nothing_name_their_row_or_are_left_out(opened, folder, tmp_path, caplog):
    split = tmp_path / "split.csv"
    split.write_text(f"train,{folder}/raw.zarr\ntrain,{folder}/no*.zarr\n")
    with pytest.raises(MissingDataError, match=r"split\.csv, row 2: .*no\*\.zarr: nothing is there"):
        opened("vae", split)
    with caplog.at_level(logging.WARNING):
        assert len(opened("vae", split, volume_data={"on_error": "skip"}).rows) == 1
    assert "split.csv, row 2: " in caplog.text
