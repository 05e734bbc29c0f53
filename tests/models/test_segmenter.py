import pytest
import torch
from pydantic import ValidationError

from voxloom.errors import SchemaError
from voxloom.models import SegmenterConfig
from voxloom.models.segmenter import check_size
from voxloom.testing.models import check_model


def images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def small(**settings):
    return SegmenterConfig(**{"channels": (4, 8), "num_res_units": 1, "norm_num_groups": 2} | settings)


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
@pytest.mark.parametrize(("dims", "size"), [(2, (8, 12)), (3, (4, 8, 6))])
def test_every_variant_keeps_size_and_contract(dims, size, norm):
    config = small(spatial_dims=dims, in_channels=2, out_channels=3, norm=norm)
    x = images(2, 2, *size)
    assert config.build()(x).shape == (2, 3, *size)
    check_model(config, [x])


@pytest.mark.parametrize(("channels", "units"), [((4, 8), 1), ((4, 6, 8), 2)])
def test_levels_and_units(channels, units):
    config = small(channels=channels, num_res_units=units)
    assert config.build()(images(1, 1, 8, 8, 8)).shape == (1, 1, 8, 8, 8)


def test_axes_may_differ_in_stride():
    config = small(channels=(4, 6, 8), strides=((1, 2, 2), 2))
    assert config.divisors == (2, 4, 4)
    assert config.build()(images(1, 1, 6, 8, 12)).shape == (1, 1, 6, 8, 12)
    check_model(config, [images(1, 1, 2, 8, 8)])


def test_output_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert small().build()(images(1, 1, 4, 4, 4)).dtype == torch.float32


def test_channels_may_lie_last_in_memory():
    model, x = small().build(), images(2, 1, 8, 8, 8)
    expected = model(x)
    model.to(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(model(x.to(memory_format=torch.channels_last_3d)), expected)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8, 9, 8), r"8 x 9 x 8 voxels \(z, y, x\): expected multiples of 2 x 2 x 2\. .* 8 x 10 x 8"),
        ((8, 8), r"8 x 8 voxels: expected 3 axes \(z, y, x\), those"),
        ((2, 2, 2), "leaves one voxel at the bottom"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size, message):
    with pytest.raises(SchemaError, match=message):
        small().build()(images(1, 1, *size))
    with pytest.raises(SchemaError):
        check_size(small(), size)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strides": (2, 2)}, "2 strides for 2 levels of channels: expected 1"),
        ({"strides": ((2, 2),)}, "expected 3 numbers a level"),
        ({"norm": "group", "norm_num_groups": 3}, "does not divide"),
        ({"channels": (8,)}, "at least 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises((ValidationError, ValueError), match=message):
        small(**settings)


def test_it_can_learn_where_it_is_bright():
    torch.manual_seed(0)
    model, x = small(channels=(8, 16)).build(), images(2, 1, 8, 8, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    target = (x > 0.5).float()
    for _ in range(40):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.15
