"""Boxes, grids, patches and poses."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import Box, Grid, PatchSpec, Pose, tile_starts

angles = st.floats(-360, 360)
triples = st.tuples(*[st.floats(-1e4, 1e4)] * 3)
sizes = st.tuples(*[st.floats(0.1, 1e4)] * 3)
poses = st.builds(
    Pose,
    flip=st.tuples(*[st.booleans()] * 3),
    permutation=st.permutations([0, 1, 2]).map(tuple),
    rotation=st.tuples(angles, angles, angles),
)


@given(triples, sizes)
def test_a_box_around_a_centre_has_it(center, size):
    box = Box.around(center, size)
    assert np.allclose(box.center, center, atol=1e-6)
    assert np.allclose(box.size, size, atol=1e-6)
    assert box.holds(box)
    assert (box & box) == box


def test_boxes_that_only_touch_share_nothing():
    assert (Box((0, 0, 0), (1, 1, 1)) & Box((1, 0, 0), (2, 1, 1))) is None


def test_a_shrunk_box_keeps_its_middle():
    assert Box((0, 0, 0), (4, 10, 10)).grown((-3, -1, 2)) == Box((2, 1, -2), (2, 9, 12))


@given(triples, sizes, triples)
def test_a_grid_turns_points_to_indices_and_back(origin, spacing, index):
    grid = Grid((3, 4, 5), spacing, origin)
    assert np.allclose(grid.index(grid.world(index)), index, atol=1e-4)


def test_the_first_voxel_centre_is_the_origin_and_faces_lie_half_a_voxel_out():
    grid = Grid((2, 3, 4), (10.0, 4.0, 2.0), (5.0, 0.0, 0.0))
    assert grid.world((0, 0, 0)) == (5.0, 0.0, 0.0)
    assert grid.box == Box((0.0, -2.0, -1.0), (20.0, 10.0, 7.0))


@given(st.tuples(*[st.integers(1, 200)] * 3), sizes, triples)
def test_a_patch_lies_around_its_centre(shape, spacing, center):
    spec = PatchSpec(shape=shape, spacing=spacing)
    box = spec.grid(center).box
    assert np.allclose(box.center, center, atol=1e-5)
    assert np.allclose(box.size, spec.size)


@pytest.mark.parametrize("wrong", [{"shape": (0, 1, 1)}, {"spacing": (0, 1, 1)}, {"shape": (4, 4)}])
def test_a_patch_needs_three_positive_numbers(wrong):
    with pytest.raises((ConfigError, ValueError), match=next(iter(wrong))):
        PatchSpec.model_validate({"shape": (4, 4, 4), "spacing": (1, 1, 1), **wrong})


@given(poses)
def test_a_pose_changes_no_lengths(pose):
    assert np.allclose(pose.matrix @ pose.matrix.T, np.eye(3), atol=1e-9)


@given(st.tuples(angles, angles, angles))
def test_rotations_are_those_of_scipy_about_fixed_x_then_y_then_z(degrees):
    about_z, about_y, about_x = degrees
    expected = Rotation.from_euler("xyz", [about_x, about_y, about_z], degrees=True).as_matrix()
    assert np.allclose(Pose(rotation=degrees).matrix, expected[::-1, ::-1], atol=1e-9)


@pytest.mark.parametrize(
    ("rotation", "taken", "to"),
    [((90, 0, 0), 2, 1), ((0, 90, 0), 0, 2), ((0, 0, 90), 1, 0)],  # z: x to y; y: z to x; x: y to z
)
def test_a_right_angle_takes_one_axis_exactly_to_the_next(rotation, taken, to):
    assert Pose(rotation=rotation).matrix[:, taken].tolist() == np.eye(3)[to].tolist()
    assert Pose(rotation=rotation).is_axis_aligned


def test_flip_comes_before_permutation():
    pose = Pose(flip=(True, False, False), permutation=(2, 1, 0))
    assert (pose.matrix @ [1, 0, 0]).tolist() == [0, 0, -1]  # along z of the patch: backwards along x


@given(poses, sizes)
def test_the_reach_of_a_pose_holds_every_corner(pose, size):
    corners = np.array(np.meshgrid(*[(-s / 2, s / 2) for s in size])).reshape(3, -1)
    reached = np.abs(pose.matrix @ corners).max(axis=1) * 2
    assert np.allclose(pose.reach(size), reached, rtol=1e-6)


def test_the_reach_of_a_bent_patch_has_room_for_the_bend():
    bend = np.zeros((3, 4, 4, 4))
    bend[1, 2, 2, 2] = -7
    assert Pose(displacement=bend).reach((10, 10, 10)) == (10, 24, 10)
    assert not Pose(displacement=bend).is_axis_aligned


def test_poses_travel():
    assert np.array_equal(
        pickle.loads(pickle.dumps(Pose(rotation=(1, 2, 3)))).matrix, Pose(rotation=(1, 2, 3)).matrix
    )


@pytest.mark.parametrize("wrong", [{"permutation": (0, 0, 1)}, {"displacement": np.zeros((3, 3, 4, 4))}])
def test_a_pose_that_is_none_is_refused(wrong):
    with pytest.raises(SchemaError, match=next(iter(wrong))):
        Pose(**wrong)


@given(st.integers(1, 3000), st.integers(1, 300), st.integers(1, 300))
def test_tiles_cover_every_voxel_and_stand_out_nowhere(extent, tile, step):
    step = min(step, tile)
    starts = tile_starts(extent, tile, step)
    covered = np.zeros(max(extent, tile), bool)
    for start in starts:
        covered[start : start + tile] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert starts[-1] == max(0, extent - tile)


def test_a_step_that_leaves_gaps_is_refused():
    with pytest.raises(SchemaError, match="gaps"):
        tile_starts(10, 2, 3)
