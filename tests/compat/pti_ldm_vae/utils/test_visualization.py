from __future__ import annotations

import numpy as np
import pytest
import torch

from voxloom.compat.pti_ldm_vae.utils.visualization import (
    normalize_batch_for_display,
    normalize_image_to_uint8,
    visualize_2d_image,
    visualize_one_slice_in_3d_image,
)


def phantom(scale, shift):
    """Return an image with a background of 0 and a ramp in its lower right quarter."""
    image = np.zeros((20, 20), np.float32)
    image[10:, 10:] = np.arange(1, 101).reshape(10, 10) * scale + shift
    return image


def test_each_image_has_its_own_percentiles_over_its_foreground():
    images = torch.from_numpy(np.stack([phantom(1, 0), phantom(1000, 5e5)]))[:, None]
    shown = normalize_batch_for_display(images)
    assert (shown.dtype, shown.device.type, shown.shape) == (torch.float32, "cpu", (2, 1, 20, 20))
    torch.testing.assert_close(shown[0], shown[1], atol=1e-5, rtol=0)
    low, high = np.percentile(np.arange(1, 101), (2, 98))
    expected = np.clip((np.arange(1, 101).reshape(10, 10) - low) / (high - low), 0, 1)
    expected[expected < 1e-3] = 0
    np.testing.assert_allclose(shown[0, 0, 10:, 10:], expected, atol=1e-6)
    assert not shown[:, :, :10].any()


def test_each_channel_is_for_itself():
    images = torch.from_numpy(np.stack([phantom(1, 0), phantom(-3, 0)]))[None]
    shown = normalize_batch_for_display(images, 0, 100)[0]
    torch.testing.assert_close(shown[0, 10:, 10:], 1 - shown[1, 10:, 10:], atol=1e-6, rtol=0)


def test_small_results_are_zero():
    image = torch.tensor([[[[0.0, 1.0, 1.0005, 1.5, 2.0]]]])
    assert normalize_batch_for_display(image, 0, 100)[0, 0, 0].tolist() == [0, 0, 0, 0.5, 1]


@pytest.mark.parametrize("fill", [0.0, 3.0, -2.0])
def test_constants_are_black(fill):
    assert not normalize_batch_for_display(torch.full((1, 1, 4, 4), fill)).any()


def test_what_is_not_finite_is_background_and_spoils_nothing():
    image = torch.tensor([[[[float("nan"), float("inf"), 1.0, 2.0, 3.0]]]])
    assert normalize_batch_for_display(image, 0, 100)[0, 0, 0].tolist() == [0, 0, 0, 0.5, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.float64])
def test_any_type_is_shown(dtype):
    image = torch.tensor([[[[0, 1, 2, 3]]]], dtype=dtype)
    assert normalize_batch_for_display(image, 0, 100).flatten().tolist() == [0, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 127, 255]),
        ([-1.0, 0.0, 1.0], [0, 127, 255]),
        ([0, 50, 200], [0, 63, 255]),
        ([2.0, 4.0], [127, 255]),
        ([0.0, 0.05], [0, 12]),
        ([0.0, 0.0], [0, 0]),
    ],
)
def test_eight_bits(given, expected):
    image = np.array(given)
    before = image.copy()
    assert normalize_image_to_uint8(image).tolist() == expected
    assert normalize_image_to_uint8(torch.tensor(given)).tolist() == expected
    assert np.array_equal(image, before)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_a_grey_image_in_three_channels(make):
    shown = visualize_2d_image(make([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]))
    assert (shown.dtype, shown.shape) == (np.uint8, (2, 3, 3))
    assert shown[0].tolist() == [[0, 0, 0], [127, 127, 127], [255, 255, 255]]


@pytest.mark.parametrize(("axis", "shape"), [(0, (5, 7)), (1, (4, 7)), (2, (4, 5))])
def test_the_middle_slice(axis, shape):
    volume = np.zeros((4, 5, 7))
    np.moveaxis(volume, axis, 0)[volume.shape[axis] // 2, 1, 2] = 1
    shown = visualize_one_slice_in_3d_image(volume, axis)
    assert shown.shape == (*shape, 3)
    assert np.argwhere(shown[..., 0]).tolist() == [[1, 2]]


def test_the_last_axis_is_the_default():
    assert visualize_one_slice_in_3d_image(torch.zeros(4, 5, 7)).shape == (4, 5, 3)


@pytest.mark.parametrize(("axis", "ndim"), [(3, 3), (-1, 3), (3, 4), (2, 2)])
def test_another_axis_is_a_value_error(axis, ndim):
    with pytest.raises(ValueError, match=r"axis|axes"):
        visualize_one_slice_in_3d_image(np.zeros((4,) * ndim), axis)
