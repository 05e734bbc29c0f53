from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from voxloom.loading.threads import Threads


@pytest.fixture
def threads():
    three = Threads(3, ahead=6)
    yield three
    three.close()


def alive():
    return [t for t in threading.enumerate() if t.name.startswith("voxloom-loading")]


def test_results_come_in_the_order_of_the_items_whatever_takes_long(threads):
    def slow(item):
        time.sleep(0.003 * (item % 3 == 0))
        return item

    assert list(threads.map(slow, range(50))) == list(range(50))


def test_no_more_is_done_ahead_than_was_said(threads):
    done = []
    results = threads.map(done.append, range(100))
    next(results)
    time.sleep(0.05)
    assert len(done) <= 7


def test_what_a_call_raises_is_raised_in_its_place_and_the_rest_is_given_up(threads):
    error, done = ZeroDivisionError("oh"), []

    def fail(item):
        if item == 5:
            raise error
        done.append(item)
        return item

    results = threads.map(fail, range(1000))
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ZeroDivisionError) as caught:
        next(results)
    assert caught.value is error
    assert len(done) < 20


def test_who_stops_early_leaves_nothing_running(threads):
    results = threads.map(lambda item: item, range(1000))
    next(results)
    results.close()
    assert list(threads.map(abs, [-1])) == [1]


def test_threads_end_when_closed():
    others = set(alive())
    threads = Threads(2, ahead=2)
    list(threads.map(abs, range(4)))
    mine = set(alive()) - others
    assert mine
    threads.close()
    for thread in mine:
        thread.join(5)
    assert not any(thread.is_alive() for thread in mine)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_waits_until_no_read_is_under_way(threads):
    under_way, forks = [], []

    def read(item):
        under_way.append(item)
        time.sleep(0.005)
        under_way.remove(item)
        return item

    results = threads.map(read, range(60))
    for _ in range(10):
        next(results)
        pid = os.fork()
        if not pid:
            os._exit(len(under_way))
        forks.append(os.waitpid(pid, 0)[1])
    assert forks == [0] * 10
    assert len(list(results)) == 50


SCRIPT = """
import time
from voxloom.loading.threads import Threads
threads = Threads(2, ahead=2)
results = threads.map(lambda item: time.sleep(0.01) or item, range(10**6))
next(results)
{end}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("raise KeyboardInterrupt", -2),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); list(results)", -2),
    ],
)
def test_no_thread_keeps_a_process_from_ending(end, code):
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert time.monotonic() - begin < 30
