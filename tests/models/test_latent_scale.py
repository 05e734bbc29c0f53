import pytest
import torch
from pydantic import ValidationError

from voxloom.models import LatentScale


def latents(count=20, shift=(100.0, -3.0), spread=(0.5, 4.0)):
    noise = torch.randn(count, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    return noise * torch.tensor(spread).reshape(2, 1, 1) + torch.tensor(shift).reshape(2, 1, 1)


def test_measured_over_all_pixels_of_each_channel():
    z = latents()
    scale = LatentScale.measured(z)
    assert scale.mean == pytest.approx(z.mean((0, 2, 3)).tolist(), rel=1e-5)
    assert scale.deviation == pytest.approx(z.std((0, 2, 3), unbiased=False).tolist(), rel=1e-4)
    unit = scale.normalise(z)
    assert unit.mean((0, 2, 3)).abs().max() < 1e-4
    assert (unit.std((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-3
    torch.testing.assert_close(scale.restore(unit), z)


def test_one_pass_over_single_latents_or_batches_gives_the_same():
    z = latents()
    assert LatentScale.measured(list(z)) == LatentScale.measured(z.unsqueeze(1))
    batches = LatentScale.measured(z.split(7))
    assert batches.deviation == pytest.approx(LatentScale.measured(z).deviation, rel=1e-9)


def test_a_large_mean_does_not_eat_the_deviation():
    scale = LatentScale.measured(latents(shift=(1e4, -1e4), spread=(0.1, 0.1)))
    assert scale.deviation == pytest.approx((0.1, 0.1), rel=0.05)


def test_a_channel_that_never_changes_stays_finite():
    scale = LatentScale.measured(torch.ones(3, 1, 4, 4))
    assert torch.equal(scale.normalise(torch.ones(1, 1, 4, 4)), torch.zeros(1, 1, 4, 4))


def test_always_float32():
    scale = LatentScale.from_factor(0.25, 2)
    z = torch.full((1, 2, 2, 2), 3.0, dtype=torch.bfloat16)
    assert scale.normalise(z).dtype == scale.restore(z).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert scale.normalise(z).dtype == torch.float32


def test_an_older_factor_multiplies():
    scale = LatentScale.from_factor(0.25, 3)
    z = torch.randn(1, 3, 2, 2)
    torch.testing.assert_close(scale.normalise(z), 0.25 * z)
    torch.testing.assert_close(scale.restore(scale.normalise(z)), z)


def test_it_survives_a_file():
    scale = LatentScale.measured(latents())
    assert LatentScale.model_validate(scale.model_dump(mode="json")) == scale


@pytest.mark.parametrize(("mean", "deviation"), [((0.0,), (0.0,)), ((0.0,), (-1.0,)), ((0.0, 0.0), (1.0,))])
def test_what_would_divide_by_nothing_is_refused(mean, deviation):
    with pytest.raises(ValidationError):
        LatentScale(mean=mean, deviation=deviation)
