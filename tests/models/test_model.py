import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from voxloom.errors import ConfigError, SchemaError, UnknownNameError
from voxloom.models import (
    MODELS,
    AutoencoderConfig,
    DenoiserConfig,
    DiscriminatorConfig,
    SegmenterConfig,
    UNetConfig,
    build_model,
    config_from,
    settings_of,
)
from voxloom.models.model import check_divisible, per_level
from voxloom.testing.models import check_model

SMALL = {
    "autoencoder_kl": AutoencoderConfig(channels=(8, 16), num_res_blocks=(1, 2), norm_num_groups=4),
    "diffusion_unet": DenoiserConfig(
        channels=(8, 16), num_res_blocks=1, norm_num_groups=4, num_head_channels=8, condition_channels=3
    ),
    "patch_discriminator": DiscriminatorConfig(channels=4, num_layers_d=2),
    "segmenter": SegmenterConfig(channels=(4, 8), num_res_units=1, strides=((1, 2, 2),), out_channels=2),
    "unet": UNetConfig(channels=(8, 16, 24), num_res_units=1, norm_num_groups=4),
}


def images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


INPUTS = {
    "autoencoder_kl": [images(2, 1, 16, 24), images(2, 4, 8, 12)],
    "diffusion_unet": [images(2, 4, 8, 12), torch.tensor([0.5, 999.0]), images(2, 3, 8, 12)],
    "patch_discriminator": [images(2, 1, 32, 40)],
    "segmenter": [images(2, 1, 4, 8, 6)],
    "unet": [images(2, 1, 16, 24)],
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_keeps_the_contract(name):
    check_model(SMALL[name], INPUTS[name])


@pytest.mark.parametrize("name", MODELS)
def test_settings_go_to_a_file_and_back(name):
    settings = settings_of(SMALL[name])
    assert settings["model"] == name
    assert config_from(settings) == SMALL[name]
    assert MODELS[name]().model_dump()  # the defaults agree with each other


@pytest.mark.parametrize("name", MODELS)
def test_seed_alone_decides_the_weights(name):
    before = torch.random.get_rng_state()
    one, same, other = (build_model(SMALL[name], seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_unknown_names_and_keys_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'unet'"):
        config_from({"model": "unett"})
    with pytest.raises(UnknownNameError, match="Known: autoencoder_kl"):
        config_from({"channels": [8]})
    with pytest.raises(ValidationError, match="chanels"):
        config_from({"model": "unet", "chanels": [8]})


def test_a_configuration_of_no_table_cannot_be_written():
    class Foreign(UNetConfig):
        pass

    with pytest.raises(ConfigError, match="Foreign stands in no table"):
        settings_of(Foreign())


@pytest.mark.parametrize("config", [AutoencoderConfig, DenoiserConfig, UNetConfig])
def test_relations_between_settings_are_checked(config):
    with pytest.raises(
        ValidationError, match=r"norm_num_groups 8 does not divide channels \[8, 20\].*4 would do"
    ):
        config(channels=(8, 20), norm_num_groups=8)
    units = "num_res_units" if config is UNetConfig else "num_res_blocks"
    with pytest.raises(ValidationError, match=f"{units} has 3 values.*each of the 2"):
        config(**{"channels": (32, 64), units: (1, 1, 1)})
    with pytest.raises(ValidationError):
        config(channels=())
    with pytest.raises(ValidationError):
        config(spatial_dims=4)


@pytest.mark.parametrize("name", ["autoencoder_kl", "diffusion_unet", "unet"])
def test_sizes_that_do_not_fit_are_named_with_the_cure(name):
    model = SMALL[name].build()
    odd = [x if x is None or x.ndim < 4 else x[..., :-1] for x in INPUTS[name]]
    with pytest.raises(
        SchemaError, match=r"height x width \d+ x \d+: expected multiples of \d.*for instance"
    ):
        model(*odd)
    model.check_size(16, 24)


def test_divisible_sizes():
    check_divisible((8, 12), 4, "x")
    with pytest.raises(SchemaError, match="12 x 4"):
        check_divisible((9, 0), 4, "x")


def test_per_level():
    assert per_level(3, (1, 2), "x") == (3, 3)
    assert per_level([1, 2], (1, 2), "x") == (1, 2)


def test_heavy_libraries_load_late():
    script = (
        "import sys, voxloom.models, voxloom.diffusion; assert 'torch' not in sys.modules\n"
        "voxloom.models.AutoencoderConfig(); assert 'monai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
