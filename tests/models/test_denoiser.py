import pytest
import torch
from pydantic import ValidationError

from voxloom.errors import SchemaError
from voxloom.models import DenoiserConfig
from voxloom.testing.models import stirred

SMALL = DenoiserConfig(
    channels=(8, 16), num_res_blocks=1, norm_num_groups=4, num_head_channels=8, cross_attention_dim=16
)
T = torch.tensor([10.0, 900.0])


def latent(seed=0, channels=4):
    return torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(seed))


def small(**changes):
    return stirred(SMALL.model_validate({**SMALL.model_dump(), **changes}).build()).eval()


def test_reference_size():
    config = DenoiserConfig(
        attention_levels=(False, True, True, True),
        num_head_channels=(0, 32, 32, 32),
        conditioning="cross_attention",
    )
    with torch.device("meta"):
        reference, by_default = config.build(), DenoiserConfig(conditioning="cross_attention").build()
    assert sum(p.numel() for p in reference.net.parameters()) == 26_415_684
    assert sum(p.numel() for p in by_default.net.parameters()) == 26_415_684
    assert sum(p.numel() for p in reference.conditioner.parameters()) == 5 * 512


def test_a_fresh_network_predicts_zero():
    assert not SMALL.build()(latent(), T, latent(1)).any()


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention"])
def test_the_layout_of_the_condition_counts(conditioning):
    net, z, condition = small(conditioning=conditioning), latent(), latent(1)
    with torch.no_grad():
        moved = net(z, T, condition.flip(-1)) - net(z, T, condition)
        turned = net(z, T, condition.transpose(-1, -2)) - net(z, T, condition)
    assert moved.abs().max() > 1e-4
    assert turned.abs().max() > 1e-4


def test_without_positions_the_layout_is_lost():
    net, z, condition = small(conditioning="cross_attention", condition_positions=False), latent(), latent(1)
    with torch.no_grad():
        torch.testing.assert_close(net(z, T, condition.flip(-1)), net(z, T, condition), atol=1e-5, rtol=0)
        assert (net(z, T, condition + 1) - net(z, T, condition)).abs().max() > 1e-4  # the values do count


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention", "none"])
def test_each_sample_of_a_batch_stands_alone(conditioning):
    net, z = small(conditioning=conditioning), latent()
    condition = None if conditioning == "none" else latent(1)
    with torch.no_grad():
        both = net(z, T, condition)
        second = net(z[1:], T[1:], None if condition is None else condition[1:])
    torch.testing.assert_close(both[1:], second, atol=1e-5, rtol=1e-4)
    assert not torch.equal(both[0], both[1])


def test_time_counts_and_need_not_be_whole():
    net = small()
    with torch.no_grad():
        outputs = [net(latent(), torch.full((2,), t), latent(1)) for t in (250.0, 250.5, 700.0)]
    assert (outputs[1] - outputs[0]).abs().max() > 0
    assert (outputs[2] - outputs[0]).abs().max() > 1e-4


def test_prediction_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert small()(latent(), T, latent(1)).dtype == torch.float32


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention"])
def test_flash_attention_is_the_same_network(conditioning):
    plain, flash = (
        small(conditioning=conditioning),
        small(conditioning=conditioning, use_flash_attention=True),
    )
    flash.load_state_dict(plain.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(
            flash(latent(), T, latent(1)), plain(latent(), T, latent(1)), atol=1e-4, rtol=1e-3
        )


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention"])
def test_a_condition_that_is_missing_or_odd_is_refused(conditioning):
    net = small(conditioning=conditioning)
    with pytest.raises(SchemaError, match="got none: expected a condition of 4 channels"):
        net(latent(), T)
    with pytest.raises(SchemaError, match=r"\(2, 3, 8, 8\): expected a condition of 4 channels"):
        net(latent(), T, latent(channels=3))


def test_a_condition_nobody_asked_for_is_refused():
    with pytest.raises(SchemaError, match="unconditional"):
        small(conditioning="none")(latent(), T, latent())


def test_a_condition_of_another_size_cannot_be_concatenated():
    with pytest.raises(SchemaError, match="4 x 8, the one to denoise 8 x 8"):
        small()(latent(), T, latent()[:, :, :4])


def test_older_files_say_it_in_their_words():
    assert DenoiserConfig(with_conditioning=True).conditioning == "cross_attention"
    assert DenoiserConfig(with_conditioning=False).conditioning == "none"
    both = DenoiserConfig(with_conditioning=True, conditioning="concat")
    assert both.conditioning == "concat"
    assert DenoiserConfig.model_validate(both.model_dump(mode="json")) == both
    with pytest.raises(ValidationError, match="with_conditioning False against conditioning 'concat'"):
        DenoiserConfig(with_conditioning=False, conditioning="concat")


def test_heads_must_divide_their_level():
    with pytest.raises(ValidationError, match="num_head_channels 32 at a level of 48 channels"):
        DenoiserConfig(channels=(16, 48), norm_num_groups=16)
    with pytest.raises(
        ValidationError, match="num_head_channels 0 at a level of 64"
    ):  # the bottom always attends
        DenoiserConfig(channels=(32, 64), attention_levels=(False, False), num_head_channels=(0, 0))
    DenoiserConfig(channels=(16, 48), norm_num_groups=16, num_head_channels=16)
