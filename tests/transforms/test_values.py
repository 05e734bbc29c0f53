import numpy as np
import pytest
import torch

from voxloom.errors import ConfigError
from voxloom.transforms import (
    Binarize,
    GaussianBlur,
    GaussianNoise,
    NaNtoNum,
    Normalize,
    Percentile,
    PoissonNoise,
    RandomContrast,
    RandomGamma,
    Values,
    generators_for,
)

DETERMINISTIC = [Normalize(), Binarize(), NaNtoNum(), Percentile()]
EVERY = [
    *DETERMINISTIC,
    GaussianNoise(std=(0.1, 0.3)),
    PoissonNoise(),
    RandomContrast(),
    RandomGamma(),
    GaussianBlur((0.5, 2.0)),
    Values(RandomGamma(p=0.5), GaussianNoise(p=0.5)),
]
each = pytest.mark.parametrize("transform", EVERY, ids=lambda t: type(t).__name__)


@pytest.fixture
def batch():
    return torch.rand((5, 2, 6, 8, 7), generator=torch.Generator().manual_seed(1))


def drawn(epoch=0, indices=range(5), **where):
    return generators_for(0, "values", epoch=epoch, indices=list(indices), **where)


@each
def test_a_sample_is_changed_the_same_in_any_batch(transform, batch):
    together = transform(batch, drawn())
    apart = torch.cat([transform(batch[i : i + 1], drawn(indices=[i])) for i in range(5)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
    assert torch.equal(transform(batch, drawn()), together)
    if transform not in DETERMINISTIC:
        assert not torch.equal(transform(batch, drawn(epoch=1)), together)


@each
def test_the_given_tensor_stays_and_the_shape_too(transform, batch):
    kept = batch.clone()
    for x in (batch, batch[0], batch[0, 0], (batch * 255).byte()):
        result = transform(x)
        assert result.shape == x.shape
        assert result.is_floating_point() or isinstance(transform, Binarize | NaNtoNum)
    assert torch.equal(batch, kept)


def test_they_stand_in_any_chain_of_callables(batch):
    """As torchvision's Compose calls them: each with the tensor alone, one after the other."""
    torch.manual_seed(0)
    image = first = (batch[0] * 255).byte()
    for transform in [Normalize(), GaussianNoise(std=0.05), RandomContrast(), NaNtoNum()]:
        image = transform(image)
    assert image.shape == first.shape
    assert image.dtype == torch.float32
    assert -1 < image.min() < image.max() < 2


@each
def test_the_state_of_torch_is_left_alone_when_generators_are_given(transform, batch):
    before = torch.get_rng_state()
    transform(batch, drawn())
    transform(batch, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_generator_is_one_draw_for_the_whole_tensor(batch):
    flat = torch.linspace(0, 1, 10).expand(3, 1, 10)
    one = RandomGamma((0.3, 3))(flat, torch.Generator().manual_seed(0))
    assert torch.equal(one[0], one[2])
    many = RandomGamma((0.3, 3))(flat, drawn(indices=range(3)))
    assert not torch.equal(many[0], many[2])


def test_normalize_shifts_then_scales():
    x = torch.tensor([0, 255], dtype=torch.uint8)
    assert Normalize()(x).tolist() == [0, 1]
    assert Normalize(shift=-5, scale=2)(x).tolist() == [-10, 500]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32, torch.float64])
def test_binarize_keeps_the_type(dtype):
    after = Binarize(2)(torch.tensor([1, 2, 3]).to(dtype))
    assert after.tolist() == [0, 0, 1]
    assert after.dtype == dtype


def test_percentiles_are_those_of_numpy_and_of_each_sample(batch):
    after = Percentile(10, 80)(batch, drawn())
    for x, y in zip(batch.numpy(), after.numpy(), strict=True):
        low, high = np.percentile(x, (10, 80))
        np.testing.assert_allclose(y, np.clip((x - low) / (high - low), 0, 1), atol=1e-5)
    assert torch.equal(after, Percentile(10, 80, batched=True)(batch))
    assert not torch.equal(after, Percentile(10, 80)(batch))
    assert Percentile()(torch.full((4, 4), 3.0)).tolist() == [[0.0] * 4] * 4


def test_percentiles_of_very_many_values():
    x = torch.arange(2**24 + 8, dtype=torch.float32)
    assert abs(float(Percentile(0, 100)(x)[2**23]) - 0.5) < 1e-4


def test_noise_has_its_deviation(batch):
    noise = GaussianNoise(mean=1, std=0.3)(batch, drawn()) - batch
    assert abs(float(noise.mean()) - 1) < 0.02
    assert abs(float(noise.std()) - 0.3) < 0.02
    stds = (GaussianNoise(std=(0.1, 2))(batch, drawn()) - batch).flatten(1).std(1)
    assert stds.min() > 0.09
    assert stds.max() < 2.2
    assert stds.unique().numel() == 5


def test_poisson_noise_grows_with_the_root_of_the_signal():
    grey = torch.tensor([0.0, 0.25, 1.0])[:, None].expand(3, 20_000)
    noisy = PoissonNoise(photons=100)(grey, drawn(indices=range(3)))
    assert (noisy[0] == 0).all()
    np.testing.assert_allclose(noisy.mean(1), [0, 0.25, 1], rtol=0.01)
    np.testing.assert_allclose(noisy.std(1), [0, 0.05, 0.1], rtol=0.03)


def test_contrast_keeps_mean_and_range(batch):
    flatter = RandomContrast((0.5, 0.5))(batch, drawn())
    torch.testing.assert_close(flatter.flatten(1).mean(1), batch.flatten(1).mean(1))
    torch.testing.assert_close(flatter.flatten(1).std(1), 0.5 * batch.flatten(1).std(1))
    sharper = RandomContrast((3, 3))(batch, drawn())
    assert torch.equal(sharper.flatten(1).amax(1), batch.flatten(1).amax(1))
    assert float(RandomContrast((3, 3), limits=(-9, 9))(batch, drawn()).max()) > 1.5


def test_gamma_keeps_the_limits_in_any_unit():
    x = torch.tensor([-100.0, 0.0, 100.0])
    assert RandomGamma((2, 2))(x).tolist() == [-100, -50, 100]
    assert RandomGamma((2, 2), limits=(0, 100))(x).tolist() == [0, 0, 100]
    assert RandomGamma((2, 2))(torch.full((3,), 7.0)).tolist() == [7, 7, 7]


def test_nan_stays_where_it_is_and_spoils_nothing():
    x = torch.tensor([0.0, 1.0, torch.nan, 2.0])
    for transform in (RandomContrast((0.5, 0.5)), RandomGamma((2, 2)), Percentile(0, 100), Binarize()):
        assert transform(x).isnan().tolist() == [False, False, True, False]


def test_blur_is_that_of_scipy(batch):
    ndimage = pytest.importorskip("scipy.ndimage")
    after = GaussianBlur(1.3)(batch[0], torch.Generator()).numpy()
    expected = ndimage.gaussian_filter(batch[0].numpy(), (0, 1.3, 1.3, 1.3), mode="nearest", radius=4)
    np.testing.assert_allclose(after, expected, atol=1e-5)
    flat = GaussianBlur(1.3, dims=2)(batch[0]).numpy()
    expected = ndimage.gaussian_filter(batch[0].numpy(), (0, 0, 1.3, 1.3), mode="nearest", radius=4)
    np.testing.assert_allclose(flat, expected, atol=1e-5)


def test_each_sample_of_a_batch_has_its_own_blur(batch):
    sharpness = GaussianBlur((0.3, 3))(batch, drawn()).flatten(1).std(1)
    assert sharpness.unique().numel() == 5


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_share_of_the_samples_is_changed(p):
    x = torch.zeros(400, 2)
    changed = (GaussianNoise(p=p)(x, drawn(indices=range(400))) != 0).any(1)
    assert abs(float(changed.float().mean()) - p) < 0.08


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: GaussianNoise(std=-1), r"std -1: expected a number of at least 0"),
        (lambda: RandomGamma((2, 1)), r"range \(2, 1\): expected .* \[low, high\]"),
        (lambda: GaussianBlur(p=2), "probability p=2"),
        (lambda: Percentile(60, 40), "percentiles 60 and 40: expected 0 <= low < high"),
    ],
)
def test_what_makes_no_sense_is_refused(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each
def test_on_the_gpu(transform, batch):
    there = batch.cuda()
    first = transform(there, drawn(device="cuda"))
    assert first.is_cuda
    assert torch.equal(transform(there, drawn(device="cuda")), first)
    if transform in DETERMINISTIC:
        torch.testing.assert_close(first.cpu(), transform(batch, drawn()), atol=1e-5, rtol=0)
