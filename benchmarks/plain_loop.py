"""The plain loop of `train_step.py`: MONAI's networks, losses and scheduler, as its tutorials go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[[], object]


def noise_images(stage: str, config: Any, device: Any) -> Any:
    import torch

    settings = config.settings(stage)
    return torch.randn(settings.batch_size, config.image_channels, *settings.patch_size).to(device)


def monai_autoencoder(config: Any) -> Any:
    from monai.networks.nets import AutoencoderKL

    settings = config.autoencoder_def.model_dump()
    settings["attention_levels"] = settings["attention_levels"] or (False,) * len(settings["channels"])
    return AutoencoderKL(**{**settings, "use_flash_attention": False})  # as the tutorials have it


def plain_vae(stage: str, config: Any, device: Any) -> Step:
    """Return a step of reconstruction, KL and adversarial loss, without perceptual terms."""
    import torch
    import torch.nn.functional as F
    from monai.losses.adversarial_loss import PatchAdversarialLoss
    from monai.networks.nets import PatchDiscriminator

    settings = config.settings(stage)
    autoencoder = monai_autoencoder(config).to(device)
    discriminator = PatchDiscriminator(**config.discriminator_def.model_dump()).to(device)
    adversarial = PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True)
    optimizer_g = torch.optim.Adam(autoencoder.parameters(), settings.lr)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), settings.lr)
    images = noise_images(stage, config, device)

    def step() -> None:
        optimizer_g.zero_grad(set_to_none=True)
        reconstruction, mu, sigma = autoencoder(images)
        kl = 0.5 * torch.sum(mu.pow(2) + sigma.pow(2) - torch.log(sigma.pow(2)) - 1, dim=[1, 2, 3])
        logits = discriminator(reconstruction.contiguous().float())[-1]
        loss = F.l1_loss(reconstruction.float(), images.float()) + settings.kl_weight * kl.mean()
        judged = adversarial(logits, target_is_real=True, for_discriminator=False)
        (loss + settings.adv_weight * judged).backward()
        optimizer_g.step()

        optimizer_d.zero_grad(set_to_none=True)
        fake = discriminator(reconstruction.contiguous().detach())[-1]
        real = discriminator(images.contiguous().detach())[-1]
        loss_fake = adversarial(fake, target_is_real=False, for_discriminator=True)
        loss_real = adversarial(real, target_is_real=True, for_discriminator=True)
        (settings.adv_weight * 0.5 * (loss_fake + loss_real)).backward()
        optimizer_d.step()

    return step


def plain_ldm(stage: str, config: Any, device: Any) -> Step:
    """Return a step of epsilon prediction that encodes both images first."""
    import torch
    import torch.nn.functional as F
    from monai.networks.schedulers import DDPMScheduler

    scheduler_settings = config.NoiseScheduler
    scheduler = DDPMScheduler(
        num_train_timesteps=scheduler_settings.num_train_timesteps,
        schedule="scaled_linear_beta",
        beta_start=scheduler_settings.beta_start,
        beta_end=scheduler_settings.beta_end,
    )
    autoencoder = monai_autoencoder(config).to(device).eval()
    attends = config.diffusion_def.conditioning == "cross_attention"
    unet, projector = (m.to(device) for m in _monai_denoiser(config, attends))
    optimizer = torch.optim.Adam([*unet.parameters(), *projector.parameters()], config.settings(stage).lr)
    target, condition = (noise_images(stage, config, device) for _ in range(2))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            z = autoencoder.encode_stage_2_inputs(target)
            given = autoencoder.encode_stage_2_inputs(condition)
        noise = torch.randn_like(z)
        t = torch.randint(0, scheduler.num_train_timesteps, (len(z),), device=z.device).long()
        noisy = scheduler.add_noise(original_samples=z, noise=noise, timesteps=t)
        if attends:
            tokens = projector(given.permute(0, 2, 3, 1).flatten(1, 2))
            predicted = unet(noisy, timesteps=t, context=tokens)
        else:
            predicted = unet(torch.cat([noisy, given], dim=1), timesteps=t)
        F.mse_loss(predicted.float(), noise.float()).backward()
        optimizer.step()

    return step


def _monai_denoiser(config: Any, attends: bool) -> tuple[Any, Any]:
    """Return MONAI's network and the linear map from the condition's channels to tokens."""
    from monai.networks.nets import DiffusionModelUNet
    from torch import nn

    settings = config.diffusion_def
    unet = DiffusionModelUNet(
        spatial_dims=2,
        in_channels=settings.in_channels + (0 if attends else settings.condition_channels),
        out_channels=settings.out_channels,
        channels=settings.channels,
        num_res_blocks=settings.num_res_blocks,
        attention_levels=settings.attention,
        num_head_channels=settings.num_head_channels,
        norm_num_groups=settings.norm_num_groups,
        with_conditioning=attends,
        cross_attention_dim=settings.cross_attention_dim if attends else None,
    )
    projector = nn.Linear(settings.condition_channels, settings.cross_attention_dim)
    return unet, projector if attends else nn.Identity()
