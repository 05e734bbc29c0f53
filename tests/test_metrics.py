import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from voxloom import metrics
from voxloom.errors import ConfigError, SchemaError
from voxloom.seeding import rng_for


def images(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = rng_for(seed, "metrics")
    smooth = np.cumsum(np.cumsum(rng.normal(size=shape), -1), -2)
    target = (smooth - smooth.min()) / np.ptp(smooth)
    return target + 0.05 * rng.normal(size=shape), target


def on_torch(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("size", [(11, 11), (24, 37), (64, 64), (11, 11, 11), (13, 15, 20)])
@pytest.mark.parametrize("data_range", [1.0, 3.5])
def test_ssim_and_psnr_equal_scikit_image(size: tuple[int, ...], data_range: float) -> None:
    pred, target = images(3, 1, *size)
    expected = [
        structural_similarity(
            p[0], t[0], data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for p, t in zip(pred, target, strict=True)
    ]
    ours = metrics.ssim(*on_torch(pred, target), data_range=data_range)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)
    noise = [peak_signal_noise_ratio(t, p, data_range=data_range) for p, t in zip(pred, target, strict=True)]
    np.testing.assert_allclose(metrics.psnr(*on_torch(pred, target), data_range=data_range), noise)


def test_ssim_map_equals_scikit_image() -> None:
    pred, target = images(1, 1, 30, 40)
    _, full = structural_similarity(
        pred[0, 0],
        target[0, 0],
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    ours = metrics.ssim_map(*on_torch(pred, target), data_range=1.0)[0, 0]
    np.testing.assert_allclose(ours, full[5:-5, 5:-5], rtol=1e-10)


def test_ms_ssim_equals_its_definition_through_scikit_image() -> None:
    # Two scales: the structure term of the fine one is ssim with a luminance of 1, that is, K1 -> inf.
    pred, target = images(1, 1, 32, 40)

    def similarity(p: np.ndarray, t: np.ndarray, **constants: float) -> float:
        return structural_similarity(
            p,
            t,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            **constants,
        )

    def half(image: np.ndarray) -> np.ndarray:
        return image.reshape(16, 2, 20, 2).mean(axis=(1, 3))

    total = sum(metrics._SCALE_WEIGHTS)
    fine, coarse = (w * total / (0.0448 + 0.2856) for w in (0.0448, 0.2856))
    expected = (
        similarity(pred[0, 0], target[0, 0], K1=1e9) ** fine
        * similarity(half(pred[0, 0]), half(target[0, 0])) ** coarse
    )
    ours = metrics.ms_ssim(*on_torch(pred, target), data_range=1.0)
    np.testing.assert_allclose(ours, [expected], rtol=1e-6)


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 1), (22, 2), (88, 4), (175, 4), (176, 5), (900, 5)]
)
def test_ms_ssim_takes_as_many_scales_as_fit(side: int, scales: int) -> None:
    weights = metrics._weights_that_fit(side, metrics._SCALE_WEIGHTS)
    assert len(weights) == scales
    assert sum(weights) == pytest.approx(sum(metrics._SCALE_WEIGHTS))


def test_an_image_against_itself() -> None:
    (image,) = on_torch(images(2, 1, 32, 32)[1])
    assert metrics.psnr(image, image, data_range=1.0).tolist() == [math.inf] * 2
    assert metrics.ssim(image, image, data_range=1.0).tolist() == [1.0, 1.0]
    assert metrics.ms_ssim(image, image, data_range=1.0).tolist() == pytest.approx([1.0, 1.0])
    assert metrics.mae(image, image).tolist() == metrics.rmse(image, image).tolist() == [0.0, 0.0]
    assert metrics.dice(image > 0.5, image > 0.5).tolist() == [1.0, 1.0]
    assert metrics.iou(image > 0.5, image > 0.5).tolist() == [1.0, 1.0]


def test_constant_images_are_not_nan() -> None:
    zeros = torch.zeros(1, 1, 16, 16)
    assert metrics.ssim(zeros, zeros, data_range=1.0).item() == 1
    assert 0 <= metrics.ssim(zeros + 1, zeros, data_range=1.0).item() < 1e-3


def test_each_sample_has_its_own_value() -> None:
    pred, target = on_torch(*images(3, 1, 24, 24))
    for metric in (metrics.ssim, metrics.psnr, metrics.ms_ssim):
        together = metric(pred, target, data_range=1.0)
        alone = torch.cat([metric(pred[i : i + 1], target[i : i + 1], data_range=1.0) for i in range(3)])
        torch.testing.assert_close(together, alone)


