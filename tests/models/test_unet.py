import pytest
import torch

from voxloom.models import UNetConfig
from voxloom.testing.models import check_model


def images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("up", ["interpolation", "transposed"])
@pytest.mark.parametrize("norm", ["group", "instance"])
@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 8, 12)])
def test_every_variant_keeps_size_and_contract(channels, norm, up):
    config = UNetConfig(
        in_channels=2, out_channels=3, channels=channels, num_res_units=1, norm=norm, up=up, norm_num_groups=4
    )
    x = images(2, 2, 8, 12)
    assert config.build()(x).shape == (2, 3, 8, 12)
    check_model(config, [x])


def test_levels_may_differ_in_depth():
    config = UNetConfig(channels=(8, 16), num_res_units=(1, 3))
    unet = config.build()
    assert [len(units) for units in unet.encoder] == [1, 3]
    assert unet(images(1, 1, 2, 2)).shape == (1, 1, 2, 2)  # 1 x 1 at the bottom


def test_output_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert UNetConfig(channels=(8, 16)).build()(images(1, 1, 8, 8)).dtype == torch.float32


def test_groups_are_of_no_account_for_instance_norm():
    UNetConfig(channels=(6, 10), norm="instance")


def test_it_can_learn_to_copy():
    torch.manual_seed(0)
    unet, x = UNetConfig(channels=(8, 16), num_res_units=1).build(), images(4, 1, 8, 8)
    optimizer = torch.optim.Adam(unet.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (unet(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
