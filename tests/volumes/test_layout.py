import pytest
from pydantic import ValidationError

from voxloom.errors import SchemaError
from voxloom.volumes.layout import VolumeLayout


def layout(**settings):
    return VolumeLayout(**{"spacing": (8, 8, 8), "dtype": "uint8", **settings})


def test_it_is_its_own_configuration():
    made = layout(classes={1: "mito", 2: "er"}, kind="labels", version="0.4", levels=2)
    assert VolumeLayout.model_validate(made.model_dump()) == made
    assert VolumeLayout.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"dtype": "uint7"}, "expected one of numpy's"),
        ({"dtype": "complex64"}, "expected bool"),
        ({"dtype": "float32", "kind": "labels"}, "expected whole numbers"),
        ({"kind": "labels", "channels": ("a", "b")}, "one label image each"),
        ({"classes": {1: "mito"}}, "kind='labels'"),
        ({"channels": ("a", "a")}, "each name once"),
        ({"shard": (64, 64, 60), "chunk": (32, 32, 32)}, "whole chunks"),
        ({"fill": 256}, "that uint8 holds"),
        ({"fill": -1}, "that uint8 holds"),
        ({"fill": 0.5}, "that uint8 holds"),
        ({"spacing": (8, 0, 8)}, "greater than 0"),
        ({"levles": 3}, "levles"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        layout(**settings)


def test_shards_shrink_with_the_voxels_while_they_hold_whole_chunks():
    levels = layout(chunk=(32, 32, 32), levels=6).levels_of((2000, 2000, 2000))
    assert [shard[0] for _, _, shard in levels] == [256, 128, 64, 32, 128, 64]
    assert [chunk[0] for _, chunk, _ in levels] == [32] * 6  # the last two levels end within the shard


def test_an_axis_that_is_not_halved_keeps_its_shard():
    levels = layout(spacing=(40, 4, 4), chunk=(32, 32, 32), levels=3).levels_of((500, 999, 999))
    assert [shard for _, _, shard in levels] == [(256, 256, 256), (256, 128, 128), (256, 64, 64)]


def test_pieces_are_no_larger_than_the_volume():
    [(_, chunk, shard)] = layout(chunk=(32, 32, 32)).levels_of((1, 40, 100))
    assert (chunk, shard) == ((1, 32, 32), (1, 64, 128))


def test_levels_come_down_to_128_voxels():
    assert [grid.shape[2] for grid, _, _ in layout().levels_of((10, 20, 1025))] == [1025, 513, 257, 129, 65]
    assert len(layout().levels_of((128, 128, 128))) == 1


def test_too_many_levels_are_refused():
    with pytest.raises(SchemaError, match="at most 4"):
        layout(levels=9).levels_of((8, 8, 8))
