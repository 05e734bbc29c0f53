import pickle
from typing import Literal

import numpy as np
import pytest

from voxloom.errors import ConfigError, SchemaError, UnknownNameError
from voxloom.sample import Field, Sample, Schema
from voxloom.transforms import (
    TRANSFORMS,
    Augment,
    Compose,
    ForegroundNormalize,
    MinMaxNormalize,
    RangeNormalize,
    Resize,
    Transform,
    build,
)
from voxloom.transforms.transform import chosen_fields, replaced

SETTINGS = {"resize": {"size": (6, 8)}, "range": {"low": 0, "high": 2}}
KEEP_THE_TYPE = {"channels_first"}


class Add(Transform):
    name: Literal["add"] = "add"
    amount: float

    def __call__(self, sample, rng):
        return sample.with_arrays({name: array + self.amount for name, array in sample.items()})


class Jitter(Transform):
    random = True

    def __call__(self, sample, rng):
        return sample.with_arrays({name: array + rng.random() for name, array in sample.items()})


def sample_with(axes, arrays):
    """A sample whose schema tells the shapes; fields named mask are masks, others images."""
    kinds = {name: "mask" if "mask" in name else "image" for name in arrays}
    fields = (
        Field(name=name, kind=kinds[name], axes=axes, dtype=array.dtype.name, shape=array.shape)
        for name, array in arrays.items()
    )
    return Sample("a", Schema(fields), arrays)


@pytest.mark.parametrize("name", TRANSFORMS)
class TestContract:
    """Every transform of the table, also of those that will be added."""

    @pytest.fixture
    def transform(self, name):
        return TRANSFORMS[name].model_validate({"name": name, **SETTINGS.get(name, {})})

    @pytest.fixture
    def sample(self, sample_of):
        rng = np.random.default_rng(5)
        image = rng.normal(size=(1, 12, 12)).astype(np.float32)
        image[:, :3] = 0
        return sample_of(target=image, condition=image + 1, a_mask=(image > 0).astype(np.uint8))

    def test_it_has_its_name(self, name, transform):
        assert transform.name == name
        assert build([transform.model_dump(mode="json")]).transforms == (transform,)

    def test_it_survives_pickling_and_is_a_value(self, name, transform):
        assert pickle.loads(pickle.dumps(transform)) == transform
        assert hash(transform) == hash(pickle.loads(pickle.dumps(transform)))

    def test_equal_generators_give_equal_results(self, name, transform, sample):
        first, second = (transform(sample, np.random.default_rng(3)) for _ in range(2))
        for field in sample:
            np.testing.assert_array_equal(first[field], second[field])

    def test_it_draws_only_if_it_says_so(self, name, transform, sample):
        rng, untouched = np.random.default_rng(3), np.random.default_rng(3)
        transform(sample, rng)
        assert (rng.random() == untouched.random()) is not transform.random

    def test_it_leaves_the_given_sample_as_it_is(self, name, transform, sample):
        copies = {field: array.copy() for field, array in sample.items()}
        for array in sample.values():
            array.flags.writeable = False
        schema = sample.schema.to_list()
        transform(sample, np.random.default_rng(3))
        for field, copy in copies.items():
            np.testing.assert_array_equal(sample[field], copy)
        assert sample.schema.to_list() == schema

    def test_the_schema_tells_what_comes_out(self, name, transform, sample):
        result = transform(sample, np.random.default_rng(3))
        assert result.key == sample.key
        assert list(result) == list(result.schema)
        for field in result.schema.values():
            assert field.dtype == result[field.name].dtype.name
            assert field.shape in (None, result[field.name].shape)
        assert result["target"].dtype == np.float32
        assert set(np.unique(result["a_mask"])) <= {0, 1}
        assert result["a_mask"].dtype == np.uint8

    def test_only_the_named_fields_change(self, name, transform, sample):
        result = transform.model_copy(update={"fields": ("target",)})(sample, np.random.default_rng(1))
        assert result["condition"] is sample["condition"]

    def test_an_unknown_field_is_refused(self, name, transform, sample):
        with pytest.raises(SchemaError, match="Did you mean 'target'"):
            transform.model_copy(update={"fields": ("targt",)})(sample, np.random.default_rng(1))

    @pytest.mark.parametrize("axes", ["yxc", "yx", "xcy", "zyx", "vcyx"])
    def test_axes_go_by_their_names(self, name, transform, axes):
        if name == "channels_first" and axes in ("xcy", "zyx"):
            pytest.skip("it refuses them")
        rng = np.random.default_rng(5)
        lengths = {"y": 12, "x": 14, "c": 3, "z": 5, "v": 2}
        ordered = "".join(sorted(axes, key="zvcyx".index))
        image = rng.normal(size=[lengths[a] for a in ordered]).astype(np.float32)
        arrays = {"image": image, "mask": (image > 0).astype(np.uint8)}
        there = [ordered.index(a) for a in axes]
        usual = transform(sample_with(ordered, arrays), np.random.default_rng(3))
        given = sample_with(axes, {n: np.transpose(a, there) for n, a in arrays.items()})
        result = transform(given, np.random.default_rng(3))
        for field, array in result.items():
            after = result.schema[field].axes
            if sorted(after) == sorted(usual.schema[field].axes):
                back = np.transpose(array, [after.index(a) for a in usual.schema[field].axes])
                np.testing.assert_array_equal(back, usual[field])
            assert (len(after), result.schema[field].shape) == (array.ndim, array.shape)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
    @pytest.mark.parametrize("value", [0, 7])
    def test_constants_of_any_type_stay_finite(self, name, transform, sample_of, dtype, value):
        result = transform(sample_of(image=np.full((1, 12, 12), value, dtype)), np.random.default_rng(1))
        assert result["image"].dtype == (dtype if name in KEEP_THE_TYPE else np.float32)
        assert np.isfinite(result["image"]).all()


