"""A line of requests: once for all pages, the last one of each, and ended when nobody waits."""

import threading

import pytest

from voxloom.analysis.explorer.queue import Queue
from voxloom.analysis.explorer.worker import Failed, Stopped


class Slow:
    """Computes while it is held, and keeps what it was asked for."""

    def __init__(self):
        self.free, self.asked, self.begun = threading.Event(), [], threading.Event()

    def __call__(self, request, progress, wish):
        self.asked.append(request)
        progress(0.5, "half")
        self.begun.set()
        while not self.free.wait(0.005):
            if wish() != "go":
                raise Stopped
        if request == "bad":
            raise Failed("it is bad")
        return request.upper()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def kept():
    return {}


@pytest.fixture
def queue(slow, kept):
    queue = Queue(slow, kept.__setitem__)
    yield queue
    queue.close()


def test_the_same_request_of_two_pages_is_one_job(queue, slow, kept):
    assert queue.request("k", "a", page="one").state == "waiting"
    assert slow.begun.wait(5)
    assert (queue.job("k").state, queue.job("k").progress, queue.job("k").message) == ("running", 0.5, "half")
    assert queue.request("k", "a", page="two").state == "running"
    assert queue.cancel("k", page="one").state == "running"
    slow.free.set()
    assert queue.wait("k", 5).state == "ready"
    assert (slow.asked, kept) == (["a"], {"k": "A"})


def test_a_new_value_takes_the_place_of_one_that_waits(queue, slow, kept):
    queue.request("0", "a", page="one")
    assert slow.begun.wait(5)
    for key in "1234":
        queue.request(key, key, page="two")
    queue.request("2", "2", page="three")
    assert [queue.job(key).state for key in "01234"] == [
        "running",
        *["cancelled"],
        "waiting",
        "cancelled",
        "waiting",
    ]
    slow.free.set()
    assert queue.wait("4", 5).state == queue.wait("2", 5).state == "ready"
    assert slow.asked == ["a", "4", "2"]
    assert set(kept) == {"0", "2", "4"}


def test_what_runs_for_a_page_that_wants_another_value_may_end(queue, slow):
    queue.request("0", "a", page="one")
    assert slow.begun.wait(5)
    queue.request("1", "b", page="one")
    assert queue.wait("0", 5).state == "cancelled"
    slow.free.set()
    assert queue.wait("1", 5).state == "ready"


def test_cancelled_and_failed_requests_can_be_asked_for_again(queue, slow):
    queue.request("0", "a", page="one")
    assert slow.begun.wait(5)
    assert queue.cancel("0").state == "cancelled"
    assert queue.request("0", "a", page="one").state == "waiting"
    slow.free.set()
    assert queue.wait("0", 5).state == "ready"
    queue.request("1", "bad", page="one")
    assert queue.wait("1", 5).message == "it is bad"
    assert queue.request("1", "good", page="one").state == "waiting"
    assert queue.wait("1", 5).state == "ready"
    assert queue.cancel("1").state == "ready"
    assert queue.cancel("no such") is queue.job("no such") is None


def test_closing_gives_up_everything(queue, slow):
    queue.request("0", "a", page="one")
    assert slow.begun.wait(5)
    queue.request("1", "b", page="two")
    queue.close()
    assert [queue.job(key).state for key in "01"] == ["cancelled", "cancelled"]
    assert queue.ended(5)
    assert slow.asked == ["a"]


def test_what_cannot_be_stopped_is_told_at_the_end(kept):
    free, begun = threading.Event(), threading.Event()

    def deaf(request, progress, wish):
        begun.set()
        return free.wait(20)

    queue = Queue(deaf, kept.__setitem__)
    assert queue.ended(0)
    queue.request("0", "a", page="one")
    assert begun.wait(5)
    queue.close()
    assert not queue.ended(0.05)
    free.set()
    assert queue.ended(5)


def test_a_failure_that_nobody_thought_of_does_not_end_the_line(kept, caplog):
    queue = Queue(lambda request, progress, wish: 1 / request, kept.__setitem__)
    queue.request("0", 0, page="one")
    assert queue.wait("0", 5).message == "ZeroDivisionError: division by zero"
    assert "Traceback" in caplog.text
    queue.request("1", 1, page="one")
    assert queue.wait("1", 5).state == "ready"
    queue.close()
