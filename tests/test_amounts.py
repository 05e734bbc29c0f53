import pytest

from voxloom.amounts import counted, size_text, time_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (999.7, "1.0 kB"), (10**6, "1.0 MB"),
     (2**20, "1.0 MB"), (999_999, "1.0 MB"), (5 * 10**12, "5.0 TB"), (5 * 10**15, "5000.0 TB")],
)  # fmt: skip
def test_sizes_count_in_thousands(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.96, "10.0 s"), (10.2, "10 s"), (59.7, "1 min 0 s"), (86399, "23 h 59 min")],
)
def test_times(seconds, text):
    assert time_text(seconds) == text


def test_one_is_no_plural():
    assert [counted(n, "class", "classes") for n in (0, 1, 2)] == ["0 classes", "1 class", "2 classes"]
