import logging

from voxloom.jobs.progress import Bar, TransferBar, TransferLog, transfer


def test_a_bar_shows_each_pass_and_leaves_nothing(capsys):
    bar = Bar("encoding")
    for _ in range(2):
        for done in (1, 3):
            bar(done, 3)
    shown = capsys.readouterr().err
    assert "encoding" in shown
    assert bar._bar is None


def test_a_transfer_shows_samples_and_bytes_a_second(capsys):
    bar = TransferBar("converting", clock=iter([0.0, 1.0, 2.0, 3.0]).__next__)
    bar(10, 100, 5_000_000)  # what an earlier process did counts for no speed
    bar(20, 100, 15_000_000)
    bar._bar.refresh()
    bar.close()
    bar.close()
    shown = capsys.readouterr().err
    assert "converting" in shown
    assert "5 MB/s" in shown
    assert "20/100" in shown


def test_a_second_pass_has_a_bar_of_its_own(capsys):
    bar = TransferBar("verifying", clock=iter([float(i) for i in range(8)]).__next__)
    bar(9, 10, 9_000_000)
    bar(1, 2, 0)
    assert (bar._bar.n, bar._bar.total) == (1, 2)
    bar.close()


def test_a_log_has_a_line_every_half_minute(caplog):
    caplog.set_level(logging.INFO, "voxloom")
    log = TransferLog("converting", clock=iter([0.0, 10.0, 40.0, 50.0, 80.0]).__next__)
    for done in (100, 200, 500, 600, 900):
        log(done, 1300, done * 1_000_000)
    log.close()
    assert [record.getMessage() for record in caplog.records] == [
        "converting: 500 of 1300 samples, 10 samples/s, 10 MB/s, 1 min 20 s left",
        "converting: 900 of 1300 samples, 10 samples/s, 10 MB/s, 40 s left",
    ]


def test_a_bar_is_for_terminals(capsys):
    assert isinstance(transfer("converting"), TransferLog)
