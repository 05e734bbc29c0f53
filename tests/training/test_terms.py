import pytest
import torch

from voxloom.training import terms


def test_kl_matches_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mu, logvar = (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))
    prior = torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(mu, (logvar / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, prior).flatten(1).sum(1).mean()
    torch.testing.assert_close(terms.kl_divergence(mu, logvar), expected)


def test_kl_is_finite_where_the_variance_underflows_in_half_precision():
    logvar = torch.full((1, 1, 2, 2), -30.0, dtype=torch.float16)
    assert terms.kl_divergence(torch.zeros_like(logvar), logvar).item() == pytest.approx(
        0.5 * 29 * 4, rel=1e-5
    )


def test_focal_frequency_weighs_the_worst_frequency_fully():
    y = torch.arange(16.0)
    target = torch.zeros(1, 1, 16, 16)
    wave = torch.cos(2 * torch.pi * y / 4).reshape(1, 1, 16, 1).expand(1, 1, 16, 16)
    # One frequency pair holds all the error: its weight is 1, so the loss is the mean square.
    loss = terms.focal_frequency_loss(target + wave, target)
    torch.testing.assert_close(loss, wave.square().mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["least_squares", "hinge"])
def test_adversarial_losses_pull_in_opposite_directions(kind):
    fake = torch.zeros(2, 1, 3, 3, requires_grad=True)
    terms.generator_loss(kind, fake).backward()
    pull = fake.grad.clone()
    fake.grad = None
    terms.discriminator_loss(kind, torch.ones(2, 1, 3, 3), fake + 0.5).backward()
    assert (pull < 0).all()
    assert (fake.grad > 0).all()


def test_feature_matching_leaves_the_logits_and_the_real_images_alone():
    real = [torch.ones(1, 2, 4, 4, requires_grad=True), torch.ones(1, 1, 2, 2)]
    fake = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.full((1, 1, 2, 2), 99.0)]
    loss = terms.feature_matching_loss(fake, real)
    loss.backward()
    assert loss.item() == 1.0
    assert real[0].grad is None
    assert fake[0].grad is not None
