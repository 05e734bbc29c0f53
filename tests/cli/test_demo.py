import pytest

from voxloom.cli import demo


@pytest.fixture
def lines(monkeypatch):
    """The command lines that a demo would run."""
    ran = []
    monkeypatch.setattr(demo, "_run", ran.append)
    return ran


def test_the_demo_is_the_commands_of_a_full_run(call, lines, tmp_path):
    done = call("demo", "-o", tmp_path)
    assert done.code == 0, done.err
    begin = [line[:2] for line in lines]
    assert begin[:3] == [["train", "vae"], ["train", "ldm"], ["predict", "ldm"]]
    assert begin[3] == ["evaluate", f"--pred={tmp_path}/predictions/prediction"]
    assert begin[4] == ["report", f"{tmp_path}/vae"]
    assert all("--resume" in line for line in lines[:2])  # an interrupted demo goes on where it was
    assert f"The report: {tmp_path / 'report.html'}" in done.out
    assert "voxloom train vae -c config/vae_config.json" in done.out  # what to run next
    assert (
        f"voxloom encode --checkpoint {tmp_path}/ldm --image target={tmp_path}/predictions/target" in done.out
    )
    assert f"voxloom explore {tmp_path}/encoded --checkpoint {tmp_path}/ldm" in done.out


def test_a_part_of_it_and_a_new_one(call, lines, tmp_path):
    done = call("demo", "-o", tmp_path, "--until", "ldm", "--overwrite")
    assert done.code == 0
    assert len(lines) == 2
    assert all("--overwrite" in line for line in lines)
    assert "The report" not in done.out
    assert call("demo", "--until", "lunch").code == 2
    refused = call("demo", "my demo")
    assert refused.code == 2
    assert "voxloom demo -o 'my demo'" in refused.err
