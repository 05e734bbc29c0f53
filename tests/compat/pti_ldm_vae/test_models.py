from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from torch import nn

from voxloom.compat.pti_ldm_vae.models import (
    DiffusionUNet,
    VAEModel,
    compute_kl_loss,
    create_condition_projector,
)
from voxloom.models import AutoencoderConfig, load_weights
from voxloom.testing.models import stirred

SMALL = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 4,
    "channels": [8, 16],
    "num_res_blocks": 1,
    "norm_num_groups": 4,
}
SMALL_UNET = {
    "spatial_dims": 2,
    "in_channels": 4,
    "out_channels": 4,
    "channels": [8, 16],
    "attention_levels": [False, True],
    "num_head_channels": [0, 8],
    "num_res_blocks": 1,
    "cross_attention_dim": 12,
    "norm_num_groups": 4,
}
MODELS = [(VAEModel, SMALL), (DiffusionUNet, SMALL_UNET)]


def monai_vae():
    return stirred(AutoencoderKL(**SMALL, attention_levels=(False, False)))


def monai_unet():
    return stirred(DiffusionModelUNet(**SMALL_UNET, with_conditioning=True))


@pytest.mark.parametrize(("ours", "theirs"), [(VAEModel, monai_vae), (DiffusionUNet, monai_unet)])
def test_state_dicts_carry_monais_names(ours, theirs):
    net = theirs()
    model = ours(**dict(MODELS)[ours])
    assert list(model.state_dict()) == list(net.state_dict())
    model.load_state_dict(net.state_dict())
    assert all(torch.equal(a, net.state_dict()[name]) for name, a in model.state_dict().items())


@pytest.mark.parametrize(("ours", "settings"), MODELS)
def test_a_model_within_a_module_saves_and_loads(ours, settings):
    pair = nn.ModuleDict({"one": ours(**settings), "two": nn.Linear(1, 1)})
    names = {f"one.{name}" for name in pair["one"].state_dict()}
    assert set(pair.state_dict()) == {*names, "two.weight", "two.bias"}
    stirred(pair)
    twin = nn.ModuleDict({"one": ours(**settings), "two": nn.Linear(1, 1)})
    twin.load_state_dict(pair.state_dict())
    assert all(torch.equal(a, twin.state_dict()[name]) for name, a in pair.state_dict().items())


@pytest.mark.parametrize(("ours", "settings"), MODELS)
def test_strange_names_are_refused(ours, settings):
    model = ours(**settings)
    with pytest.raises(RuntimeError, match="strange"):
        model.load_state_dict({**model.state_dict(), "strange.weight": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="Missing"):
        model.load_state_dict({})


def test_the_reference_networks_have_the_documented_size():
    data = Path(__file__).parents[1] / "data" / "config_train_16g_cond.json"
    blocks = json.loads(data.read_text())
    plain = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "latent_channels": 4}
    latent = {"spatial_dims": 2, "in_channels": 4, "out_channels": 4}
    with torch.device("meta"):
        vae = VAEModel.from_config(blocks["autoencoder_def"] | plain)
        unet = DiffusionUNet.from_config(blocks["diffusion_def"] | latent)
    assert sum(p.numel() for p in vae.parameters()) == 12_296_961
    assert sum(p.numel() for p in unet.parameters()) == 26_415_684


def test_the_vae_computes_what_monais_does():
    net = monai_vae()
    vae = VAEModel.from_config(SMALL)
    vae.load_state_dict(net.state_dict())
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mu, sigma = net.encode(x)
        torch.testing.assert_close(vae.encode_deterministic(x), mu)
        torch.manual_seed(3)
        reconstruction, z_mu, z_sigma = vae(x)
        torch.testing.assert_close((z_mu, z_sigma), (mu, sigma))
        torch.manual_seed(3)
        z = vae.encode_stage_2_inputs(x)
        assert not torch.equal(z, vae.encode_stage_2_inputs(x))
        torch.testing.assert_close(vae.decode_stage_2_outputs(z), reconstruction)
        torch.testing.assert_close(net.decode(z), reconstruction)
    assert isinstance(vae.autoencoder, AutoencoderKL)


def test_the_unet_computes_what_monais_does():
    net = monai_unet()
    unet = DiffusionUNet.from_config(SMALL_UNET)
    unet.load_state_dict(net.state_dict())
    projector = create_condition_projector(condition_input_dim=4, cross_attention_dim=12)
    assert isinstance(projector, nn.Linear)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = projector(x.permute(0, 2, 3, 1).reshape(2, 64, 4))
        t = torch.tensor([1, 999])
        torch.testing.assert_close(unet(x, timesteps=t, context=tokens), net(x, t, tokens))


def test_without_a_condition():
    unet = DiffusionUNet.from_config({**SMALL_UNET, "with_conditioning": False})
    assert unet(torch.zeros(1, 4, 8, 8), torch.tensor([5])).shape == (1, 4, 8, 8)


@pytest.mark.parametrize(("ours", "settings"), MODELS)
def test_a_missing_key_is_named_and_an_unknown_one_left_out(ours, settings, caplog):
    with pytest.raises(KeyError, match="channels"):
        ours.from_config({key: value for key, value in settings.items() if key != "channels"})
    ours.from_config({**settings, "_target_": "somewhere", "dropout": 0.1})
    assert "dropout" in caplog.text
    assert "_target_" not in caplog.text


def test_groups_that_do_not_divide_are_a_value_error():
    with pytest.raises(ValueError, match="norm_num_groups 32"):
        VAEModel(2, 1, 1, 4, [8, 16])


def test_weights_saved_by_an_older_script_are_read_by_ours(tmp_path):
    vae = stirred(VAEModel.from_config(SMALL))
    path = tmp_path / "autoencoder_last.pt"
    torch.save(vae.state_dict(), path)
    settings = {**SMALL, "channels": (8, 16)}
    ours = load_weights(path).into(AutoencoderConfig(**settings).build())
    x = torch.ones(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(x)[0], vae.encode_deterministic(x))


@pytest.mark.parametrize(("sigma", "per_element"), [(1.0, 0.0), (2.0, 0.5 * (4 - 2 * 0.6931472 - 1))])
def test_the_divergence_is_summed_over_the_latent(sigma, per_element):
    mu = torch.zeros(2, 4, 8, 8)
    loss = compute_kl_loss(mu, torch.full_like(mu, sigma))
    torch.testing.assert_close(loss, torch.tensor(per_element * 256))


def test_the_divergence_is_infinite_without_deviation():
    mu = torch.zeros(1, 4, 2, 2)
    assert compute_kl_loss(mu, mu).item() == float("inf")


def test_the_divergence_has_gradients():
    mu = torch.full((1, 1, 1, 1), 3.0, requires_grad=True)
    sigma = torch.full((1, 1, 1, 1), 2.0, requires_grad=True)
    compute_kl_loss(mu, sigma).backward()
    assert (mu.grad.item(), sigma.grad.item()) == (3.0, pytest.approx(2.0 - 0.5))
