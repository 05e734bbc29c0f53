"""What a configuration may say. The keys of the older systems' files keep their names and places."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.component import Component
from voxloom.config.patches import SegmentationData
from voxloom.config.volumes import VolumeData
from voxloom.diffusion import DiffusionProcess, FlowProcess, solver_for
from voxloom.models import (
    AutoencoderConfig,
    DenoiserConfig,
    DiscriminatorConfig,
    SegmenterConfig,
    SegmenterDef,
    UNetConfig,
)
from voxloom.models.segmenter import check_size
from voxloom.registry import did_you_mean
from voxloom.sources import Layout
from voxloom.training.autoencoder import AutoencoderLoss
from voxloom.training.pix2pix import Pix2PixLoss
from voxloom.training.regression import RegressionLoss
from voxloom.training.segmentation import SegmentationLoss
from voxloom.training.settings import ImageTrainSettings, TrainSettings
from voxloom.training.tracking import TRACKERS
from voxloom.transforms import Augment, Preparation

__all__ = ["TASKS", "Config", "Sampling", "Task"]

Task = Literal["vae", "ldm", "regression", "pix2pix", "segmentation"]

TASKS: dict[Task, str] = {
    "vae": "autoencoder_train",
    "ldm": "diffusion_train",
    "regression": "regression_train",
    "pix2pix": "pix2pix_train",
    "segmentation": "segmentation_train",
}
"""Each task, and the section of its training settings."""


_LATENT = (
    *("autoencoder_path", "latent_cache_dir", "process", "NoiseScheduler", "flow", "scale_factor"),
    *("diffusion_def", "diffusion_train", "sampling"),
)
_ON_IMAGES: tuple[Task, ...] = ("vae", "ldm", "regression", "pix2pix")
_OF_IMAGES = (
    "volume_data",
    "preparation",
    "augment",
    "cache_rate",
    "spatial_dims",
    "image_channels",
    "latent_channels",
)
_SECTIONS: dict[str, tuple[Task, ...]] = {
    **dict.fromkeys((*Layout.model_fields, *_OF_IMAGES), _ON_IMAGES),
    "autoencoder_def": ("vae",),
    "autoencoder_train": ("vae",),
    "discriminator_def": ("vae", "pix2pix"),
    "translator_def": ("regression", "pix2pix"),
    "regression_train": ("regression",),
    "pix2pix_train": ("pix2pix",),
    **dict.fromkeys(_LATENT, ("ldm",)),
    **dict.fromkeys(("segmentation_data", "segmenter_def", "segmentation_train"), ("segmentation",)),
}


class AutoencoderTrain(ImageTrainSettings, AutoencoderLoss):
    """How the VAE is trained."""

    lr: Annotated[float, Setting(gt=0)] = 2.5e-5
    """Learning rate of Adam, for the autoencoder and the discriminator alike."""


class DiffusionTrain(ImageTrainSettings):
    """How the latent model is trained."""

    lr: Annotated[float, Setting(gt=0)] = 1e-5
    """Learning rate of Adam."""
    max_epochs: Annotated[int, Setting(gt=0)] = 51
    """Passes over the training pairs."""
    val_interval: Annotated[int, Setting(gt=0)] = 2
    """Epochs between two validations."""
    ema_decay: Annotated[float, Setting(ge=0, lt=1)] = 0.999
    """Decay of the averaged weights that validate and predict; 0 uses the weights themselves."""
    lr_scheduler_milestones: tuple[int, ...] = ()
    """Epochs at which the learning rate is divided by 10; short for a ``multistep`` schedule."""
    augment_variants: Annotated[int, Setting(gt=0)] = 4
    """Augmented copies of each pair whose latents are kept, where `augment` is on: latents are
    encoded once, so each epoch takes one of these at random."""

    @model_validator(mode="before")
    @classmethod
    def _milestones_are_a_schedule(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("lr_scheduler_milestones"):
            return values
        meant = {"schedule": "multistep", "milestones": values["lr_scheduler_milestones"]}
        return {**values, "schedule": values.get("schedule") or meant}


class RegressionTrain(ImageTrainSettings, RegressionLoss):
    """How the direct translator is trained."""

    lr: Annotated[float, Setting(gt=0)] = 2e-4
    """Learning rate of Adam."""


class Pix2PixTrain(ImageTrainSettings, Pix2PixLoss):
    """How pix2pix is trained."""

    lr: Annotated[float, Setting(gt=0)] = 2e-4
    """Learning rate of Adam, for translator and discriminator alike."""


class SegmentationTrain(TrainSettings, SegmentationLoss):
    """How the segmenter is trained."""

    batch_size: Annotated[int, Setting(gt=0)] = 2
    """Patches in a batch of one process."""
    lr: Annotated[float, Setting(gt=0)] = 1e-3
    """Learning rate of Adam."""


class Sampling(Component):
    """How translations are generated, for previews and as the default of a prediction."""

    solver: str | None = None
    """Name of the solver; None takes the process's own: dpmpp_2m for ddpm, euler for flow."""
    steps: Annotated[int, Setting(gt=0)] = 20
    """Steps of the solver: evaluations of the network, of which ``heun`` takes two a step."""


