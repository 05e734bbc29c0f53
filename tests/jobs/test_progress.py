from voxloom.jobs.progress import Bar


def test_a_bar_shows_each_pass_and_leaves_nothing(capsys):
    bar = Bar("encoding")
    for _ in range(2):
        for done in (1, 3):
            bar(done, 3)
    shown = capsys.readouterr().err
    assert "encoding" in shown
    assert bar._bar is None
