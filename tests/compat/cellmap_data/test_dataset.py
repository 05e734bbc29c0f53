"""One dataset: places, values, unknown classes."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
import torch

from voxloom.compat.cellmap_data import CellMapDataset, CellMapMultiDataset, EmptyImage
from voxloom.errors import ConfigError, MissingDataError, SchemaError
from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume

CUBE = {"shape": (16, 16, 16), "scale": (8, 8, 8)}


@pytest.fixture
def make(raw_path, gt_path):
    def make(classes=("mito", "er"), gt=None, inputs=None, targets=None, **options):
        inputs, targets = inputs or {"raw": CUBE}, targets if targets is not None else {"labels": CUBE}
        return CellMapDataset(raw_path(), gt or gt_path(), classes, inputs, targets, **options)

    return make


def test_each_place_is_on_the_voxels(make, raw, mito):
    dataset = make()
    assert len(dataset) == 9**3
    for place, start in {0: (0, 0, 0), 100: (1, 2, 1), len(dataset) - 1: (8, 8, 8)}.items():
        item = dataset[place]
        cut = tuple(slice(s, s + 16) for s in start)
        there = tuple(slice(8 + s, 24 + s) for s in start)  # the crop begins at voxel 8
        assert item["raw"].dtype == torch.uint8
        assert (item["raw"][0].numpy() == raw[there]).all()
        assert (item["labels"][0].numpy() == mito[cut]).all()
        assert item["idx"] == place
        assert item["__metadata__"]["current_center"] == dataset.get_center(place)
    assert (dataset[-1]["raw"] == item["raw"]).all()


def test_an_index_outside_is_an_error(make):
    dataset = make()
    for index in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match="729 places"):
            dataset[index]


def test_boxes(make):
    dataset = make()
    assert dataset.bounding_box == {axis: [64, 248] for axis in "zyx"}
    assert dataset.sampling_box == {axis: [124, 188] for axis in "zyx"}
    assert dataset.bounding_box_shape == {axis: 24 for axis in "zyx"}
    assert dataset.largest_voxel_sizes == {axis: 8 for axis in "zyx"}
    assert dataset.center == {axis: 156 for axis in "zyx"}


def test_validation_covers_every_voxel_to_the_end(make):
    dataset = make()
    covered = np.zeros((24, 24, 24), bool)
    for place in dataset.validation_indices:
        starts = [round((dataset.get_center(place)[axis] - 60) / 8) - 8 for axis in "zyx"]
        covered[tuple(slice(s, s + 16) for s in starts)] = True
    assert covered.all()
    assert len(dataset.validation_indices) == 8
    assert len(dataset.get_indices({"z": 9, "y": 9, "x": 9})) == 1 or dataset.get_indices(
        dict.fromkeys("zyx", 9)
    )


def test_targets_are_tiled_where_inputs_are_larger(make):
    dataset = make(
        inputs={"raw": {"shape": (24, 24, 24), "scale": (8, 8, 8)}},
        targets={"l": {"shape": (4, 4, 4), "scale": (8, 8, 8)}},
    )
    assert dataset.sampling_box_shape == {"z": 17, "y": 19, "x": 19}  # where raw fits too
    assert len(dataset.validation_indices) == 5 * 6 * 6


def test_what_nobody_annotated_is_unknown(make):
    labels = make(classes=["mito", "nucleus"])[0]["labels"]
    assert labels.dtype == torch.float32
    assert labels[1].isnan().all()
    assert not labels[0].isnan().any()
    assert (make(classes=["nucleus", "mito"], empty_value=-100)[0]["labels"][0] == -100).all()


@pytest.mark.parametrize("classes", [["nucleus", "mito"], ["nucleus"]])
def test_a_relation_makes_zeros_where_another_class_is(make, mito, classes):
    dataset = make(
        classes=classes,
        class_relation_dict={"nucleus": ["mito", "golgi"]},
        target_value_transforms=lambda x: x + 7,
    )
    labels = dataset[0]["labels"]
    is_mito = torch.from_numpy(mito[:16, :16, :16] > 0)
    assert (labels[0][is_mito] == 0).all()
    assert labels[0][~is_mito].isnan().all()
    assert dataset.target_sources["labels"]["nucleus"] == ["mito"]


def test_value_transforms_of_each_class(make):
    for transforms in (
        [torch.zeros_like, torch.ones_like],
        {"er": torch.ones_like, "mito": torch.zeros_like},
    ):
        labels = make(target_value_transforms=transforms)[0]["labels"]
        assert [float(channel.mean()) for channel in labels] == [0, 1]
    dataset = make(raw_value_transforms=lambda x: x.float() / 255)
    assert dataset[0]["raw"].max() <= 1
    dataset.set_raw_value_transforms(None)
    dataset.set_target_value_transforms(torch.ones_like)
    assert dataset[0]["raw"].dtype == torch.uint8
    assert dataset[0]["labels"].min() == 1


def test_several_arrays_of_other_shapes_and_scales(make, raw):
    coarse = {"shape": (8, 8, 8), "scale": (16, 16, 16)}
    dataset = make(inputs={"fine": CUBE, "coarse": coarse}, targets={"a": CUBE, "b": coarse})
    item = dataset[0]
    assert [tuple(item[name].shape) for name in ("fine", "coarse", "a", "b")] == [
        (1, 16, 16, 16), (1, 8, 8, 8), (2, 16, 16, 16), (2, 8, 8, 8),
    ]  # fmt: skip
    blocks = raw[8:24, 8:24, 8:24].reshape(8, 2, 8, 2, 8, 2).mean(axis=(1, 3, 5))
    assert np.abs(item["coarse"][0].numpy() - blocks).max() <= 0.5
    assert dataset.input_sources["coarse"].scale_level == "s1"
    assert dataset.largest_voxel_sizes["x"] == 16
    assert set(dataset.class_counts) == {"totals", "a", "b"}


def test_sections_across_one_axis_are_squeezed(make):
    item = make(inputs={"raw": {"shape": (1, 16, 16), "scale": (8, 8, 8)}}, targets={})[0]
    assert item["raw"].shape == (1, 16, 16)


def test_two_axes_make_three_datasets(make, raw):
    flat = {"shape": (16, 16), "scale": (8, 8)}
    made = make(inputs={"raw": flat}, targets={"labels": flat}, is_train=True)
    assert isinstance(made, CellMapMultiDataset)
    shapes = [dataset.input_arrays["raw"]["shape"] for dataset in made.datasets]
    assert shapes == [[1, 16, 16], [16, 1, 16], [16, 16, 1]]
    assert all(dataset.is_train for dataset in made.datasets)
    last = made.datasets[2][0]["raw"][0].numpy()
    assert (last == raw[8:24, 8:24, 8]).all()


def test_raw_data_alone(make, raw):
    dataset = make(classes=None, gt="", targets={"copy": CUBE})
    assert dataset.has_data
    item = dataset[0]
    assert (item["copy"] == item["raw"]).all()
    assert (item["raw"][0].numpy() == raw[:16, :16, :16]).all()


def test_axis_order(make, raw):
    spec = {"shape": (4, 6, 8), "scale": (8, 8, 8)}
    item = make(inputs={"raw": spec}, targets={}, axis_order="xyz")[0]
    assert (item["raw"][0].numpy() == raw[:8, :6, :4].transpose()).all()


def test_augmentation_is_for_training_alone(make):
    mirror = {"mirror": {"axes": {"x": 1.0}}}
    plain, other, trained = (make(spatial_transforms=mirror, is_train=t)[5] for t in (False, False, True))
    assert (plain["raw"] == other["raw"]).all()
    assert (trained["raw"] == plain["raw"].flip(-1)).all()
    assert (trained["labels"] == plain["labels"].flip(-1)).all()
    assert trained["__metadata__"]["current_spatial_transforms"] == {"mirror": ["x"]}


def test_a_turn_about_z_turns_sections(make):
    turned = make(spatial_transforms={"rotate": {"axes": {"z": [90, 90]}}}, is_train=True)[364]
    plain = make()[364]
    for name in ("raw", "labels"):  # the x axis of the patch runs along y of the world
        assert (turned[name] == torch.rot90(plain[name], 1, (2, 3))).all()


def test_torchs_seed_decides_how_patches_lie(make):
    dataset = make(spatial_transforms={"rotate": {"axes": {"z": [-90, 90]}}}, is_train=True)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(torch.stack([dataset[9]["raw"] for _ in range(2)]))
    assert (draws[0] == draws[1]).all()
    assert not (draws[0][0] == draws[0][1]).all()
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    one, two = (make(spatial_transforms={"mirror": True}, is_train=True, rng=g) for g in generators)
    assert one.generate_spatial_transforms() == two.generate_spatial_transforms()


@pytest.mark.parametrize(
    "wrong", [{"deform": {}}, {"mirrors": {"axes": {"x": 1}}}, {"mirror": {"axes": {"w": 1}}}]
)
def test_an_unknown_augmentation_is_an_error(make, wrong):
    with pytest.raises(ConfigError):
        make(spatial_transforms=wrong)


def test_counts_are_of_the_whole_and_nothing_is_written(make, mito, root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    dataset = make(classes=["mito", "er", "nucleus"])
    totals = dataset.class_counts["totals"]
    assert totals["mito"] == (mito > 0).sum() * 512
    assert totals["mito_bg"] == (mito == 0).sum() * 512
    assert totals["nucleus"] == totals["nucleus_bg"] == 0
    assert dataset.class_weights["mito"] == pytest.approx((mito == 0).sum() / (mito > 0).sum())
    assert dataset.class_weights["nucleus"] == 1
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_without_a_voxel_of_a_class_there_is_nothing_to_learn(make):
    dataset = make(classes=["nucleus"])
    assert not dataset.has_data
    assert len(dataset) == 0
    assert not dataset.verify()
    assert len(make(classes=["nucleus"], force_has_data=True)) == 25 * 29 * 33  # all of the raw data


def test_small_images(make, caplog):
    large = {"shape": (32, 32, 32), "scale": (8, 8, 8)}
    padded = make(inputs={"raw": large}, targets={"labels": large})
    assert len(padded) == 1
    labels = padded[0]["labels"]
    assert labels[0].isnan().sum() == 32**3 - 24**3
    assert not labels[0, 4:28, 4:28, 4:28].isnan().any()
    assert padded[0]["raw"].dtype == torch.uint8
    caplog.set_level(logging.WARNING)
    assert len(make(inputs={"raw": large}, targets={"labels": large}, pad=False)) == 0
    assert "pad=True" in caplog.text


def test_what_is_not_there_is_an_error(make, gt_path, raw_path, tmp_path):
    with pytest.raises(MissingDataError):
        make(gt=gt_path(classes="mito,err"), classes=["mito", "err"])
    with pytest.raises(MissingDataError):
        CellMapDataset(str(tmp_path / "none"), "", None, {"raw": CUBE})
    away = write_classes(tmp_path / "far", {"mito": np.ones((24, 24, 24), np.uint8)}, origin=(9000.0,) * 3)
    with pytest.raises(SchemaError, match="do not overlap"):
        make(gt=away)


def test_labels_without_brackets(make, gt_path, tmp_path):
    folder = gt_path().rpartition("/")[0]
    assert (make(gt=folder)[3]["labels"] == make()[3]["labels"]).all()
    only = make(gt=f"{folder}/mito", classes=["mito"])
    assert only[3]["labels"].shape == (1, 16, 16, 16)
    with pytest.raises(SchemaError, match="in brackets"):
        make(gt=f"{folder}/mito", classes=["er"])
    ids = np.zeros((24, 24, 24), np.uint8)
    ids[:2], ids[2:4] = 3, 7
    image = write_volume(tmp_path / "ids", ids, origin=(64.0,) * 3, classes={3: "mito", 7: "er"})
    labels = make(gt=str(image))[0]["labels"]
    assert [float(channel.sum()) for channel in labels] == [512, 512]
    assert not labels[:, 4:].any()


def test_instances_of_any_width_stay(make, tmp_path):
    ids = np.full((24, 24, 24), 2**20 + 1, np.uint64)
    where = write_classes(
        tmp_path / "wide", {"mito": ids}, origin=(64.0,) * 3, form=VolumeForm(version="0.4")
    )
    labels = make(gt=where, classes=["mito"])[0]["labels"]
    assert labels.dtype == torch.float32
    assert (labels == 2**20 + 1).all()


def test_sixteen_bits(tmp_path):
    voxels = phantom((16, 16, 16), "uint16") + 40_000
    path = str(write_volume(tmp_path / "raw", voxels))
    raw = CellMapDataset(path, None, None, {"raw": CUBE})[0]["raw"]
    assert (raw[0].numpy() == voxels).all()


def test_a_copy_travels(make):
    dataset = make(is_train=True, spatial_transforms={"mirror": True})
    dataset[0]
    other = pickle.loads(pickle.dumps(dataset))
    assert len(other) == len(dataset)
    assert (other[5]["raw"].sum() == dataset[5]["raw"].sum()).all()


def test_other_arrays(make):
    dataset = make()
    dataset.target_arrays = {"small": {"shape": (4, 4, 4), "scale": (8, 8, 8)}}
    dataset.reset_arrays("target")
    assert dataset[0]["small"].shape == (2, 4, 4, 4)
    assert dataset.get_empty_store(CUBE).isnan().all()
    assert isinstance(make(classes=["nucleus"]).target_sources["labels"]["nucleus"], EmptyImage)
    assert dataset.to("cpu").device.type == "cpu"
    assert not CellMapDataset.empty().has_data


def test_random_subsets(make):
    dataset = make()
    indices = dataset.get_random_subset_indices(20).tolist()
    assert len(set(indices)) == 20
    sampler = dataset.get_subset_random_sampler(5)
    first = sorted(sampler)
    sampler.refresh()
    assert len(sampler) == 5
    assert sorted(sampler) != first


@pytest.mark.parametrize("empty_value", [float("nan"), 0, -1])
def test_targets_are_float32_whatever_is_unknown(make, empty_value):
    targets = make(classes=["mito"], empty_value=empty_value)[0]["labels"]
    assert targets.dtype == torch.float32


def test_a_generator_goes_along_into_a_copy(make):
    dataset = make(rng=torch.Generator().manual_seed(3))
    other = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(other.rng.get_state(), dataset.rng.get_state())
    assert other.rng is not dataset.rng


def test_validation_covers_all_voxels_also_beside_a_coarser_input(tmp_path):
    raw = write_volume(tmp_path / "raw", phantom((40, 40, 40)))
    crop = np.ones((13, 15, 18), np.uint8)
    gt = write_classes(tmp_path / "crop", {"mito": crop}, origin=(80, 80, 80))
    fine, coarse = {"shape": (10, 10, 10), "scale": (8, 8, 8)}, {"shape": (8, 8, 8), "scale": (16, 16, 16)}
    dataset = CellMapDataset(raw, gt, ["mito"], {"raw": fine, "context": coarse}, {"labels": fine})
    covered = np.zeros(crop.shape, bool)
    for index in dataset.validation_indices:
        center = dataset.get_center(index)
        starts = [(center[axis] - 80) / 8 - 4.5 for axis in "zyx"]
        assert all(start == round(start) for start in starts)
        covered[tuple(slice(int(start), int(start) + 10) for start in starts)] = True
        assert not dataset[index]["labels"].isnan().any()
    assert covered.all()
    assert dataset.sampling_box["z"] == [80 + 4.5 * 8, 80 + 7.5 * 8]
