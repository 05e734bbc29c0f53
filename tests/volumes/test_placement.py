import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.geometry import Grid, PatchSpec, Pose
from voxloom.volumes.placement import Copy, Placement

GRID = Grid((40, 50, 60), (12.0, 6.0, 4.0), (60.0, -30.0, 8.0))
SPEC = PatchSpec(shape=(9, 10, 11), spacing=(12, 6, 4))

angle = st.floats(-180, 180)
bends = st.integers(0, 9).map(lambda seed: np.random.default_rng(seed).uniform(-30, 30, (3, 4, 5, 4)))
poses = st.builds(
    Pose, permutation=st.permutations([0, 1, 2]).map(tuple), rotation=st.tuples(angle, angle, angle),
    displacement=st.none() | bends,
)  # fmt: skip


def all_places(placement):
    """Where every voxel lies; the bend is taken at its least and at its largest."""
    straight = np.indices(placement.shape).reshape(3, -1).T @ placement.matrix.T + placement.offset
    return [straight + aside for aside in placement.slack]


@given(pose=poses, center=st.tuples(*[st.floats(-200, 600)] * 3), margin=st.sampled_from([(0, 1), (1, 2)]))
def test_slabs_hold_all_that_is_looked_at(pose, center, margin):
    """Each voxel that sampling looks at is in exactly one slab."""
    placement = Placement.of(SPEC, center, pose, GRID)
    held = np.zeros(GRID.shape, int)
    for window in placement.slabs(GRID.shape, margin, thick=8):
        held[window] += 1
        whole = placement.window(GRID.shape, margin)
        assert all(a.start <= b.start < b.stop <= a.stop for a, b in zip(whole, window, strict=True))
    assert held.max() <= 1
    size = np.array(GRID.shape)
    for places in all_places(placement):
        inside = ((places >= -0.5) & (places < size - 0.5)).all(axis=1)
        low = np.floor(np.clip(places[inside], 0, size - 1)).astype(int)
        if margin == (0, 1):  # the last voxel is the upper one of its pair
            low = np.minimum(low, size - 2)
        for tap in np.ndindex(*[margin[0] + margin[1] + 1] * 3):
            z, y, x = np.clip(low + tap - margin[0], 0, size - 1).T
            assert held[z, y, x].all()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("permutation", "spacing"), [((0, 1, 2), (12, 6, 4)), ((2, 0, 1), (4, 12, 6))])
def test_right_angles_on_voxels_are_copies(flip, permutation, spacing):
    """Axis a of the patch runs along axis permutation[a] of the world, with that axis's spacing."""
    spec = PatchSpec(shape=(3, 5, 7), spacing=spacing)
    pose = Pose(flip=(flip, False, False), permutation=permutation)
    center = GRID.world((20.0, 21.0, 22.0))
    copy = Placement.of(spec, center, pose, GRID).as_copy()
    middle = np.array([20, 21, 22])[list(permutation)]
    start = middle - [-1 if flip else 1, 2, 3]
    assert copy == Copy(permutation, tuple(start.tolist()), (-1 if flip else 1, 1, 1))


@pytest.mark.parametrize(
    ("shift", "spacing", "is_copy", "is_nearest_copy"),
    [
        (0.0, 4.0, True, True),
        (0.0005, 4.0, True, True),
        (0.3, 4.0, False, True),
        (0.0, 8.0, True, True),  # every other voxel
        (0.0, 4.0001, True, True),  # drifts by less than a thousandth of a voxel
        (0.0, 4.01, False, False),
        (0.0, 6.0, False, False),
    ],
)
def test_what_is_a_copy(shift, spacing, is_copy, is_nearest_copy):
    spec = PatchSpec(shape=(9, 9, 9), spacing=(12, 6, spacing))
    placement = Placement.of(spec, GRID.world((20, 20, 20 + shift)), Pose(), GRID)
    assert (placement.as_copy() is not None, placement.as_copy(nearest=True) is not None) == (
        is_copy,
        is_nearest_copy,
    )


def test_turned_and_bent_patches_are_no_copies():
    for pose in (Pose(rotation=(1, 0, 0)), Pose(displacement=np.zeros((3, 4, 4, 4)))):
        assert Placement.of(SPEC, (300, 100, 100), pose, GRID).as_copy(nearest=True) is None


def test_within_is_to_the_outer_faces():
    box = GRID.box
    spec = PatchSpec(shape=GRID.shape, spacing=GRID.spacing)
    assert Placement.of(spec, box.center, Pose(), GRID).within(GRID.shape)
    aside = (box.center[0], box.center[1], box.center[2] + 4)
    assert not Placement.of(spec, aside, Pose(), GRID).within(GRID.shape)
    one = PatchSpec(shape=(1, 1, 1), spacing=(8, 8, 8))
    # a place between two voxels belongs to the lower one, and so the highest face to the volume
    assert Placement.of(one, box.high, Pose(), GRID).within(GRID.shape)
    assert not Placement.of(one, box.low, Pose(), GRID).within(GRID.shape)


def test_a_turn_that_moves_no_voxel_is_none():
    center = GRID.world((20.0, 25.0, 30.0))
    spec = PatchSpec(shape=(9, 11, 11), spacing=(12, 6, 4))
    whole = Placement.of(spec, center, Pose(), GRID).as_copy()
    assert whole is not None
    assert Placement.of(spec, center, Pose(rotation=(1e-9, 0, -1e-9)), GRID).as_copy() == whole
    assert Placement.of(spec, center, Pose(rotation=(1e-3, 0, 0)), GRID).as_copy() is None
