from __future__ import annotations

import json
import pickle

import pytest
from pydantic import ValidationError

from voxloom.component import Component


class Blur(Component):
    """An example."""

    sigma: float = 1.0
    """Width in pixels."""
    axes: tuple[str, ...] = ("y", "x")


def test_equal_settings_are_equal_and_hash_alike():
    assert Blur(sigma=2) == Blur(sigma=2.0)
    assert Blur(sigma=2) != Blur(sigma=3)
    assert len({Blur(sigma=2), Blur(sigma=2.0), Blur()}) == 2


def test_it_goes_through_json_and_pickle():
    blur = Blur(sigma=0.5, axes=("z",))
    assert Blur.model_validate(json.loads(json.dumps(blur.model_dump(mode="json")))) == blur
    assert pickle.loads(pickle.dumps(blur)) == blur


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Blur().sigma = 2.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sgima": 1}, "Extra inputs"),
        ({"sigma": "wide"}, "valid number"),
        ({"sigma": float("nan")}, "finite"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Blur(**settings)


def test_the_words_under_a_setting_are_its_description():
    assert Blur.model_fields["sigma"].description == "Width in pixels."
