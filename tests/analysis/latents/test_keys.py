"""Keys as people write them: with and without the ending of a file."""

import numpy as np
import pytest

from voxloom.analysis.latents import Points
from voxloom.analysis.latents.keys import key_labels, key_place
from voxloom.errors import ConfigError, MissingDataError

FOLDER = ["p01/ax_012.tif", "p01/ax_013.TIFF", "p02/ax_112.png"]


def test_an_expression_may_end_where_the_name_ends():
    assert key_labels(FOLDER, "_([0-9]+)$").tolist() == ["012", "013", "112"]
    assert key_labels(["ax_012", "b"], "_([0-9]+)$").tolist() == ["012", "(none)"]
    points = Points.of_arrays({"a": np.eye(3)}, {"a": FOLDER})
    assert points.labels("key:([0-9])[0-9]$").tolist() == ["1", "1", "1"]


def test_an_expression_may_mean_the_ending():
    assert key_labels(FOLDER, r"\.(tif|png)$").tolist() == ["tif", "(none)", "png"]
    assert key_labels(["v1.5", "v1.6"], r"\.([0-9])$").tolist() == ["5", "6"]


def test_what_finds_nothing_or_is_wrong_is_told():
    with pytest.raises(ConfigError, match=r"finds nothing in any of 3 keys, for instance 'p01/ax_012.tif'"):
        key_labels(FOLDER, "zzz")
    with pytest.raises(ConfigError, match="Expected a regular expression"):
        key_labels(FOLDER, "(")


def test_a_key_is_named_with_or_without_its_ending():
    assert key_place(FOLDER, "p01/ax_013", "ct") == 1
    assert key_place(FOLDER, "p02/ax_112.png", "ct") == 2
    assert key_place(["a", "a.tif"], "a", "ct") == 0
    with pytest.raises(MissingDataError, match=r"may be a.tif and a.png: name one of them in full"):
        key_place(["a.tif", "a.png"], "a", "ct")
    with pytest.raises(MissingDataError, match=r"Did you mean 'p01/ax_012.tif'"):
        key_place(FOLDER, "p01/ax_012.tff", "ct")
