import pytest
import torch
from pydantic import ValidationError

from voxloom.errors import SchemaError
from voxloom.models import AutoencoderConfig
from voxloom.testing.models import stirred

SMALL = AutoencoderConfig(channels=(8, 16), num_res_blocks=1, norm_num_groups=4, latent_channels=3)


def images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def test_reference_size():
    with torch.device("meta"):
        vae = AutoencoderConfig().build()
    assert sum(p.numel() for p in vae.parameters()) == 12_296_961
    assert vae.config.downsampling == 4


def test_parameter_names_are_those_of_monai():
    names = set(SMALL.build().state_dict())
    assert "net.quant_conv_mu.conv.weight" in names
    assert any(name.endswith("attn.to_q.weight") for name in names)  # not one combined layer
    assert any(name.endswith("attn.out_proj.weight") for name in names)


def test_forward_agrees_with_monai():
    vae, x = stirred(SMALL.build()).eval(), images(2, 1, 16, 24)
    noise = images(2, 3, 8, 12)
    with torch.no_grad():
        mu, sigma = vae.net.encode(x)
        reconstruction, our_mu, logvar = vae(x, noise)
        torch.testing.assert_close(our_mu, mu)
        torch.testing.assert_close(torch.exp(logvar / 2), sigma)
        torch.testing.assert_close(reconstruction, vae.net.decode(mu + sigma * noise))


def test_latent_statistics_are_float32_under_autocast():
    vae, x = SMALL.build(), images(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        reconstruction, mu, logvar = vae(x, images(2, 3, 8, 8))
    assert reconstruction.dtype == mu.dtype == logvar.dtype == torch.float32
    assert not torch.equal(mu, mu.bfloat16().float())  # computed so, not only cast


@pytest.mark.parametrize(("bias", "bound"), [(1e4, 20.0), (-1e4, -30.0)])
def test_log_variance_is_clamped(bias, bound):
    vae = SMALL.build()
    torch.nn.init.constant_(vae.net.quant_conv_log_sigma.conv.bias, bias)
    _, logvar = vae.encode(images(1, 1, 8, 8))
    assert bool((logvar == bound).all())


def test_memory_options_change_nothing_else():
    x, noise = images(2, 1, 16, 16), images(2, 3, 8, 8)
    plain = stirred(SMALL.build())
    expected = plain(x, noise)[0]
    for option in ("use_checkpoint", "use_flash_attention"):
        other = SMALL.model_copy(update={option: True}).build()
        other.load_state_dict(plain.state_dict())
        torch.testing.assert_close(other(x, noise)[0], expected, atol=1e-5, rtol=1e-4)
        other(x, noise)[0].sum().backward()
        assert all(p.grad is not None for p in other.net.encoder.parameters())


def test_attention_levels_must_be_one_a_level():
    with pytest.raises(ValidationError, match="attention_levels has 2 values"):
        AutoencoderConfig(attention_levels=(True, False))
    assert AutoencoderConfig(attention_levels=(False, False, True)).attention_levels == (False, False, True)


def test_volumes_come_back_in_their_size():
    vae = AutoencoderConfig(spatial_dims=3, channels=(8, 16), num_res_blocks=1, norm_num_groups=4).build()
    assert vae.config.latent_shape(8, 12, 4) == (4, 4, 6, 2)
    copy, mu, _ = vae(images(1, 1, 8, 12, 4), images(1, 4, 4, 6, 2))
    assert copy.shape == (1, 1, 8, 12, 4)
    assert mu.shape == (1, 4, 4, 6, 2)


@pytest.mark.parametrize(("size", "said"), [((8, 8), "3 spatial axes got"), ((8, 7, 8), "take|to 8 x 8 x 8")])
def test_volumes_of_other_sizes_are_refused(size, said):
    vae = AutoencoderConfig(spatial_dims=3, channels=(8, 16), num_res_blocks=1, norm_num_groups=4).build()
    with pytest.raises(SchemaError, match=said):
        vae.encode(images(1, 1, *size))
