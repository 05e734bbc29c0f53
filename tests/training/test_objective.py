"""The contract over all objectives, and what each promises beside."""

import itertools
from dataclasses import replace

import pytest
import torch

from voxloom.diffusion import DiffusionProcess, FlowProcess
from voxloom.loading import Batch
from voxloom.models import (
    Autoencoder,
    AutoencoderConfig,
    DenoiserConfig,
    DiscriminatorConfig,
    LatentScale,
    SegmenterConfig,
    UNetConfig,
    build_model,
)
from voxloom.testing.objectives import check_objective
from voxloom.training import (
    AutoencoderLoss,
    AutoencoderObjective,
    Clock,
    LatentObjective,
    Pix2PixLoss,
    Pix2PixObjective,
    RegressionLoss,
    RegressionObjective,
    SegmentationLoss,
    SegmentationObjective,
    SegmentationPatches,
)
from voxloom.training import autoencoder as autoencoder_room
from voxloom.training.objective import noise_for
from voxloom.training.shares import parts_of
from voxloom.transforms import PatchValues, ValueAugment

VAE = AutoencoderConfig(
    channels=(8, 8), num_res_blocks=1, norm_num_groups=4, latent_channels=2,
    with_encoder_nonlocal_attn=False, with_decoder_nonlocal_attn=False,
)  # fmt: skip
JUDGE = DiscriminatorConfig(channels=8, num_layers_d=2)
V = DiffusionProcess(prediction="v")
UNET = UNetConfig(channels=(8, 8), num_res_units=1, norm_num_groups=4)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def batch_of(**shapes):
    fields = {name: random(3, *shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    return Batch(fields, ["a", "b", "c"], [4, 0, 2], epoch=1)


IMAGES = batch_of(image=(1, 16, 16))
PAIRS = batch_of(target=(1, 16, 16), condition=(1, 16, 16))
_latents = batch_of(target_mu=(2, 8, 8), target_sigma=(2, 8, 8), condition_mu=(2, 8, 8))
LATENTS = replace(_latents, fields={**_latents.fields, "target_sigma": _latents["target_sigma"].abs() / 9})


def bits(*shape, most, seed):
    return torch.randint(
        0, most, (3, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )


def patches_of(*size):
    """Raw of the stored type, two classes of which some are unknown, and a sample of which all is."""
    known = bits(1, *size, most=4, seed=3)
    known[1] = 0
    fields = {
        "raw": bits(1, *size, most=255, seed=1),
        "labels": bits(1, *size, most=4, seed=2) & known,
        "labels_known": known,
    }
    return Batch(fields, ["a", "b", "c"], [4, 0, 2], epoch=1)


def segmentation(dims=3, **settings):
    classes, loss = ("mito", "er"), SegmentationLoss(**settings)
    network = SegmenterConfig(
        spatial_dims=dims, channels=(4, 8), num_res_units=1, out_channels=2 + loss.exclusive
    )
    fields = SegmentationPatches(
        inputs=("raw",), target="labels", classes=classes, values=PatchValues(augment=ValueAugment())
    )
    return SegmentationObjective(network, loss, fields, seed=0)


def vae(**settings):
    return AutoencoderObjective(VAE, JUDGE, AutoencoderLoss(**settings), data_range=4.0, seed=0)


def vae_3d():
    network, judge = (each.model_copy(update={"spatial_dims": 3}) for each in (VAE, JUDGE))
    settings = AutoencoderLoss(adv_from_epoch=0, ms_ssim_weight=0.2)
    judge = judge.model_copy(update={"num_layers_d": 1})
    return AutoencoderObjective(network, judge, settings, data_range=4.0, seed=0)


def ldm(process=None, **settings):
    denoiser = DenoiserConfig(
        in_channels=2, out_channels=2, condition_channels=2, channels=(8, 8), attention_levels=(False, False),
        num_head_channels=8, num_res_blocks=1, norm_num_groups=4, cross_attention_dim=8, **settings,
    )  # fmt: skip
    return LatentObjective(
        denoiser, process or FlowProcess(), autoencoder=build_model(VAE, seed=0),
        scale=LatentScale(mean=(0.5, -0.5), deviation=(2.0, 0.5)), seed=0, preview_steps=2,
    )  # fmt: skip


def stirred(objective):
    """Zero initialisations would hide paths that gradients have to take."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in objective.models["denoiser"].parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return objective


OBJECTIVES = {
    "vae": (lambda: vae(), IMAGES),
    "vae hinge l2": (lambda: vae(adv_loss="hinge", recon_loss="l2"), IMAGES),
    "vae plain": (lambda: vae(adv_weight=0, perceptual_weight=0, kl_weight=0), IMAGES),
    "vae 3D": (lambda: vae_3d(), batch_of(image=(1, 12, 16, 16))),
    "vae 3D thin": (lambda: vae_3d(), batch_of(image=(1, 6, 16, 16))),
    "ddpm": (lambda: stirred(ldm(DiffusionProcess())), LATENTS),
    "ddpm v": (lambda: stirred(ldm(V, conditioning="cross_attention")), LATENTS),
    "flow": (lambda: stirred(ldm(FlowProcess(start_noise=0.1))), LATENTS),
    "flow noise": (lambda: stirred(ldm(FlowProcess(start_from="noise"))), LATENTS),
    "regression": (lambda: RegressionObjective(UNET, RegressionLoss(), data_range=4.0, seed=0), PAIRS),
    "regression ms-ssim": (
        lambda: RegressionObjective(UNET, RegressionLoss(ms_ssim_weight=1), data_range=4.0, seed=0), PAIRS,
    ),
    "pix2pix": (lambda: Pix2PixObjective(UNET, JUDGE, Pix2PixLoss(), data_range=4.0, seed=0), PAIRS),
    "pix2pix plain": (
        lambda: Pix2PixObjective(UNET, JUDGE, Pix2PixLoss(adv_weight=0), data_range=4.0, seed=0), PAIRS,
    ),
    "segmentation": (lambda: segmentation(class_weights={"er": 3.0}), patches_of(4, 8, 6)),
    "segmentation exclusive": (lambda: segmentation(exclusive=True), patches_of(4, 8, 6)),
    "segmentation 2D": (lambda: segmentation(dims=2, dice_weight=0), patches_of(8, 12)),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_contract(name):
    make, batch = OBJECTIVES[name]
    check_objective(make(), batch)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_is_the_mean_over_its_samples(name):
    """So that accumulation and ranks change nothing."""
    make, batch = OBJECTIVES[name]
    objective = make()
    batch, clock = objective.prepare(batch, 5, training=False), Clock(0, 100, 5)
    ones = [
        Batch(
            {n: t[i : i + 1] for n, t in batch.fields.items()},
            [batch.keys[i]],
            [batch.indices[i]],
            batch.epoch,
        )
        for i in range(3)
    ]
    whole, alone = (
        {},
        [(one, {}, part.share) for one, part in zip(ones, parts_of(ones, objective, 1), strict=True)],
    )
    for phase in objective.phases:
        mean = sum(share * phase(one, clock, memory)[0] for one, memory, share in alone)
        torch.testing.assert_close(phase(batch, clock, whole)[0], mean, rtol=1e-4, atol=1e-5)


def test_noise_belongs_to_sample_and_epoch_not_to_the_batch():
    like = torch.zeros(1)
    whole = noise_for(IMAGES, (2, 4), 7, "noise", like=like)
    some = noise_for(IMAGES.take(1), (2, 4), 7, "noise", like=like)
    assert torch.equal(whole[:1], some)
    for other in (
        noise_for(replace(IMAGES, epoch=2), (2, 4), 7, "noise", like=like),
        noise_for(IMAGES, (2, 4), 8, "noise", like=like),
        noise_for(IMAGES, (2, 4), 7, "posterior", like=like),
    ):
        assert not torch.isclose(whole, other).any()
    assert abs(whole.mean()) < 1


@pytest.mark.parametrize("name", ["vae plain", "ddpm", "flow"])
def test_noise_differs_from_epoch_to_epoch(name):
    make, batch = OBJECTIVES[name]
    (phase,) = make().phases
    losses = [phase(replace(batch, epoch=e), Clock(9, e, 5), {})[0].item() for e in range(3)]
    assert all(a != b for a, b in itertools.combinations(losses, 2))


def test_a_term_of_weight_0_is_not_computed(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("computed")

    for term in ("ms_ssim", "gradient_loss", "focal_frequency_loss", "feature_matching_loss"):
        monkeypatch.setattr(autoencoder_room, term, never)
    objective = vae(ms_ssim_weight=0, gradient_weight=0, focal_frequency_weight=0, feature_matching_weight=0)
    _, report = objective.phases[0](IMAGES, Clock(0, 100, 0), {})
    assert {"reconstruction", "kl", "adversarial"} <= set(report)
    for weight in ("ms_ssim_weight", "gradient_weight", "focal_frequency_weight", "feature_matching_weight"):
        with pytest.raises(AssertionError, match="computed"):
            vae(**{w: 0 for w in objective.settings.model_fields_set if w != weight}).phases[0](
                IMAGES, Clock(0, 100, 0), {}
            )
    off = vae(perceptual_weight=0, adv_weight=0)
    assert set(off.phases[0](IMAGES, Clock(0, 100, 0), {})[1]) == {"reconstruction", "kl", "kl_per_element"}
    assert [set(o.models) for o in (off, OBJECTIVES["pix2pix plain"][0]())] == [
        {"autoencoder"},
        {"translator"},
    ]


def test_weights_weigh_and_the_kl_is_told_whole_and_per_element():
    _, report = vae(adv_weight=0, perceptual_weight=0).phases[0](IMAGES, Clock(0, 0, 0), {})
    loss, _ = vae(adv_weight=0, perceptual_weight=0, kl_weight=0.25).phases[0](IMAGES, Clock(0, 0, 0), {})
    assert loss.item() == pytest.approx((report["reconstruction"] + 0.25 * report["kl"]).item())
    assert report["kl_per_element"].item() == pytest.approx(report["kl"].item() / (2 * 8 * 8))


def test_the_discriminator_waits_for_its_epoch():
    objective = vae(adv_from_epoch=2)
    _, discriminator = objective.phases
    assert [discriminator.is_active(Clock(0, epoch, 0)) for epoch in range(4)] == [False, False, True, True]
    for epoch in (1, 2):
        _, report = objective.phases[0](IMAGES, Clock(0, epoch, 0), {})
        assert ("adversarial" in report) is (epoch == 2)


def test_what_was_used_as_perceptual_loss_is_recorded():
    assert vae().facts()["perceptual"] == "structure"
    assert vae(perceptual_weight=0).facts()["perceptual"] == "none"


def test_the_autoencoder_has_no_part_in_latent_training(monkeypatch):
    objective = ldm()

    def never(*args, **kwargs):
        raise AssertionError("the autoencoder was called")

    for method in ("encode", "decode", "forward"):
        monkeypatch.setattr(Autoencoder, method, never)
    for phase in objective.phases:
        phase(LATENTS, Clock(0, 0, 0), {})
    objective.validate(LATENTS, 0)
    assert not any(p.requires_grad for p in objective.autoencoder.parameters())


@pytest.mark.parametrize("conditioning", ["concat", "cross_attention"])
def test_the_condition_counts(conditioning):
    objective = stirred(ldm(conditioning=conditioning))
    other = replace(LATENTS, fields={**LATENTS.fields, "condition_mu": -LATENTS["condition_mu"]})
    network = objective.models["denoiser"]
    z, t = LATENTS["target_mu"], torch.full((3,), 500.0)
    assert not torch.allclose(
        network(z, t, objective.condition(LATENTS)), network(z, t, objective.condition(other)), atol=1e-4
    )
