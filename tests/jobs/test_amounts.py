import pytest

from voxloom.jobs.amounts import size_text, time_text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (2**20, "1.0 MiB"), (5 * 2**40, "5.0 TiB")]
)
def test_sizes(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.96, "10.0 s"), (10.2, "10 s"), (59.7, "1 min 0 s"), (86399, "23 h 59 min")],
)
def test_times(seconds, text):
    assert time_text(seconds) == text
