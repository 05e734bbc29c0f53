"""Files in the layout of the older system, read as they are."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from voxloom.config import load_config
from voxloom.models import AutoencoderConfig, DenoiserConfig

DATA = Path(__file__).parent / "data"
UNIFIED = DATA / "vae_config.json"
ENVIRONMENT = DATA / "environment_tif.json"
NETWORKS = DATA / "config_train_16g_cond.json"


def reported(caplog):
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    return {record.args[0] for record in caplog.records}


def test_the_unified_file_of_the_vae(caplog):
    config = load_config("vae", [UNIFIED])
    assert reported(caplog) == {"wandb"}
    assert (config.data_base_dir, config.run_dir) == (Path("data"), Path("runs/vae_baseline"))
    assert (config.data_source, config.train_split, config.val_dir) == ("edente", 0.9, None)
    assert not config.resume_ckpt
    assert config.augmentation is None
    assert config.autoencoder_def == AutoencoderConfig(
        latent_channels=4, channels=(64, 128, 256), norm_num_groups=32, attention_levels=(False,) * 3
    )
    train = config.autoencoder_train
    assert (train.batch_size, train.patch_size, train.lr) == (8, (256, 256), 2.5e-5)
    assert (train.perceptual_weight, train.kl_weight, train.recon_loss) == (1.0, 1e-6, "l1")
    assert (train.max_epochs, train.val_interval) == (100, 1)


def test_environment_and_networks_of_the_ldm(caplog):
    config = load_config("ldm", [ENVIRONMENT, NETWORKS])
    assert reported(caplog) == {"channel", "sample_axis", "start_epoch"}
    assert (config.data_base_dir, config.run_dir) == (Path("data/ldm"), Path("runs/ldm"))
    assert config.autoencoder_path == Path("runs/vae/trained_weights/autoencoder_last.pt")
    assert config.resume_ckpt
    assert config.diffusion_def == DenoiserConfig(
        with_conditioning=True,
        channels=(32, 64, 128, 256),
        attention_levels=(False, True, True, True),
        num_head_channels=(0, 32, 32, 32),
        cross_attention_dim=512,
    )
    assert config.diffusion_def.conditioning == "cross_attention"
    train = config.diffusion_train
    assert (train.batch_size, train.patch_size, train.lr) == (8, (256, 256), 1e-5)
    assert (train.max_epochs, train.val_interval, train.lr_scheduler_milestones) == (51, 2, (1000,))
    process = config.NoiseScheduler
    assert (config.process, process.num_train_timesteps) == ("ddpm", 1000)
    assert (process.beta_start, process.beta_end, process.prediction) == (0.0015, 0.0195, "epsilon")


def test_the_vae_takes_its_own_section_of_the_environment():
    config = load_config("vae", [ENVIRONMENT, NETWORKS])
    assert (config.data_base_dir, config.run_dir) == (Path("data/vae"), Path("runs/vae"))
    assert config.autoencoder_path is None


def test_a_reference_follows_what_it_names(tmp_path):
    values = json.loads(UNIFIED.read_text()) | {"latent_channels": 8}
    path = tmp_path / "latent8.json"
    path.write_text(json.dumps(values))
    config = load_config("vae", [path])
    assert config.autoencoder_def.latent_channels == 8
    assert config.diffusion_def.in_channels == 8


@pytest.mark.parametrize("section", ["autoencoder_train", "diffusion_train"])
def test_the_command_line_beats_the_file(section):
    task = "vae" if section == "autoencoder_train" else "ldm"
    config = load_config(task, [NETWORKS], overrides={f"{section}.batch_size": 2, "seed": 0})
    assert (config.settings(task).batch_size, config.seed) == (2, 0)