class Config(Layout):
    """Everything that a run depends on. One file may serve several tasks.

    Sections ``vae``, ``ldm``, ``regression`` and ``pix2pix`` of a file hold values for that task
    alone; they are merged over the rest before this schema sees them.
    """

    run_dir: Path = Path("runs/run")
    """Folder of the run: checkpoints, metrics, previews."""
    resume_ckpt: bool = False
    """Go on from the run's last checkpoint, or from `checkpoint_dir`."""
    checkpoint_dir: str = ""
    """A checkpoint file or a run folder to resume from; empty takes the run's own."""
    seed: int = 42
    """From which split, order, noise and augmentation derive."""
    num_workers: Annotated[int, Setting(ge=0)] = 4
    """Processes that read ahead."""
    cache_rate: Annotated[float, Setting(ge=0, le=1)] = 0.0
    """Share of the prepared training images that stays in memory."""
    gpus: Annotated[int, Setting(gt=0)] = 1
    """Processes to train with; each takes a GPU where there are any."""
    device: str | None = None
    """Device to compute on, for instance ``cpu``; None takes a GPU where there is one."""
    trackers: tuple[str, ...] = ("jsonl", "previews", "tensorboard")
    """Who watches the run."""
    preparation: Preparation = Preparation()
    """Resizing and normalisation."""
    augment: bool | Augment = False
    """Random flips, rotations, shifts, zooms and bends of the training images."""

    volume_data: VolumeData = VolumeData()
    """Patches of volumes, where `data_base_dir` names an OME-Zarr or N5, or a split names many."""
    spatial_dims: Literal[2, 3] = 2
    """Number of spatial axes; 3 is for a VAE on volumes."""
    image_channels: Literal[1] = 1
    """Channels of an image."""
    latent_channels: Annotated[int, Setting(gt=0)] = 4
    """Channels of a latent."""
    autoencoder_def: AutoencoderConfig = AutoencoderConfig()
    """The VAE."""
    discriminator_def: DiscriminatorConfig = DiscriminatorConfig()
    """The patch discriminator of the VAE and of pix2pix."""
    autoencoder_train: AutoencoderTrain = AutoencoderTrain()
    """Training of the VAE."""

    autoencoder_path: Path | None = None
    """The VAE that the latent model works with: a checkpoint, or weights alone."""
    latent_cache_dir: Path | None = None
    """Where latents are kept; None takes ``latents`` beside the run's folder."""
    process: Literal["ddpm", "flow"] = "ddpm"
    """How a latent becomes another: denoising diffusion, or a rectified flow."""
    NoiseScheduler: DiffusionProcess = DiffusionProcess()
    """The process ``ddpm``."""
    flow: FlowProcess = FlowProcess()
    """The process ``flow``."""
    scale_factor: Annotated[float, Setting(gt=0)] | None = None
    """One factor on all latents, as older checkpoints have it; None measures each channel."""
    diffusion_def: DenoiserConfig = DenoiserConfig()
    """The latent model's network."""
    diffusion_train: DiffusionTrain = DiffusionTrain()
    """Training of the latent model."""
    sampling: Sampling = Sampling()
    """Solver and steps of previews and predictions."""

    translator_def: UNetConfig = UNetConfig()
    """The direct translators' network."""
    regression_train: RegressionTrain = RegressionTrain()
    """Training of the regression."""
    pix2pix_train: Pix2PixTrain = Pix2PixTrain()
    """Training of pix2pix."""

    segmentation_data: SegmentationData | None = None
    """Volumes, patches and classes of the segmentation; it needs no other data."""
    segmenter_def: SegmenterDef = SegmenterDef()
    """The segmentation's network; its axes, channels and logits follow from `segmentation_data`."""
    segmentation_train: SegmentationTrain = SegmentationTrain()
    """Training of the segmentation."""

    @model_validator(mode="after")
    def _segmenter_fits(self) -> Self:
        """Found now, not after the volumes are opened."""
        data = self.segmentation_data
        if data is None:
            return self
        names = data.classes.names
        loss = self.segmentation_train
        weighted = [
            *loss.class_weights,
            *(() if loss.positive_weights == "balanced" else loss.positive_weights),
        ]
        unknown = [name for name in weighted if name not in names]
        if unknown:
            raise ValueError(
                f"weights in segmentation_train: no class {unknown[0]!r}. Classes: {', '.join(names)}."
                f"{did_you_mean(unknown[0], names)}"
            )
        check_size(self.segmenter(channels=1), data.size)
        return self

    @model_validator(mode="before")
    @classmethod
    def _share_channels(cls, values: Any) -> Any:
        """Hand channels and axes down to the networks that do not state their own."""
        if not isinstance(values, dict):
            return values
        latent, dims = values.get("latent_channels", 4), values.get("spatial_dims", 2)
        shared = {
            "autoencoder_def": {"latent_channels": latent, "spatial_dims": dims},
            "discriminator_def": {"spatial_dims": dims},
            "diffusion_def": {
                "in_channels": latent,
                "out_channels": latent,
                "condition_channels": latent,
            },
        }
        return {**values, **{name: _with(values.get(name, {}), counts) for name, counts in shared.items()}}

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        said = {
            "latent_channels": self.latent_channels,
            "autoencoder_def.latent_channels": self.autoencoder_def.latent_channels,
            "diffusion_def.in_channels": self.diffusion_def.in_channels,
            "diffusion_def.out_channels": self.diffusion_def.out_channels,
        }
        if len(set(said.values())) > 1:
            raise ValueError(
                f"the latent's channels differ: {said}; expected one number. Set latent_channels alone"
            )
        return self

    @model_validator(mode="after")
    def _axes_agree(self) -> Self:
        said = {
            "autoencoder_def.spatial_dims": self.autoencoder_def.spatial_dims,
            "discriminator_def.spatial_dims": self.discriminator_def.spatial_dims,
            "numbers of autoencoder_train.patch_size": len(self.autoencoder_train.patch_size),
        }
        if wrong := {name: n for name, n in said.items() if n != self.spatial_dims}:
            raise ValueError(
                f"spatial_dims {self.spatial_dims}, but {wrong}; expected the same. Set spatial_dims and "
                "patch_size, and leave the rest out"
            )
        return self

    @model_validator(mode="after")
    def _has_condition(self) -> Self:
        if self.diffusion_def.conditioning == "none":
            raise ValueError(
                "diffusion_def.conditioning 'none': a translation needs its condition. Use 'concat'"
            )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        """Found now, not when the first epoch is over."""
        for name in self.trackers:
            if name not in TRACKERS:
                raise ValueError(
                    f"unknown tracker {name!r}. Known: {', '.join(TRACKERS)}.{did_you_mean(name, TRACKERS)}"
                )
        solver_for(self.sampling.solver, self.NoiseScheduler if self.process == "ddpm" else self.flow)
        return self

    @property
    def layout(self) -> Layout:
        """Where the data lies and how it is split."""
        return Layout(**{name: getattr(self, name) for name in Layout.model_fields})

    def settings(self, task: Task) -> TrainSettings:
        """Return the training settings of a task."""
        settings: TrainSettings = getattr(self, TASKS[task])
        return settings

    def segmenter(self, *, channels: int) -> SegmenterConfig:
        """Return the segmentation's network for inputs of so many channels together."""
        data = self.segmentation_data
        assert data is not None
        logits = len(data.classes.names) + self.segmentation_train.exclusive
        return self.segmenter_def.config(spatial_dims=data.dims, in_channels=channels, out_channels=logits)

    def shown(self, task: Task) -> dict[str, Any]:
        """Return as plain values what counts for a task: without the sections of the others."""
        others = {name for name, tasks in _SECTIONS.items() if task not in tasks}
        return self.model_dump(mode="json", exclude=others)

    @property
    def augmentation(self) -> Augment | None:
        """The augmentation, if there is any."""
        if isinstance(self.augment, Augment):
            return self.augment
        return Augment() if self.augment else None


def _with(own: Any, shared: dict[str, Any]) -> Any:
    """Add to a network's settings what they do not state; what is no settings is left to be refused."""
    if isinstance(own, Component):
        own = own.model_dump()
    return {**shared, **own} if isinstance(own, dict) else own
