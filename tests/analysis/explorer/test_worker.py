"""A process in the background: kept, told how far it is, ended, and gone with the one that started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from voxloom.analysis.explorer.worker import Failed, Stopped, Worker

HERE = Path(__file__).parent


def go():
    return "go"


def silent(share, text):
    pass


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    from explorer_task import task

    worker = Worker(task, grace=0.2)
    yield worker
    worker.close()


def is_alive(pid):
    """Whether a process runs; one that ended and is not yet taken note of does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_alive(pid)


def test_one_process_answers_all_requests_and_tells_what_fails(worker, caplog):
    pid = worker.run(("pid", 0), silent, go)
    assert pid == worker.pid != os.getpid()
    assert worker.run(("echo", [1, 2]), silent, go) == [1, 2]
    with pytest.raises(Failed, match=r"^latent 7 holds NaN. Encode it again.$"):
        worker.run(("refuse", 0), silent, go)
    assert "Traceback" not in caplog.text
    with pytest.raises(Failed, match=r"^ZeroDivisionError: division of nothing$"):
        worker.run(("break", 0), silent, go)
    assert "explorer_task.py" in caplog.text
    assert worker.run(("pid", 0), silent, go) == pid


def test_a_stop_is_heard_with_the_next_progress_and_a_kill_in_any_case(worker):
    told = []
    with pytest.raises(Stopped):
        worker.run(("steps", 0.01), lambda *now: told.append(now), lambda: "stop" if len(told) > 3 else "go")
    assert told[:2] == [(0.0, "step 0"), (0.001, "step 1")]
    first = worker.pid
    assert worker.run(("pid", 0), silent, go) == first

    told.clear()
    with pytest.raises(Stopped):
        worker.run(("deaf", 60), lambda *now: told.append(now), lambda: "kill" if told else "go")
    assert gone(first)
    assert worker.run(("pid", 0), silent, go) not in (first, None)


def test_a_late_stop_does_not_end_the_next_request(worker):
    asked = []

    def wish():
        asked.append(1)
        return "stop"

    with pytest.raises(Stopped):
        worker.run(("steps", 0.01), silent, wish)
    try:
        worker.run(("echo", 1), silent, wish)
    except Stopped:
        pytest.fail("it does not tell progress, so it is not stopped")
    assert worker.run(("echo", 2), silent, go) == 2
    assert worker.run(("deaf", 0), silent, go) == 0


def test_a_process_that_dies_is_told_and_replaced(worker):
    with pytest.raises(Failed, match="exit code 3"):
        worker.run(("die", 3), silent, go)
    pid = worker.run(("pid", 0), silent, go)
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(Failed, match="want of memory"):
        worker.run(("deaf", 60), silent, go)
    assert worker.run(("echo", 1), silent, go) == 1


def test_closing_ends_it_at_once_from_another_thread(worker):
    threading.Timer(0.5, worker.close).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        worker.run(("deaf", 60), silent, go)
    assert time.monotonic() - began < 10
    assert worker.pid is None
    with pytest.raises(Stopped):
        worker.run(("echo", 1), silent, go)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("request_", ["('echo', 1)", "('deaf', 60)"])
def test_it_does_not_outlive_a_killed_parent(request_):
    code = f"""
import sys, threading, time
sys.path.insert(0, {str(HERE)!r})
from explorer_task import task
from voxloom.analysis.explorer.worker import Worker
if __name__ == "__main__":
    worker = Worker(task)
    print(worker.run(("pid", 0), print, lambda: "go"), flush=True)
    threading.Thread(target=worker.run, args=({request_}, lambda *now: None, lambda: "go")).start()
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid)
