import numpy as np
import pytest
from pydantic import ValidationError

from voxloom.sample import Field, Sample, Schema
from voxloom.testing.images import glyph
from voxloom.transforms import (
    Augment,
    ForegroundNormalize,
    MinMaxNormalize,
    PercentileNormalize,
    Preparation,
    RangeNormalize,
)

RANGE = {"name": "range", "low": 0, "high": 200}


def sample(image):
    return Sample("a", Schema([Field(name="image")]), {"image": image[np.newaxis]})


def prepared(preparation, image, size, augment=None, seed=0):
    return preparation.transform(size, augment)(sample(image), np.random.default_rng(seed))["image"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("foreground", ForegroundNormalize),
        ("percentile", PercentileNormalize),
        ("minmax", MinMaxNormalize),
        ("range", RangeNormalize),
    ],
)
def test_the_normalisation_is_chosen_by_name(name, kind):
    settings = RANGE if name == "range" else {"name": name}
    preparation = Preparation.model_validate({"normalization": settings})
    assert type(preparation.normalization) is kind
    assert preparation.is_invertible is (name == "range")
    assert Preparation.model_validate(preparation.model_dump(mode="json")) == preparation


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError):
        Preparation.model_validate({"normalization": {"name": "zscore"}})
    with pytest.raises(ValidationError):
        Preparation.model_validate({"normalization": {**RANGE, "lo": 1}})


def test_resizing_comes_before_normalising_and_augmentation_last():
    steps = Preparation().transform((8, 8), Augment()).transforms
    assert [step.name for step in steps] == ["resize", "foreground", "augment"]
    assert len(Preparation().transform((8, 8)).random_part.transforms) == 0


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("file_size", [(28, 20), (20, 28), (56, 40)])
def test_the_way_back_has_size_units_and_orientation_of_the_file(fit, file_size):
    image = 200 * glyph(*file_size)
    preparation = Preparation(fit=fit, normalization=RANGE, interpolation="linear")
    ready = prepared(preparation, image, (112, 112))
    assert ready.shape == (1, 112, 112)
    assert -1 <= ready.min() <= ready.max() <= 1
    back = preparation.restore(preparation.resize((112, 112)).invert(ready, file_size))
    assert (back.dtype, back.shape) == (np.float32, (1, *file_size))
    assert np.abs(back[0] - image).mean() < 16  # edges blur
    for turned in (image[::-1], image[:, ::-1], image[::-1, ::-1]):
        assert np.abs(back[0] - turned).mean() > 2 * np.abs(back[0] - image).mean()


def test_without_a_size_the_prepared_one_is_kept_and_units_return_where_they_can():
    image = 200 * glyph(28, 20)
    fixed = Preparation(normalization=RANGE)
    assert np.allclose(fixed.restore(prepared(fixed, image, (28, 20)))[0], image, atol=1e-4)
    foreground = Preparation()
    ready = prepared(foreground, image, (28, 20))
    assert np.array_equal(foreground.restore(ready), ready)


def test_background_stays_0_under_foreground_normalisation():
    image = glyph(28, 20) * np.linspace(50, 200, 20, dtype=np.float32)
    ready = prepared(Preparation(), image, (28, 20))[0]
    assert (ready[image == 0] == 0).all()
    assert ready[image > 0].mean() == pytest.approx(0, abs=1e-5)
    assert ready[image > 0].std() == pytest.approx(1, abs=1e-4)


def test_augmented_images_move_over_their_own_background():
    image = np.zeros((1, 32, 32), np.uint8)
    image[0, 14:18, 14:18] = 200
    augment = Augment(flip_x=0, flip_y=0, right_angle=0, affine=1, shift=0.3, elastic=0)
    steps = Preparation(normalization=RANGE).transform((32, 32), augment)
    sample = Sample("a", Schema([Field(name="image")]), {"image": image})
    for seed in range(8):
        moved = steps(sample, np.random.default_rng(seed))["image"]
        assert moved.min() >= -1 - 1e-6
        assert np.allclose(moved[0, [0, 0, -1, -1], [0, -1, 0, -1]], -1, atol=1e-5)
