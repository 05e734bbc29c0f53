import numpy as np
import pytest
from pydantic import ValidationError

from voxloom.analysis import MaskRule


def test_a_threshold_is_exclusive_and_ignores_the_data_range() -> None:
    mask = MaskRule(threshold=2)(np.array([1, 2, 3], dtype=np.uint8), data_range=255)
    assert mask.tolist() == [False, False, True]


def test_negative_values_are_foreground_and_small_ones_background() -> None:
    image = np.array([-5.0, -0.1, 0.0, 0.1, 5.0])
    assert MaskRule()(image, data_range=100).tolist() == [True, False, False, False, True]


def test_another_background() -> None:
    rule = MaskRule(background=-1000, tolerance=0.05)
    assert rule(np.array([-1000, -950, 0]), data_range=2000).tolist() == [False, False, True]
    assert rule.describe(2000) == "|value + 1000| > 100 (5 % of the data range)"
    assert MaskRule(background=7).describe(100) == "|value - 7| > 1 (1 % of the data range)"


def test_unsigned_values_below_the_background_do_not_wrap_around() -> None:
    rule = MaskRule(background=200)
    assert rule(np.array([199, 0], dtype=np.uint8), data_range=255).tolist() == [False, True]


def test_it_is_a_strict_component() -> None:
    with pytest.raises(ValidationError, match="treshold"):
        MaskRule.model_validate({"treshold": 1})
    with pytest.raises(ValidationError, match="tolerance"):
        MaskRule(tolerance=-1)
    assert MaskRule.model_validate(MaskRule(threshold=1).model_dump(mode="json")) == MaskRule(threshold=1)
