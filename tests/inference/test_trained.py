import json

import pytest
import torch
from safetensors.torch import save_file

from voxloom.errors import CheckpointError, MissingDataError
from voxloom.inference import Trained, is_exported
from voxloom.models import UNetConfig, build_model, save_weights
from voxloom.models.model import settings_of
from voxloom.training import Run

UNET = UNetConfig(channels=(8, 8), num_res_units=1, norm_num_groups=4)


@pytest.fixture
def run(tmp_path):
    """A run with a checkpoint whose averaged weights are all ones."""
    model = build_model(UNET, seed=0)
    ones = {name: torch.ones_like(tensor) for name, tensor in model.state_dict().items()}
    run = Run(tmp_path / "run")
    run.create("regression", {})
    state = {
        "task": "regression",
        "config": {"regression_train": {"patch_size": [16, 16]}},
        "split": {"train": ("a",), "validation": ("b", "c")},
        "models": {"translator": model.state_dict(), "discriminator": {"x": torch.zeros(1)}},
        "model_configs": {"translator": settings_of(UNET), "discriminator": {"model": "patch_discriminator"}},
        "main": "translator",
        "ema": {**ones, "__updates__": torch.tensor(3)},
        "facts": {"data_range": 2.0},
        "step": 12,
        "epoch": 3,
    }
    run.link("best", run.save("last", state))
    return run


def test_a_run_a_checkpoint_and_an_export_are_the_same_model(run, tmp_path):
    by_folder = Trained.load(run.folder)
    exported = tmp_path / "weights.safetensors"
    assert by_folder.save(exported) == exported
    for trained in (by_folder, Trained.load(run.checkpoints / "last.pt"), Trained.load(exported)):
        assert trained.task == "regression"
        assert list(trained.models) == ["translator"]  # what judges is not needed any more
        assert all((p == 1).all() for p in trained.models["translator"].parameters())
        assert not trained.models["translator"].training
        assert not any(p.requires_grad for p in trained.models["translator"].parameters())
        assert trained.facts == {"data_range": 2.0, "step": 12, "epoch": 3}
        assert trained.split == {"train": ["a"], "validation": ["b", "c"]}
        assert trained.config["regression_train"]["patch_size"] == [16, 16]
    assert by_folder.path == run.checkpoints / "best.pt"
    assert is_exported(exported)
    assert not is_exported(by_folder.path)


def test_without_an_average_the_weights_themselves_are_taken(run):
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)
    run.save("last", {**state, "ema": None})
    weights = Trained.load(run.checkpoints / "last.pt").models["translator"].state_dict()
    assert all(torch.equal(weights[name], t) for name, t in state["models"]["translator"].items())


def test_loading_draws_nothing_from_the_global_generator(run):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Trained.load(run.folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_final_or_last_checkpoint_stands_in_for_the_best(run):
    (run.checkpoints / "best.pt").unlink()
    assert Trained.load(run.folder).path.name == "last.pt"
    run.link("final", run.checkpoints / "last.pt")
    assert Trained.load(run.folder).path.name == "final.pt"


def test_what_is_no_model_is_told(run, tmp_path):
    with pytest.raises(MissingDataError, match=r"nowhere does not exist: expected a run's folder, a file"):
        Trained.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no checkpoint: expected .*checkpoints/best\.pt"):
        Trained.load(tmp_path)
    bare = tmp_path / "bare.pt"
    torch.save({"weight": torch.zeros(1)}, bare)
    with pytest.raises(CheckpointError, match="holds weights alone"):
        Trained.load(bare)
    save_weights(tmp_path / "one.safetensors", build_model(UNET, seed=0))
    with pytest.raises(CheckpointError, match=r"holds weights alone: expected .*`voxloom export`"):
        Trained.load(tmp_path / "one.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="holds weights alone"):
        Trained.load(tmp_path / "plain.safetensors")


def test_a_file_that_was_cut_short_is_told(run, tmp_path):
    whole = Trained.load(run.folder).save(tmp_path / "whole.safetensors").read_bytes()
    for length in (len(whole) - 100, 2000, 20):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors cannot be read"):
            Trained.load(tmp_path / "cut.safetensors")
    (tmp_path / "cut.pt").write_bytes((run.checkpoints / "last.pt").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="truncated"):
        Trained.load(tmp_path / "cut.pt")


def test_an_export_holds_its_configuration_in_the_open(run, tmp_path):
    from safetensors import safe_open

    with safe_open(Trained.load(run.folder).save(tmp_path / "w.safetensors"), framework="pt") as file:
        record = json.loads(file.metadata()["record"])
        assert all(name.startswith("translator/") for name in file.keys())  # noqa: SIM118 - no mapping
    assert record["configs"]["translator"] == settings_of(UNET)
