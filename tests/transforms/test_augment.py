import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.sample import Field, Sample, Schema
from voxloom.seeding import rng_for
from voxloom.transforms import Augment, sampling_grid, warp

NEVER = {"flip_y": 0, "flip_x": 0, "right_angle": 0, "affine": 0, "elastic": 0}
EXACT = {"affine": 0, "elastic": 0}


def poses(image):
    """The eight ways to lay a square."""
    return {np.rot90(side, k, (-2, -1)).tobytes() for side in (image, image[..., ::-1]) for k in range(4)}


def test_flips_are_exact(glyph, sample_of, rng):
    up_down = Augment(**NEVER | {"flip_y": 1})(sample_of(image=glyph), rng)["image"]
    np.testing.assert_array_equal(up_down, glyph[:, ::-1])
    left_right = Augment(**NEVER | {"flip_x": 1})(sample_of(image=glyph), rng)["image"]
    np.testing.assert_array_equal(left_right, glyph[..., ::-1])
    np.testing.assert_array_equal(Augment(**NEVER)(sample_of(image=glyph), rng)["image"], glyph)


def test_flips_and_right_angles_give_all_eight_poses_bit_for_bit(square_glyph, sample_of):
    image = square_glyph * np.float32(np.pi)
    augment = Augment(**EXACT)
    seen = {augment(sample_of(image=image), rng_for(0, i))["image"].tobytes() for i in range(100)}
    assert seen == poses(image)


