import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from voxloom.geometry import PatchSpec
from voxloom.seeding import rng_for
from voxloom.transforms import Elastic, SpatialAugment

STILL = {"mirror": (0, 0, 0), "transpose": ()}
CUBE = (512.0, 512.0, 512.0)


def poses(augment, number=200, size=CUBE):
    return [augment.draw(rng_for(0, "pose", i), size) for i in range(number)]


def bent(shape, span, grid):
    """What a displacement of one axis is at each voxel of a patch as wide as `span`, by its definition."""
    weights = []
    for voxels, points in zip(shape, grid.shape, strict=True):
        u = ((np.arange(voxels) + 0.5) / voxels) * (points - 3) + 1
        offsets = np.abs(u[:, None] - np.arange(points))
        inner = 2 / 3 - offsets**2 + offsets**3 / 2
        weights.append(np.where(offsets < 1, inner, np.clip(2 - offsets, 0, None) ** 3 / 6))
    return np.einsum("zi,yj,xk,ijk->zyx", *weights, grid, optimize=True)


def test_without_settings_a_pose_is_a_copy():
    drawn = poses(SpatialAugment())
    assert SpatialAugment().is_axis_aligned
    assert all(pose.is_axis_aligned for pose in drawn)
    assert {(pose.flip, pose.permutation) for pose in drawn} == set(
        itertools.product(itertools.product((False, True), repeat=3), [(0, 1, 2), (0, 2, 1)])
    )


def test_nothing_is_drawn_from_where_all_is_off():
    assert all(pose.is_identity for pose in poses(SpatialAugment(**STILL), 20))


def test_mirrors_come_as_often_as_asked():
    drawn = poses(SpatialAugment(mirror={"z": 1, "x": 0.25}), 1000)
    share = np.mean([pose.flip for pose in drawn], axis=0)
    assert share[0] == 1
    assert share[1] == 0
    assert abs(share[2] - 0.25) < 0.05


@pytest.mark.parametrize(
    ("axes", "number"), [((), 1), (("x",), 1), (("y", "x"), 2), (("x", "z"), 2), (("z", "y", "x"), 6)]
)
def test_only_the_axes_named_change_places(axes, number):
    drawn = {pose.permutation for pose in poses(SpatialAugment(mirror=(0, 0, 0), transpose=axes))}
    assert len(drawn) == number
    still = [axis for axis, name in enumerate("zyx") if name not in axes]
    assert all(places[axis] == axis for places in drawn for axis in still)


def test_turns_are_uniform_in_their_range():
    drawn = poses(SpatialAugment(**STILL, rotation={"z": 180, "x": [10, 20]}), 1000)
    z, y, x = np.array([pose.rotation for pose in drawn]).T
    assert -180 <= z.min() < -170
    assert 170 < z.max() <= 180
    assert (y == 0).all()
    assert 10 <= x.min() < 10.5
    assert 19.5 < x.max() <= 20
    assert not SpatialAugment(rotation={"z": 1}).is_axis_aligned


def test_a_turn_about_z_stays_in_the_section_plane_after_any_exchange():
    """Anisotropic voxels: z is another thing than y and x, and only `transpose` may mix them."""
    spec = PatchSpec(shape=(16, 64, 32), spacing=(40, 4, 4))
    for pose in poses(SpatialAugment(rotation={"z": 180}), 50, spec.size):
        assert pose.matrix[0, 1:].tolist() == [0, 0]  # y and x of the patch never leave the plane
        assert pose.matrix[1:, 0].tolist() == [0, 0]
        np.testing.assert_allclose(pose.matrix @ pose.matrix.T, np.eye(3), atol=1e-12)  # nothing is sheared
        assert pose.reach(spec.size)[0] == pytest.approx(spec.size[0])


def test_a_2d_patch_stays_in_its_plane_or_turns_out_of_it_as_asked():
    flat = PatchSpec(shape=(1, 64, 64), spacing=(40, 4, 4))
    assert all(pose.reach(flat.size)[0] == 40 for pose in poses(SpatialAugment(), 20, flat.size))
    anywhere = poses(SpatialAugment(transpose=("z", "y", "x")), 50, flat.size)
    assert {pose.permutation[0] for pose in anywhere} == {0, 1, 2}


def test_a_bend_has_the_deviation_that_was_asked_for():
    elastic = Elastic(spacing=(100, 100, 100), sd=(0, 15, 25), probability=1)
    (grid, span) = elastic.draw(rng_for(0), (1600.0, 1600.0, 1600.0))
    assert grid.shape == (3, 19, 19, 19)
    assert span == (1600, 1600, 1600)
    aside = np.stack([bent((32, 32, 32), span, axis) for axis in grid])
    np.testing.assert_allclose(aside.std(axis=(1, 2, 3)), (0, 15, 25), rtol=0.1)
    step = 50  # nm between two of these places: their order hardly ever changes at the largest sd allowed
    assert (np.diff(aside[2], axis=2) > -step).mean() > 0.9995


def test_control_points_keep_their_distance_whatever_the_patch():
    elastic = Elastic(spacing=(400, 100, 100), sd=20, probability=1)
    for size in [(40, 256, 256), (100, 950, 1000), (3000, 90, 10)]:
        grid, span = elastic.draw(rng_for(0), size)
        steps = np.array(grid.shape[1:]) - 3
        assert (steps >= 1).all()
        np.testing.assert_allclose(np.array(span) / steps, elastic.spacing)
        assert all(s - p < step + 1e-6 for s, p, step in zip(span, size, elastic.spacing, strict=True))
        assert all(s >= p for s, p in zip(span, size, strict=True))


def test_a_share_of_the_samples_is_bent():
    drawn = poses(SpatialAugment(**STILL, elastic=Elastic(probability=0.3)), 300)
    bends = [pose.displacement is not None for pose in drawn]
    assert abs(np.mean(bends) - 0.3) < 0.08
    assert all((pose.span is not None) == is_bent for pose, is_bent in zip(drawn, bends, strict=True))
    assert all(max(pose.reach(CUBE)) < 512 + 2 * 3 * 20 / 0.33 for pose in drawn)


def test_the_generator_decides_and_nothing_else():
    augment = SpatialAugment(rotation=30, elastic=Elastic(probability=1))
    first, again = (augment.draw(rng_for(5), CUBE) for _ in range(2))
    assert first.rotation == again.rotation
    np.testing.assert_array_equal(first.displacement, again.displacement)
    assert len({pose.rotation for pose in poses(augment, 20)}) == 20
    still = SpatialAugment(rotation=30).draw(rng_for(5), CUBE)  # switched off, the others stay as they were
    assert (still.flip, still.permutation, still.rotation) == (first.flip, first.permutation, first.rotation)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mirror": {"q": 0.5}}, "mirror"),
        ({"mirror": (0, 2, 0)}, "less than or equal to 1"),
        ({"transpose": ("y", "y")}, "stands twice"),
        ({"rotation": {"z": [30, -30]}}, r"z from 30 to -30 degrees: expected the lower one first"),
        ({"rotation": {"z": 500}}, "360"),
        ({"elastic": {"spacing": 30, "sd": 20}}, "folds space: expected sd of at most a quarter"),
        ({"shear": 1}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        SpatialAugment(**settings)


def test_settings_survive_a_file():
    augment = SpatialAugment(rotation=30, mirror={"z": 1}, elastic=Elastic(sd=10))
    assert SpatialAugment.model_validate(augment.model_dump(mode="json")) == augment
    assert hash(augment) == hash(augment.model_copy())
