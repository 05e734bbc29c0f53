import pickle

import pytest
import torch

from voxloom.errors import CheckpointError, MissingDataError
from voxloom.models.checkpoint import CHECKPOINT_KIND, read_checkpoint


def test_a_full_checkpoint_comes_back_as_it_was(tmp_path):
    state = {"kind": CHECKPOINT_KIND, "step": 3, "models": {"net": {"weight": torch.arange(4.0)}}}
    torch.save(state, tmp_path / "last.pt")
    found = read_checkpoint(str(tmp_path / "last.pt"))
    assert found["step"] == 3
    assert torch.equal(found["models"]["net"]["weight"], torch.arange(4.0))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"nowhere\.pt does not exist: expected .*last\.pt"):
        read_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 cut short"])
def test_what_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"bad\.pt (cannot be read as a checkpoint .*truncated|is no checkpoint)"
    ):
        read_checkpoint(tmp_path / "bad.pt")


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    with (tmp_path / "trap.pt").open("wb") as file:
        pickle.dump({"kind": CHECKPOINT_KIND, "models": Trap()}, file, protocol=2)
    torch.save({"kind": CHECKPOINT_KIND, "models": Trap()}, tmp_path / "zipped.pt")
    for name in ("trap.pt", "zipped.pt"):
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, [1, 2], {"kind": "another"}])
def test_weights_alone_are_told_from_a_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match=r"bare\.pt holds weights alone: expected a full checkpoint"):
        read_checkpoint(tmp_path / "bare.pt")
