import numpy as np
import pytest

from voxloom.errors import ConfigError, DataError
from voxloom.source import Concat
from voxloom.sources import (
    FieldStatistics,
    ImageFolder,
    PairFolder,
    Split,
    Statistics,
    describe,
    write_image,
    write_png,
)


@pytest.fixture
def pairs(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        write_image(
            tmp_path / "edente" / f"{i}.tif", rng.normal(5, 2, (4, 5 + i % 2)) if i else np.zeros((4, 5))
        )
        write_png(tmp_path / "dente" / f"{i}.png", np.full((4, 5), i, np.uint8))
    return PairFolder(tmp_path / "edente", tmp_path / "dente")


SPLIT = Split(train=("0", "1", "2"), validation=("3", "4"))


def test_numbers_agree_with_numpy(pairs):
    found = describe(pairs, SPLIT)
    assert found.counts == {"samples": 6, "training": 3, "validation": 2, "in neither": 1}
    assert found.sampled == 6
    target, condition = found.fields
    values = np.concatenate([pairs[i]["target"].ravel() for i in range(6)]).astype(np.float64)
    assert target.mean == pytest.approx(values.mean())
    assert target.std == pytest.approx(values.std())
    assert (target.minimum, target.maximum) == (values.min(), values.max())
    assert target.shapes == ((1, 4, 5), (1, 4, 6))
    assert target.blank == ("0",)
    assert (condition.dtypes, condition.minimum, condition.maximum) == (("uint8",), 0, 5)


def test_the_block_can_be_read(pairs):
    lines = str(describe(pairs, SPLIT)).splitlines()
    assert lines[0].startswith("6 pairs of ")
    assert lines[1] == "6 samples, 3 training, 2 validation, 1 in neither"
    assert lines[2].split() == ["field", "shape", "type", "range", "mean", "std"]
    assert lines[3].startswith("target     1 x 4 x 5 to 1 x 4 x 6  float32")
    assert lines[5] == "(over 6 samples)"
    assert lines[6] == "1 of the 6 images of 'target' hold zeros only: 0"


def test_a_sample_of_the_images_is_spread_over_all(pairs, monkeypatch):
    read = []
    monkeypatch.setattr(pairs, "read", lambda i: read.append(i) or PairFolder.read(pairs, i))
    assert describe(pairs, SPLIT, num_samples=3).sampled == 3
    assert read == [0, 2, 4]
    with pytest.raises(ConfigError, match="at least 1"):
        describe(pairs, SPLIT, num_samples=0)


def test_sources_within_sources_are_told(pairs, tmp_path):
    both = Concat([ImageFolder(tmp_path / name) for name in ("dente", "edente")])
    keys = both.keys
    found = describe(both[:8], Split(train=tuple(keys[:7]), validation=(keys[7],)))
    assert found.source == f"8 of 6 images of {tmp_path / 'dente'} and 6 images of {tmp_path / 'edente'}"
    assert found.fields[0].dtypes == ("float32", "uint8")


def test_statistics_go_to_plain_values_and_back(pairs):
    found = describe(pairs, SPLIT)
    assert Statistics.model_validate(found.model_dump(mode="json")) == found


def test_an_unreadable_image_is_named(pairs, tmp_path):
    (tmp_path / "edente" / "0.tif").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.tif"):
        describe(pairs, SPLIT)


def test_what_is_not_finite_is_named_and_not_counted():
    holed = np.array([[1, np.nan], [3, np.inf]], np.float32)
    found = FieldStatistics.of("ct", iter([("a", holed), ("b", np.full((2, 2), 5, np.float32))]))
    assert (found.minimum, found.maximum, found.nonfinite) == (1, 5, ("a",))
    assert found.mean == pytest.approx((1 + 3 + 4 * 5) / 6)
    nothing = FieldStatistics.of("ct", [("a", np.full((2, 2), np.nan)), ("b", np.zeros((0, 4)))])
    assert (nothing.minimum, nothing.mean, nothing.std) == (None, None, None)
    assert nothing.range_text == "no finite value"
    assert FieldStatistics.of("ct", []).shape_text == ""
