"""How training goes, whatever is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.training.optim import LearningRate

__all__ = ["ImageTrainSettings", "TrainSettings"]

Positive = Annotated[int, Setting(gt=0)]


class TrainSettings(Component):
    """How training goes, whatever is trained."""

    batch_size: Positive = 8
    """Samples in a batch of one process."""
    lr: Annotated[float, Setting(gt=0)] = 2.5e-5
    """Learning rate of Adam."""
    scale_lr: bool = False
    """Multiply the learning rate by the number of processes."""
    max_epochs: Positive = 100
    """Passes over the training images."""
    val_interval: Positive = 1
    """Epochs between two validations; a checkpoint is saved after each."""
    accumulate: Positive = 1
    """Batches whose gradients are added up before a step."""
    clip_norm: Annotated[float, Setting(gt=0)] | None = 1.0
    """Largest norm of a phase's gradient; larger ones are scaled down. None: no limit."""
    ema_decay: Annotated[float, Setting(ge=0, lt=1)] = 0.0
    """Decay of the averaged weights that validate and predict; 0 uses the weights themselves."""
    schedule: LearningRate = LearningRate()
    """Course of the learning rate."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the networks under autocast; weights, losses and noise stay in fp32."""
    channels_last: bool = False
    """Keep images with the channels innermost in memory, which convolutions on GPUs prefer."""
    compile: bool = False
    """Compile the networks with torch.compile: slow to start, faster to run."""
    log_every: Positive = 10
    """Steps between two reports; losses are checked to be finite at each."""
    preview_every: Positive = 1
    """Validations between two previews."""
    preview_samples: Positive = 4
    """Samples in a preview."""
    keep: Annotated[int, Setting(ge=0)] = 0
    """Checkpoints of past validations that are kept, beside last, best and final."""


class ImageTrainSettings(TrainSettings):
    """How training on images goes, which are brought to one size."""

    patch_size: Annotated[tuple[Positive, ...], Setting(min_length=2, max_length=3)] = (256, 256)
    """Height and width that images are resized to, in pixels. Of volumes, voxels of a patch that is cut:
    two for a plane, or depth, height and width for a VAE of spatial_dims 3."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width.

        Raises
        ------
        ConfigError
            If there is a depth.
        """
        if len(self.patch_size) != 2:
            raise ConfigError(
                f"patch_size {list(self.patch_size)}: expected height and width. Three numbers are for a VAE "
                "(spatial_dims 3) on volumes: name one as data_base_dir, or a volume_data.split."
            )
        height, width = self.patch_size
        return height, width
