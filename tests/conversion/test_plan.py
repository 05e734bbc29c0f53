import pytest
from pydantic import ValidationError
from slow_source import Slow

from voxloom.conversion import Conversion
from voxloom.conversion.plan import Plan, digest_of_keys
from voxloom.conversion.planning import planned
from voxloom.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"), [("256MB", 256_000_000), ("1.5 GiB", 3 * 2**29), ("10k", 10_000), ("77", 77), (5, 5)]
)
def test_sizes_can_be_said_in_words(text, size):
    assert Conversion(shard_bytes=text).shard_bytes == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shard_bytes": "many"}, "for instance 256MB"),
        ({"format": "arow"}, "Did you mean 'arrow'"),
        ({"size": (0, 3)}, "size.0"),
        ({"size": 224}, "size: 224"),
        ({"mode": "CMYK"}, "mode: 'CMYK'"),
        ({"quality": 0}, "quality"),
        ({"samples_per_shard": 0}, "samples_per_shard"),
        ({"encoding": "file", "size": (2, 2)}, "one or the other"),
        ({"compression": "zip"}, "compression 'zip'"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
def test_wrong_settings_say_what_is_expected(settings, message):
    with pytest.raises(ConfigError, match=message):
        Conversion.of(**settings)


def test_a_conversion_is_frozen():
    with pytest.raises(ValidationError):
        Conversion().format = "tar"


def test_a_plan_is_a_function_of_source_and_settings():
    one, same = (planned(Slow(), Conversion(samples_per_shard=5)) for _ in range(2))
    assert one == same == Plan.model_validate_json(one.model_dump_json())
    assert one.fingerprint == same.fingerprint
    others = [
        planned(Slow(samples=23), Conversion(samples_per_shard=5)),
        planned(Slow(), Conversion(samples_per_shard=6)),
        planned(Slow().select("image"), Conversion(samples_per_shard=5)),
        planned(Slow(), Conversion(samples_per_shard=5, format="tar")),
    ]
    assert len({plan.fingerprint for plan in (one, *others)}) == 5
    assert one.differences(one) == []
    assert [len(one.differences(other)) > 0 for other in others] == [True] * 4


def test_shards_hold_all_samples_once():
    plan = planned(Slow(), Conversion(samples_per_shard=7))
    assert [i for number in range(plan.shards) for i in plan.indices(number)] == list(range(24))


def test_rows_of_one_size_are_counted_exactly():
    settings = Conversion(size=(8, 8), shard_bytes=10 * (8 * 8 * 2 + 8 + len("s/000")))
    assert planned(Slow(), settings).samples_per_shard == 10


def test_the_digest_of_keys_depends_on_their_order():
    assert digest_of_keys("ab") != digest_of_keys("ba")
    assert digest_of_keys(["\udcff"])  # a name that is no text is told where its sample is written
