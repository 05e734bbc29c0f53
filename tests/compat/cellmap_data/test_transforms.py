"""Value transforms with the older arguments."""

from __future__ import annotations

import pickle

import pytest
import torch

from voxloom.compat.cellmap_data import transforms
from voxloom.errors import ConfigError


def patch(dtype=torch.uint8):
    return torch.randint(0, 255, (4, 8, 8), generator=torch.Generator().manual_seed(0)).to(dtype)


def test_all_of_them_in_a_chain():
    chain = torch.nn.Sequential(
        transforms.Normalize(),
        transforms.GaussianNoise(std=0.05),
        transforms.RandomContrast((0.8, 1.2)),
        transforms.RandomGamma((0.8, 1.2)),
        transforms.GaussianBlur(kernel_size=3, sigma=0.5, dim=3),
        transforms.NaNtoNum({"nan": 0, "posinf": None, "neginf": None}),
    )
    changed = pickle.loads(pickle.dumps(chain))(patch())
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() < changed.max() <= 1
    assert transforms.Binarize(0.5)(changed).unique().tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16])
def test_contrast_keeps_the_type(dtype):
    changed = transforms.RandomContrast(range=(1.5, 1.5))(patch(dtype))
    assert changed.dtype == dtype
    mean = patch().float().mean()
    most = 255 if dtype == torch.uint8 else 65535
    expected = (1.5 * patch().float() - 0.5 * mean).clamp(0, most).round()
    assert (changed.float() - expected).abs().max() <= 1


def test_contrast_and_gamma_leave_no_nan():
    values = torch.tensor([[0.2, torch.nan], [0.4, 0.9]])
    assert transforms.RandomContrast()(values)[0, 1] == 0
    assert transforms.RandomGamma()(values)[0, 1] == 0


def test_gamma_of_integers_is_of_their_range():
    assert torch.allclose(transforms.RandomGamma(range=(2, 2))(patch()), (patch() / 255) ** 2, atol=1e-6)
    wide = torch.tensor([0, 32768, 65535], dtype=torch.uint16)
    assert transforms.ToFloat()(wide)[1] == pytest.approx(0.5, abs=1e-4)


def test_blur_of_sections():
    blurred = transforms.GaussianBlur(5, sigma=1.0, dim=2)(patch())
    assert blurred.shape == (4, 8, 8)
    alone = transforms.GaussianBlur(5, sigma=1.0, dim=2)(patch()[1])
    assert torch.allclose(blurred[1], alone)
    with pytest.raises(ConfigError, match="odd"):
        transforms.GaussianBlur(kernel_size=4)


def test_modules_of_each():
    from voxloom.compat.cellmap_data.transforms.augment import gaussian_noise, normalize

    assert gaussian_noise.GaussianNoise is transforms.GaussianNoise
    assert normalize.Normalize is transforms.augment.Normalize