def test_images_that_are_not_square_keep_their_shape(glyph, sample_of):
    augment = Augment(**NEVER | {"right_angle": 1})
    for seed in range(5):
        result = augment(sample_of(image=glyph), rng_for(seed))["image"]
        np.testing.assert_array_equal(result, glyph[:, ::-1, ::-1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([(24, 24), (20, 28)]), st.sampled_from(["zero", "mirror"]))
def test_a_pair_moves_alike_and_a_mask_with_it(seed, size, border):
    image = np.zeros((1, *size), np.float32)
    image[:, 4:17, 5:9] = image[:, 4:8, 5:16] = 1
    kinds = {"target": "image", "condition": "image", "a_mask": "mask"}
    schema = Schema(
        [Field(name=n, kind=k, dtype="uint8" if k == "mask" else "float32") for n, k in kinds.items()]
    )
    sample = Sample(
        "a", schema, {"target": image, "condition": image.copy(), "a_mask": image.astype(np.uint8)}
    )
    result = Augment(affine=0.8, elastic=0.8, border=border)(sample, rng_for(seed))
    np.testing.assert_array_equal(result["target"], result["condition"])
    assert result["a_mask"].dtype == np.uint8
    assert set(np.unique(result["a_mask"])) <= {0, 1}
    assert ((result["target"] > 0.5) == result["a_mask"]).mean() > 0.97
    assert all(array.shape == image.shape for array in result.values())


def test_the_background_stays_exactly_0(sample_of):
    image = np.zeros((1, 40, 40), np.float32)
    image[:, 15:25, 15:25] = 5
    for seed in range(10):
        result = Augment(affine=1, elastic=1)(sample_of(image=image), rng_for(seed))["image"]
        assert (result[:, :3] == 0).all()
        assert not np.signbit(result).any()
        assert result.max() > 4


def test_a_zero_border_brings_zeros_and_a_mirror_none(sample_of):
    image = np.full((1, 32, 32), 7, np.float32)
    shifted = {**NEVER, "affine": 1, "shift": 0.3}
    zero = Augment(**shifted)(sample_of(image=image), rng_for(1))["image"]
    mirror = Augment(**shifted, border="mirror")(sample_of(image=image), rng_for(1))["image"]
    assert (zero == 0).any()
    np.testing.assert_allclose(mirror, image, rtol=1e-5)


def test_the_generator_decides_and_nothing_else(square_glyph, sample_of):
    sample = sample_of(image=square_glyph)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - to see that it does not matter
    first = Augment()(sample, rng_for(3))["image"]
    torch.manual_seed(1)
    np.testing.assert_array_equal(Augment()(sample, rng_for(3))["image"], first)
    results = {Augment()(sample, rng_for(seed))["image"].tobytes() for seed in range(20)}
    assert len(results) > 10


def test_each_change_stays_within_its_range(rng):
    augment = Augment(affine=1, elastic=0, rotation_degrees=10, shift=0.1, scale=0.2)
    for seed in range(30):
        grid = augment._grid(rng_for(seed), (64, 64))[0].double() * 32  # x, y in pixels from the centre
        along = (grid[32, 63] - grid[32, 0]) / 63
        zoom = 1 / float(along.norm())
        angle = float(torch.rad2deg(torch.atan2(-along[1], along[0])))
        shift = grid[31:33, 31:33].mean((0, 1)).abs()
        assert 0.8 - 1e-4 <= zoom <= 1.2 + 1e-4
        assert abs(angle) <= 10 + 1e-3
        assert shift.max() <= 0.1 * 64 / 0.8 * 1.2


def test_elastic_displacements_are_small_and_smooth():
    grid = Augment(affine=0, elastic=1)._grid(rng_for(0), (128, 128))[0]
    moved = (grid - sampling_grid((128, 128))[0]) * 64
    assert 0.2 < float(moved.std()) < 1.2
    assert float(moved.diff(dim=0).abs().max()) < 0.8  # pixels do not change their order
    assert float(moved[..., 0].flatten().dot(moved[..., 1].flatten())) != 0


def test_fields_of_different_sizes_are_refused(sample_of, rng):
    sample = sample_of(a=np.zeros((1, 4, 4)), b=np.zeros((1, 4, 5)))
    with pytest.raises(SchemaError, match=r"'folder/key': fields of different sizes .*Resize them first"):
        Augment()(sample, rng)


def test_a_sample_without_images_is_left_alone(rng):
    sample = Sample("a", Schema([Field(name="age", kind="attribute", axes="")]), {"age": np.array(3)})
    assert Augment()(sample, rng) is sample


@pytest.mark.parametrize(("shift", "expected"), [((3, 0), (3, 0)), ((0, -2), (0, -2)), ((1, 2), (1, 2))])
def test_shifts_are_down_and_to_the_right(glyph, shift, expected):
    moved = warp(torch.from_numpy(glyph)[None], sampling_grid(glyph.shape[-2:], shift_px=shift))
    np.testing.assert_allclose(moved[0].numpy(), np.roll(glyph, expected, (-2, -1)), atol=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_is_counter_clockwise(square_glyph, turns):
    grid = sampling_grid(square_glyph.shape[-2:], rotation_degrees=90 * turns)
    moved = warp(torch.from_numpy(square_glyph)[None], grid)[0].numpy()
    np.testing.assert_allclose(moved, np.rot90(square_glyph, turns, (-2, -1)), atol=1e-4)


def test_rotation_keeps_circles_round_on_images_that_are_not_square():
    y, x = np.mgrid[:41, :81] - np.array([20, 40])[:, None, None]
    disc = torch.from_numpy((np.hypot(x, y) < 12).astype(np.float32))[None, None]
    moved = warp(disc, sampling_grid((41, 81), rotation_degrees=30))
    assert float((moved - disc).abs().mean()) < 0.01


def test_zooming_enlarges(glyph):
    large = warp(torch.ones(1, 1, 9, 9), sampling_grid((9, 9), zoom=0.5), "nearest")
    assert 9 <= float(large.sum()) <= 25


def test_displacements_are_y_then_x(glyph):
    displacement = torch.zeros(2, 28, 20)
    displacement[0] = 2
    moved = warp(torch.from_numpy(glyph)[None], sampling_grid((28, 20), displacement_px=displacement))
    np.testing.assert_allclose(moved[0].numpy(), np.roll(glyph, -2, -2), atol=1e-5)


def test_one_grid_or_one_for_each_image(glyph):
    images = torch.from_numpy(glyph).expand(3, 2, -1, -1)
    grids = torch.cat([sampling_grid((28, 20), shift_px=(i, 0)) for i in range(3)])
    each = warp(images, grids)
    for i in range(3):
        assert torch.equal(each[i], warp(images, grids[i : i + 1])[i])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64, torch.float64])
def test_masks_of_any_type(dtype):
    mask = torch.eye(8).to(dtype).reshape(1, 1, 8, 8)
    moved = warp(mask, sampling_grid((8, 8), shift_px=(1, 1)), "nearest")
    assert moved.dtype == dtype
    assert torch.equal(moved[0, 0, 1:, 1:], mask[0, 0, :7, :7])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_gives_what_the_cpu_gives(square_glyph):
    images = torch.from_numpy(square_glyph)[None]
    grid = sampling_grid((32, 32), rotation_degrees=20, zoom=1.1)
    assert torch.allclose(warp(images.cuda(), grid).cpu(), warp(images, grid), atol=1e-4)