def test_overlap_of_empty_and_of_unequal_masks() -> None:
    empty, full = torch.zeros(1, 1, 4, 4, dtype=torch.bool), torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert metrics.dice(empty, empty).item() == metrics.iou(empty, empty).item() == 1
    assert metrics.dice(full, empty).item() == metrics.iou(empty, full).item() == 0
    half = full.clone()
    half[..., :2] = False
    assert metrics.dice(half, full).item() == pytest.approx(2 / 3)
    assert metrics.iou(half, full).item() == pytest.approx(1 / 2)


def test_only_the_pixels_of_the_mask_count() -> None:
    pred, target = on_torch(*images(2, 1, 32, 32))
    mask = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    mask[..., 8:20, 9:24] = True
    spoiled = torch.where(mask, pred, torch.nan)
    np.testing.assert_allclose(
        metrics.mae(spoiled, target, mask=mask), metrics.mae(pred[..., 8:20, 9:24], target[..., 8:20, 9:24])
    )
    np.testing.assert_allclose(
        metrics.psnr(spoiled, target, data_range=1.0, mask=mask),
        metrics.psnr(pred[..., 8:20, 9:24], target[..., 8:20, 9:24], data_range=1.0),
    )
    chosen = metrics.ssim_map(pred, target, data_range=1.0)[..., 3:15, 4:19].mean(dim=(1, 2, 3))
    torch.testing.assert_close(metrics.ssim(pred, target, data_range=1.0, mask=mask), chosen)


def test_a_full_mask_changes_nothing_and_an_empty_one_gives_nan() -> None:
    pred, target = on_torch(*images(1, 1, 24, 24))
    full = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    for metric in (metrics.ssim, metrics.psnr):
        whole = metric(pred, target, data_range=1.0)
        torch.testing.assert_close(metric(pred, target, data_range=1.0, mask=full), whole)
        assert metric(pred, target, data_range=1.0, mask=~full).isnan().all()


def test_low_precision_is_lifted_even_under_autocast() -> None:
    pred, target = (image.to(torch.bfloat16) for image in on_torch(*images(1, 1, 32, 32)))
    expected = metrics.ssim(pred.double(), target.double(), data_range=1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = metrics.ssim(pred, target, data_range=1.0)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)


def test_integers_are_not_wrapped_around() -> None:
    pred = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    target = torch.full_like(pred, 255)
    assert metrics.mae(pred, target).item() == 255
    assert metrics.psnr(pred, target, data_range=255).item() == 0


def test_ms_ssim_is_a_loss_that_improves_the_image() -> None:
    pred, target = on_torch(*images(1, 1, 48, 48))
    pred = pred.float().requires_grad_()
    loss = 1 - metrics.ms_ssim(pred, target.float(), data_range=1.0).mean()
    loss.backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    better = pred.detach() - 0.1 * pred.grad / pred.grad.abs().max()
    assert 1 - metrics.ms_ssim(better, target.float(), data_range=1.0) < loss.detach()


@pytest.mark.parametrize("start", ["negative", "equal", "constant"])
def test_ms_ssim_has_a_finite_gradient_everywhere(start: str) -> None:
    target = on_torch(images(1, 1, 32, 32)[1])[0].float()
    pred = {"negative": 1 - target, "equal": target.clone(), "constant": torch.zeros_like(target)}[start]
    pred.requires_grad_()
    metrics.ms_ssim(pred, target, data_range=1.0).sum().backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_messages_name_the_value_and_the_cure() -> None:
    a, b = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 15)
    with pytest.raises(SchemaError, match=r"\(1, 1, 16, 16\).*\(1, 1, 16, 15\)"):
        metrics.mae(a, b)
    with pytest.raises(SchemaError, match="same"):
        metrics.mae(a[0], a[0])
    with pytest.raises(SchemaError, match=r"10 x 16 .* 11"):
        metrics.ssim(a[..., :10, :], a[..., :10, :], data_range=1.0)
    with pytest.raises(SchemaError, match="bool"):
        metrics.mae(a, a, mask=a)
    with pytest.raises(SchemaError, match="bool"):
        metrics.dice(a, a)
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="data_range"):
            metrics.psnr(a, a, data_range=bad)


def test_ms_ssim_of_volumes_halves_every_axis() -> None:
    pred, target = on_torch(*images(1, 1, 24, 24, 24))
    fine = metrics.ms_ssim(pred, target, data_range=1.0, scale_weights=(1.0,))
    torch.testing.assert_close(fine, metrics.ssim(pred, target, data_range=1.0))
    both = metrics.ms_ssim(pred, target, data_range=1.0, scale_weights=(0.0, 1.0))
    halved = [torch.nn.functional.avg_pool3d(x, 2) for x in (pred, target)]
    torch.testing.assert_close(both, metrics.ssim(*halved, data_range=1.0))
