from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from voxloom.compat.checkpoints import adopt_ldm, adopt_vae
from voxloom.compat.pti_ldm_vae.models import DiffusionUNet, VAEModel, create_condition_projector
from voxloom.errors import CheckpointError
from voxloom.inference import TRANSLATORS, Trained
from voxloom.jobs import PredictOptions, predict
from voxloom.sources import read_image, write_image
from voxloom.testing.models import stirred

VAE = {
    "spatial_dims": "@spatial_dims",
    "in_channels": "@image_channels",
    "out_channels": "@image_channels",
    "latent_channels": "@latent_channels",
    "channels": [8, 16],
    "num_res_blocks": 1,
    "norm_num_groups": 4,
}
UNET = {
    "spatial_dims": "@spatial_dims",
    "in_channels": "@latent_channels",
    "out_channels": "@latent_channels",
    "channels": [8, 16],
    "attention_levels": [False, True],
    "num_head_channels": [0, 8],
    "num_res_blocks": 1,
    "with_conditioning": True,
    "cross_attention_dim": 12,
    "norm_num_groups": 4,
}
FILE = {
    "spatial_dims": 2,
    "image_channels": 1,
    "latent_channels": 4,
    "autoencoder_def": VAE,
    "autoencoder_train": {"patch_size": [16, 24]},
    "diffusion_def": UNET,
    "diffusion_train": {"patch_size": [16, 24]},
    "NoiseScheduler": {"num_train_timesteps": 1000, "beta_start": 0.0015, "beta_end": 0.0195},
}
FACTOR = 0.8


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(FILE))
    return path


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return stirred(VAEModel(2, 1, 1, 4, [8, 16], num_res_blocks=1, norm_num_groups=4)).eval()


@pytest.fixture
def ldm():
    torch.manual_seed(1)
    unet = stirred(DiffusionUNet(2, 4, 4, [8, 16], [False, True], [0, 8], 1, True, 12, 4)).eval()
    return unet, create_condition_projector(4, 12)


@pytest.fixture
def saved(tmp_path, vae, ldm):
    """Write what the older scripts wrote: paths by name."""
    unet, projector = ldm
    losses = {"epoch": 7, "best_val_loss": torch.tensor(0.1), "total_step": 80}
    states = {
        "bare_vae": vae.state_dict(),
        "full_vae": {
            "autoencoder_state_dict": vae.state_dict(),
            "discriminator_state_dict": {"a": torch.zeros(1)},
            "optimizer_g_state_dict": {"state": {}, "param_groups": [{"lr": 1e-4}]},
            **losses,
        },
        "bare_unet": unet.state_dict(),
        "full_ldm": {
            "unet_state_dict": unet.state_dict(),
            "condition_projector_state_dict": projector.state_dict(),
            **losses,
        },
    }
    for name, state in states.items():
        torch.save(state, tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in states}


@pytest.mark.parametrize("name", ["bare_vae", "full_vae"])
def test_an_older_vae_reconstructs_upright_images(name, saved, config, vae, tmp_path):
    trained = adopt_vae(saved[name], [config])
    trained = Trained.load(trained.save(tmp_path / "vae.safetensors"))
    assert trained.config["autoencoder_train"]["patch_size"] == [24, 16]
    image = torch.randn(2, 1, 24, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = vae.decode_stage_2_outputs(vae.encode_deterministic(image.mT)).mT
        ours = TRANSLATORS["vae"](trained, seed=0, solver=None, steps=None)(image, ["a", "b"])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_an_older_latent_model_predicts_the_same_noise(saved, config, vae, ldm):
    trained = adopt_ldm(saved["full_ldm"], [config], autoencoder=saved["bare_vae"], scale_factor=FACTOR)
    unet, projector = ldm
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, 24, 16, generator=draw)
    z, t = torch.randn(2, 4, 12, 8, generator=draw), torch.tensor([1.0, 999.0])
    with torch.no_grad():
        condition = vae.encode_deterministic(image.mT)  # not scaled, as it was
        tokens = projector(condition.permute(0, 2, 3, 1).reshape(2, -1, 4))
        expected = unet(z.mT, t, tokens).mT
        ours = FACTOR * trained.models["autoencoder"].encode(image)[0]
        torch.testing.assert_close(trained.models["denoiser"](z, t, ours), expected, atol=1e-4, rtol=1e-4)


def test_they_predict_as_any_other_checkpoint(saved, config, tmp_path):
    write_image(tmp_path / "dente" / "a.tif", np.tri(30, 20))
    trained = adopt_ldm(saved["full_ldm"], [config], autoencoder=saved["full_vae"], scale_factor=FACTOR)
    path = trained.save(tmp_path / "ldm.safetensors")
    options = PredictOptions(steps=2, device="cpu")
    facts = predict("ldm", path, tmp_path / "out", input_dir=tmp_path / "dente", options=options)
    assert (facts["images"], facts["num_steps"]) == (1, 2)
    assert read_image(tmp_path / "out" / "prediction" / "a.tif").shape == (1, 24, 16)


def test_what_does_not_fit_is_refused(saved, config):
    with pytest.raises(CheckpointError, match="conditioner"):
        adopt_ldm(saved["bare_unet"], [config], autoencoder=saved["bare_vae"], scale_factor=1.0)
    with pytest.raises(CheckpointError, match="autoencoder"):
        adopt_vae(saved["full_ldm"], [config])
