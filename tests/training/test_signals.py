import os
import signal
import threading

import pytest

from voxloom.training.signals import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_nothing_is_left_behind(number, caplog):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    with stop_on_signals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert "once more to stop at once" in caplog.text
    assert {each: signal.getsignal(each) for each in before} == before


def test_the_second_insists():
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_torchruns_sigterm_after_ctrl_c_is_no_second_one():
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="mine"), stop_on_signals():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_takes_no_handlers():
    found = []

    def train():
        with stop_on_signals() as stop:
            found.append(stop.requested)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [False]
