import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from voxloom.errors import ConfigError, OutputExistsError, SchemaError
from voxloom.inference import Trained
from voxloom.jobs import train
from voxloom.jobs.latents import first_stage, latents_of
from voxloom.models import Autoencoder, LatentScale
from voxloom.models.checkpoint import read_checkpoint
from voxloom.ranks import Rank
from voxloom.sources import Parts
from voxloom.training import Trainer

CPU = torch.device("cpu")


@pytest.fixture
def calls(monkeypatch):
    """Counts what the autoencoder does, within optimizer steps and outside of them."""
    counted, within = Counter(), []

    def watched(name):
        method = getattr(Autoencoder, name)

        def call(self, x, *more):
            counted[f"{name} in a step" if within else name] += len(x)
            return method(self, x, *more)

        monkeypatch.setattr(Autoencoder, name, call)

    for name in ("encode", "decode", "forward"):
        watched(name)
    step = Trainer._train_step

    def stepping(self, group):
        within.append(True)
        try:
            counted["steps"] += 1
            return step(self, group)
        finally:
            within.pop()

    monkeypatch.setattr(Trainer, "_train_step", stepping)
    return counted


def materials(config):
    return latents_of(config, Parts(config.layout, "pairs", config.seed), Rank(), CPU, lambda what: None)


def state_of(run):
    return read_checkpoint(run.checkpoints / "last.pt")


def test_the_autoencoder_has_no_part_in_a_step_and_encodes_each_image_once(config, calls):
    train("ldm", config("one", {"diffusion_train.max_epochs": 3}))
    assert calls["steps"] == 9
    assert not any("in a step" in name for name in calls)
    # 8 pairs, and the 2 held out once more to measure the ceiling
    assert calls["encode"] == 2 * 8 + 2
    calls.clear()
    train("ldm", config("two", {"diffusion_train.max_epochs": 3, "diffusion_train.lr": 0.1}))
    assert calls["encode"] == 2  # beside the first run, its latents are found again
    # Previews of 2 samples after each of 3 epochs: condition, target and prediction; and the ceiling.
    assert calls["decode"] == 3 * 3 * 2 + 2


def test_the_scale_is_measured_on_the_training_part_alone(config):
    material = materials(config())
    means = np.concatenate([material.train.column(f"{side}_mu") for side in ("target", "condition")])
    held = np.concatenate([material.validation.column(f"{side}_mu") for side in ("target", "condition")])
    assert material.scale.mean == pytest.approx(means.mean((0, 1, 3, 4)), rel=1e-4)
    assert material.scale.deviation == pytest.approx(means.std((0, 1, 3, 4)), rel=1e-4)
    assert material.scale.mean != pytest.approx(np.concatenate([means, held]).mean((0, 1, 3, 4)), rel=1e-4)
    run = train("ldm", config("run", {"diffusion_train.max_epochs": 1}))
    assert LatentScale.model_validate(state_of(run)["facts"]["latent_scale"]) == material.scale


def test_an_older_scale_factor_is_used_as_it_is(config):
    assert materials(config(overrides={"scale_factor": 0.25})).scale == LatentScale.from_factor(0.25, 2)


def test_augmented_copies_are_of_the_training_part_alone(config):
    several = materials(config(overrides={"augment": True, "diffusion_train.augment_variants": 3}))
    assert several.train.schema["target_mu"].shape == (3, 2, 8, 8)
    assert several.validation.schema["target_mu"].shape == (1, 2, 8, 8)
    assert materials(config()).train.schema["target_mu"].shape == (1, 2, 8, 8)


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention"])
@pytest.mark.parametrize("process", ["ddpm", "flow"])
def test_both_conditions_and_both_processes_train_and_predict(config, conditioning, process):
    run = train("ldm", config("run", {"diffusion_def.conditioning": conditioning, "process": process}))
    trained = Trained.load(run.folder)
    assert trained.models["denoiser"].config.conditioning == conditioning
    assert trained.facts["process"]["kind"] == {"ddpm": "diffusion", "flow": "flow"}[process]
    assert set(trained.models) == {"denoiser", "autoencoder"}


def test_the_ceiling_is_measured_told_and_kept(config, caplog):
    with caplog.at_level("INFO"):
        run = train("ldm", config("run", {"diffusion_train.max_epochs": 1}))
    facts = run.read("run.json")["facts"]
    assert f"PSNR {facts['autoencoder_psnr']:.2f} dB" in caplog.text
    assert 0 < facts["autoencoder_psnr"] < 25
    assert "is low: translations will look blurred" in caplog.text


def test_a_resume_needs_its_first_stage_no_more(config, tmp_path, vae):
    shutil.copytree(vae.folder, tmp_path / "stage1")
    first = {"autoencoder_path": str(tmp_path / "stage1"), "diffusion_train.max_epochs": 1}
    run = train("ldm", config("run", first))
    before = state_of(run)
    shutil.rmtree(tmp_path / "stage1")
    after = state_of(train("ldm", config("run", {**first, "diffusion_train.max_epochs": 2}), resume="auto"))
    assert after["step"] == 6
    assert after["facts"]["latent_scale"] == before["facts"]["latent_scale"]
    for name, tensor in before["models"]["autoencoder"].items():
        assert torch.equal(tensor, after["models"]["autoencoder"][name])


def test_what_cannot_be_is_told_before_anything_is_encoded(config, calls, pairs):
    with pytest.raises(ConfigError, match="autoencoder_path is not set"):
        first_stage(config(overrides={"autoencoder_path": None}), CPU)
    with pytest.raises(SchemaError, match=r"expected multiples of 4|multiples of 2"):
        materials(config(overrides={"diffusion_train.patch_size": [18, 17]}))
    with pytest.raises(OutputExistsError, match="Name another latent_cache_dir"):
        materials(config(overrides={"latent_cache_dir": str(pairs / "dente" / "latents")}))
    assert not calls
    frozen = first_stage(config(), CPU)
    assert not frozen.training
    assert not any(p.requires_grad for p in frozen.parameters())
