import errno
import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from voxloom.errors import CheckpointError, MissingDataError, SaveError
from voxloom.models import (
    AutoencoderConfig,
    DenoiserConfig,
    UNetConfig,
    load_weights,
    save_weights,
    settings_of,
)
from voxloom.testing.models import stirred

VAE = AutoencoderConfig(channels=(8, 16), num_res_blocks=1, norm_num_groups=4)
UNET = UNetConfig(channels=(4, 8), num_res_units=1, norm_num_groups=2)
DENOISER = DenoiserConfig(
    channels=(8, 16),
    num_res_blocks=1,
    norm_num_groups=4,
    num_head_channels=8,
    conditioning="cross_attention",
    cross_attention_dim=16,
)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_a_model_comes_back_whole(path):
    model = stirred(VAE.build())
    save_weights(path, model, extra={"mean": [0.1, 0.2], "name": "jaws"})
    weights = load_weights(path)
    assert weights.config == VAE
    assert weights.extra == {"mean": [0.1, 0.2], "name": "jaws"}
    assert same(weights.build(), model)
    assert same(weights.into(VAE.build()), model)


def test_the_file_says_what_it_is(path):
    save_weights(path, UNET.build())
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["kind"] == "voxloom-weights"
    assert metadata["format_version"] == "1"
    assert metadata["producer"].startswith("voxloom ")
    assert json.loads(metadata["config"]) == settings_of(UNET)


def test_channels_last_and_compiled_models_can_be_saved(path):
    model = UNET.build().to(memory_format=torch.channels_last)
    save_weights(path, torch.nn.DataParallel(model))
    assert same(load_weights(path).build(), model)


@pytest.mark.parametrize("full_at", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, full_at):
    old, new = UNET.build(), stirred(UNET.build())
    save_weights(path, old)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if full_at == "write":
        monkeypatch.setattr("voxloom.models.weights.to_bytes", full)
    elif full_at == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(SaveError, match="No space left"):
        save_weights(path, new)
    monkeypatch.undo()
    assert same(load_weights(path).build(), old)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def checkpoint(**models):
    return {
        "kind": "voxloom-checkpoint",
        "models": {name: model.state_dict() for name, model in models.items()},
        "model_configs": {name: settings_of(model.config) for name, model in models.items()},
        "optimizers": {"generator": {"state": {}, "param_groups": [{"lr": 1e-3}]}},
        "facts": {"scale": 0.5},
        "step": 12,
    }


def test_full_checkpoints_give_each_of_their_models(tmp_path):
    path, vae, unet = tmp_path / "last.pt", stirred(VAE.build()), stirred(UNET.build())
    torch.save(checkpoint(autoencoder=vae, translator=unet), path)
    assert same(load_weights(path, part="autoencoder").build(), vae)
    weights = load_weights(path, part="translator")
    assert weights.config == UNET
    assert weights.extra == {"scale": 0.5}
    assert same(weights.build(), unet)
    with pytest.raises(CheckpointError, match=r"several models \(autoencoder, translator\)"):
        load_weights(path)
    with pytest.raises(CheckpointError, match="no 'denoiser': expected one of autoencoder, translator"):
        load_weights(path, part="denoiser")


def test_a_checkpoint_of_one_model_needs_no_part(tmp_path):
    path, unet = tmp_path / "last.pt", stirred(UNET.build())
    torch.save(checkpoint(translator=unet), path)
    assert same(load_weights(path).build(), unet)


def test_averaged_weights_are_taken_where_there_are_some(tmp_path):
    path, unet = tmp_path / "last.pt", stirred(UNET.build())
    average = {name: tensor / 2 for name, tensor in unet.state_dict().items()}
    full = {**checkpoint(translator=unet, other=unet), "main": "translator"}
    torch.save({**full, "ema": {**average, "__updates__": torch.tensor(9)}}, path)
    weights = load_weights(path, part="translator")
    assert torch.equal(weights.tensors["stem.weight"], average["stem.weight"])
    weights.build()
    assert same(load_weights(path, part="translator", averaged=False).build(), unet)
    assert same(load_weights(path, part="other").build(), unet)
    torch.save({**full, "ema": None}, path)
    assert same(load_weights(path, part="translator").build(), unet)


def test_bare_state_dicts_with_the_names_of_monai(tmp_path):
    path, vae = tmp_path / "autoencoder_last.pt", stirred(VAE.build())
    torch.save(vae.net.state_dict(), path)
    weights = load_weights(path)
    assert same(weights.into(VAE.build()), vae)
    with pytest.raises(CheckpointError, match="without the configuration"):
        weights.build()
    save_file(vae.net.state_dict(), tmp_path / "bare.safetensors")
    assert same(load_weights(tmp_path / "bare.safetensors").into(VAE.build()), vae)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_do_not_matter(tmp_path, prefix):
    path, vae = tmp_path / "wrapped.pt", stirred(VAE.build())
    torch.save(vae.state_dict(prefix=prefix), path)
    assert same(load_weights(path).into(VAE.build()), vae)


def test_full_checkpoints_of_the_older_system(tmp_path):
    path, vae, denoiser = tmp_path / "checkpoint_epoch3.pth", stirred(VAE.build()), stirred(DENOISER.build())
    older = {"epoch": 3, "autoencoder_state_dict": vae.net.state_dict(), "best_val_loss": torch.tensor(0.1)}
    torch.save(older, path)
    assert same(load_weights(path).into(VAE.build()), vae)
    older = {
        "unet_state_dict": denoiser.net.state_dict(),
        "condition_projector_state_dict": denoiser.conditioner.projection.state_dict(),
        "optimizer_state_dict": {"state": {}, "param_groups": []},
    }
    torch.save(older, path)
    assert same(load_weights(path, part="denoiser").into(DENOISER.build()), denoiser)


def test_another_architecture_is_told_by_its_first_differences(tmp_path):
    path = tmp_path / "vae.safetensors"
    save_weights(path, VAE.build())
    wider = VAE.model_copy(update={"latent_channels": 6}).build()
    with pytest.raises(CheckpointError, match=r"of another shape, first net\.\S+ \(4, .*instead of \(6, "):
        load_weights(path).into(wider)
    with pytest.raises(CheckpointError, match=r"UNet: \d+ missing, first .* \d+ left over, first net\."):
        load_weights(path).into(UNET.build())


def test_a_refused_file_changes_nothing(tmp_path):
    path, model = tmp_path / "vae.safetensors", stirred(UNET.build())
    save_weights(path, UNetConfig(channels=(4, 16), num_res_units=1, norm_num_groups=2).build())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_weights(path).into(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_no_file(tmp_path):
    with pytest.raises(MissingDataError, match="no checkpoint at"):
        load_weights(tmp_path / "none.pt")


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors"])
@pytest.mark.parametrize("length", [0, 5, 200])
def test_files_that_are_cut_short(tmp_path, name, length):
    whole = tmp_path / ("whole." + name.rpartition(".")[2])
    if name.endswith("pt"):
        torch.save(UNET.build().state_dict(), whole)
    else:
        save_weights(whole, UNET.build())
    path = tmp_path / name
    path.write_bytes(whole.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="cut short"):
        load_weights(path)


def test_nothing_else_is_unpickled(tmp_path):
    path = tmp_path / "code.pt"
    torch.save({"a": torch.zeros(1), "b": os.system}, path)
    with pytest.raises(CheckpointError, match="tensors and plain values only"):
        load_weights(path)


@pytest.mark.parametrize("content", [{"epoch": 3, "loss": 0.1}, {}, [1, 2]])
def test_files_of_something_else(tmp_path, content):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="expected"):
        load_weights(path)
