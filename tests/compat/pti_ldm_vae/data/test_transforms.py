from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from voxloom.compat.pti_ldm_vae.data import (
    ApplyLocalNormd,
    LocalNormalizeByMask,
    ToTuple,
    get_albumentations_transform,
)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (3, 6, 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_foreground_has_mean_0_and_deviation_1(shape, dtype):
    image = np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
    before = image.copy()
    result = LocalNormalizeByMask()(image)
    assert isinstance(result, np.ndarray)
    assert (result.dtype, result.shape) == (np.float32, shape)
    foreground = result[image != 0].astype(np.float64)
    assert abs(foreground.mean()) < 1e-6
    assert abs(foreground.std() - 1) < 1e-6
    assert not result[image == 0].any()
    assert np.array_equal(image, before)


def test_negative_values_are_foreground():
    assert LocalNormalizeByMask()(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[-1, 0, 1]]


def test_tensors_come_back_as_arrays():
    result = LocalNormalizeByMask()(torch.tensor([[0.0, 2.0, 4.0]]))
    assert isinstance(result, np.ndarray)
    assert result.tolist() == [[0, -1, 1]]


@pytest.mark.parametrize("value", [0, 7])
def test_constants_give_zeros_without_a_warning(value):
    assert not LocalNormalizeByMask()(np.full((4, 4), value)).any()


def test_one_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        LocalNormalizeByMask()(np.array([[np.nan, 1, 2]]))


def test_the_dict_is_changed_in_place():
    data = {"target": np.array([[0, 2, 4]]), "condition": torch.tensor([[0, 1, 3]]), "id": 7}
    result = ApplyLocalNormd(["target", "condition"])(data)
    assert result is data
    assert all(isinstance(result[key], torch.Tensor) for key in ("target", "condition"))
    assert (result["target"].tolist(), result["id"]) == ([[0, -1, 1]], 7)


def test_a_missing_key_is_a_key_error():
    with pytest.raises(KeyError):
        ApplyLocalNormd(["target"])({"condition": np.ones((2, 2))})
    with pytest.raises(KeyError):
        ToTuple(["target"])({})


def test_tuples_are_in_the_order_of_the_keys():
    assert ToTuple(["b", "a"])({"a": 1, "b": 2, "c": 3}) == (2, 1)


def test_they_travel_to_workers():
    for transform in (LocalNormalizeByMask(), ApplyLocalNormd(["a"]), ToTuple(["a"])):
        pickle.loads(pickle.dumps(transform))


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (16, 16, 3)])
def test_both_images_are_augmented_alike(shape):
    augment = get_albumentations_transform(seed=1)
    image = np.random.default_rng(0).random(shape, np.float32)
    results = [augment(image=image, condition_image=image) for _ in range(4)]
    assert all(np.array_equal(r["image"], r["condition_image"]) for r in results)
    assert all(r["image"].shape == shape for r in results)
    assert any(not np.array_equal(r["image"], image) for r in results)
