"""Which volume each input is read from."""

import pytest

from voxloom.errors import ConfigError
from voxloom.jobs.input_paths import input_paths

ONE = {"inputs": ["near", "far"], "volumes": {"near": "near", "far": "near"}}
TWO = {"inputs": ["em", "light"], "volumes": {"em": "em", "light": "light"}}


def test_inputs_of_one_volume_take_one_path():
    for given in ("a.zarr", {"near": "a.zarr"}, {"near": "a.zarr", "far": "a.zarr"}):
        assert input_paths(given, ONE) == {"near": "a.zarr"}
    assert input_paths("a.zarr", {"inputs": ["em", "far"]}) == {"em": "a.zarr"}  # of an older checkpoint
    assert input_paths({"near": "a", "far": "b"}, ONE) == {"near": "a", "far": "b"}


def test_inputs_of_several_volumes_take_a_path_each_in_the_order_of_training():
    assert list(input_paths({"light": "l", "em": "e"}, TWO).items()) == [("em", "e"), ("light", "l")]


@pytest.mark.parametrize(
    ("facts", "given", "message"),
    [
        (TWO, "a.zarr", "input a.zarr: .* 2 volumes .*--input em=PATH --input light=PATH"),
        (TWO, {"em": "a"}, "no volume for light"),
        (TWO, {"em": "a", "lite": "b"}, r"input 'lite': .* Inputs: em, light"),
        (ONE, {"far": "a"}, "no volume for near"),
    ],
)
def test_what_is_missing_is_told(facts, given, message):
    with pytest.raises(ConfigError, match=message):
        input_paths(given, facts)