def test_transforms_apply_in_turn(sample_of, rng):
    steps = Compose(transforms=(Add(amount=1), RangeNormalize(low=0, high=2), Add(amount=5)))
    assert steps(sample_of(image=np.ones((1, 1, 1))), rng)["image"].item() == 6


def test_the_deterministic_part_ends_before_the_first_random_one(sample_of):
    steps = Compose(transforms=(Add(amount=1), Jitter(), Add(amount=2)))
    assert steps.random
    assert steps.deterministic.transforms == (Add(amount=1),)
    assert not steps.deterministic.random
    assert steps.random_part.transforms == (Jitter(), Add(amount=2))
    sample = sample_of(image=np.zeros((1, 1, 1)))
    whole = steps(sample, np.random.default_rng(4))["image"]
    first = steps.deterministic(sample, np.random.default_rng(9))
    assert steps.random_part(first, np.random.default_rng(4))["image"] == whole
    assert Compose().random_part.transforms == ()


def test_compositions_are_taken_apart():
    inner = Compose(transforms=(Add(amount=1), Compose(transforms=(Jitter(),))))
    assert Compose(transforms=(inner, Add(amount=2))).transforms == (Add(amount=1), Jitter(), Add(amount=2))


def test_a_composition_goes_to_plain_values_and_back():
    steps = Compose(transforms=(Resize(size=(4, 4)), ForegroundNormalize(keep_mask=True), Augment(flip_x=1)))
    plain = steps.model_dump(mode="json")
    assert plain["transforms"][1]["keep_mask"] is True
    assert Compose.model_validate(plain) == steps
    assert Compose.model_validate_json(steps.model_dump_json()) == steps


def test_a_list_of_settings_is_built():
    steps = build([{"name": "resize", "size": [8, 4], "fit": "pad"}, {"name": "minmax"}])
    assert steps.transforms == (Resize(size=(8, 4), fit="pad"), MinMaxNormalize())


def test_bad_settings_are_explained():
    with pytest.raises(UnknownNameError, match="Did you mean 'resize'"):
        build([{"name": "rezise"}])
    with pytest.raises(ConfigError, match=r"without a name: \{'size': 3\}. Known names: augment, "):
        build([{"size": 3}])
    with pytest.raises(ConfigError, match=r"transform 'minmax': field: unknown. Did you mean 'fields'"):
        build([{"name": "minmax", "field": ["a"]}])
    with pytest.raises(ConfigError, match=r"transform 'range': .*low=2 and high=1: expected low below high"):
        build([{"name": "range", "low": 2, "high": 1}])
    with pytest.raises(ConfigError, match=r"size\.0: Input should be greater than 0"):
        build([{"name": "resize", "size": [0, 4]}])


def test_fields_of_another_kind_are_refused_when_named(sample_of):
    sample = sample_of(image=np.zeros((1, 1, 1)), mask=np.zeros((1, 1, 1)))
    assert chosen_fields(sample, ("image",), None) == ["image"]
    assert chosen_fields(sample, ("image", "mask"), None) == ["image", "mask"]
    with pytest.raises(SchemaError, match="'mask' is of the kind mask: expected image"):
        chosen_fields(sample, ("image",), ("mask",))


def test_replacing_keeps_open_shapes_open(sample_of):
    sample = sample_of(a=np.zeros((1, 2, 2)), b=np.zeros((1, 2, 2)))
    sample = sample.with_arrays({}, sample.schema.replace(Field(name="a", dtype="float64", shape=(1, 2, 2))))
    result = replaced(sample, {name: np.zeros((1, 3, 3)) for name in "ab"})
    assert (result.schema["a"].shape, result.schema["b"].shape) == ((1, 3, 3), None)
