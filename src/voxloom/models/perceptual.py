"""A perceptual distance from local weights: LPIPS-type, optional, and never a download.

Shapes: B batch, C channels (1 or 3), H, W of the images, in 3D D planes of them; L layers compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from voxloom.component import Component
from voxloom.errors import CheckpointError, MissingDataError, SchemaError
from voxloom.models.weights import differences, read_tensors

__all__ = ["PerceptualConfig", "PerceptualDistance"]

Backbone = Literal["squeezenet1_1", "vgg16"]

# What LPIPS subtracts and divides by: ImageNet's statistics for images in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class PerceptualConfig(Component):
    """Settings of `PerceptualDistance`.

    Examples
    --------
    >>> PerceptualConfig(weights="vgg16.pth", backbone="vgg16").backbone
    'vgg16'
    """

    weights: Path
    """State dict of the backbone as torchvision publishes it (.pth or .safetensors), on this machine."""
    backbone: Backbone = "squeezenet1_1"
    """Which network the weights are of."""
    linear: Path | None = None
    """LPIPS weights of the layers' channels (lin0.model.1.weight and so on); None: all count alike."""

    def build(self) -> PerceptualDistance:
        """Read the weights and build the network.

        Raises
        ------
        MissingDataError
            When a file is not there.
        CheckpointError
            When a file does not hold the weights of the backbone.
        """
        return PerceptualDistance(self)


class PerceptualDistance(nn.Module):
    """Distance between images in the features of a frozen network (Zhang et al. 2018, eq. 1).

    Images may be z-scored or in [-1, 1]: they are taken as they are, and the same shift and scale
    are applied as for images in [-1, 1]. A single channel is repeated to three. Of 3D images each plane
    across the first axis is compared, and the mean is taken: the networks know planes alone.

    Parameters
    ----------
    config
        Its settings.

    Raises
    ------
    MissingDataError
        When a file is not there.
    CheckpointError
        When a file does not hold the weights of the backbone.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "squeezenet1_1.pth"  # random here: in use, torchvision's file
    >>> torch.save(squeezenet_features().state_dict(prefix="features."), path)
    >>> distance = PerceptualConfig(weights=path).build()
    >>> image = torch.rand(2, 1, 32, 32)
    >>> distance(image, image).tolist()
    [0.0, 0.0]
    """

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__()
        self.config = config
        build, self.stops, widths = _BACKBONES[config.backbone]
        self.features = build()
        _load_features(self.features, config)
        self.linear = nn.ParameterList(_linear(config.linear, widths))
        self.shift: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, a_BCHW: torch.Tensor, b_BCHW: torch.Tensor) -> torch.Tensor:
        """Return one distance a pair, float32 (B,), at least 0; gradients reach both images.

        Raises
        ------
        SchemaError
            When the images differ in shape, or have neither 1 nor 3 channels.
        """
        if a_BCHW.shape != b_BCHW.shape or a_BCHW.shape[1] not in (1, 3):
            raise SchemaError(
                f"a perceptual distance of images {tuple(a_BCHW.shape)} and {tuple(b_BCHW.shape)}: expected "
                "the same shape (B, 1 or 3, H, W) or (B, 1 or 3, D, H, W). Compare other channels one at a "
                "time."
            )
        if a_BCHW.ndim == 5:
            of_planes: torch.Tensor = self(_planes(a_BCHW), _planes(b_BCHW))
            return of_planes.view(len(a_BCHW), -1).mean(1)
        total = torch.zeros(len(a_BCHW), device=a_BCHW.device)
        layers = zip(self._layers(a_BCHW), self._layers(b_BCHW), self.linear, strict=True)
        for a, b, weight in layers:
            total = total + (weight * (a - b).square()).sum(1).mean((1, 2))
        return total

    def pooled(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return one vector an image, float32 (B, D): the deepest features that are compared, their mean."""
        return self._layers(x_BCHW)[-1].mean((2, 3))

    @property
    def width(self) -> int:
        """Length D of the vectors of `pooled`."""
        return int(self.linear[-1].numel())

    def _layers(self, x_BCHW: torch.Tensor) -> list[torch.Tensor]:
        x = (x_BCHW.expand(-1, 3, -1, -1) - self.shift) / self.scale
        layers = []
        for index, module in enumerate(self.features):
            x = module(x)
            if index in self.stops:
                layers.append(_unit_length(x.float()))
        return layers


def squeezenet_features() -> nn.Sequential:
    """Return the feature layers of SqueezeNet 1.1 (Iandola et al. 2016), named as torchvision names them.

    Examples
    --------
    >>> sum(p.numel() for p in squeezenet_features().parameters())
    722496
    """
    fires = {
        3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
        9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256),
    }  # fmt: skip
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()]
    for index in range(2, 13):
        pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        layers.append(_Fire(*fires[index]) if index in fires else pool)
    return nn.Sequential(*layers)


def vgg_features() -> nn.Sequential:
    """Return the feature layers of VGG-16 (Simonyan & Zisserman 2015), named as torchvision names them.

    Examples
    --------
    >>> with torch.device("meta"):
    ...     sum(p.numel() for p in vgg_features().parameters())
    14714688
    """
    layers: list[nn.Module] = []
    entering = 3
    for leaving, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(entering, leaving, 3, padding=1), nn.ReLU()]
            entering = leaving
        layers.append(nn.MaxPool2d(2, stride=2))
    return nn.Sequential(*layers)


class _Fire(nn.Module):
    def __init__(self, entering: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(entering, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


# How to build it, after which layers to compare, and the channels there (those that LPIPS compares).
_BACKBONES = {
    "squeezenet1_1": (squeezenet_features, (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512)),
    "vgg16": (vgg_features, (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
}


def _planes(x_BCDHW: torch.Tensor) -> torch.Tensor:
    """Return (B * D, C, H, W)."""
    return x_BCDHW.transpose(1, 2).flatten(0, 1)


def _unit_length(x_BCHW: torch.Tensor) -> torch.Tensor:
    # inside the root, or the gradient of a place where all features are 0 would be NaN
    return x_BCHW / (x_BCHW.square().sum(1, keepdim=True) + 1e-10).sqrt()


def _load_features(features: nn.Module, config: PerceptualConfig) -> None:
    tensors = _read(config.weights, f"{config.backbone} weights")
    ours = {k.removeprefix("features."): v for k, v in tensors.items() if k.startswith("features.")}
    problems = differences(ours, features.state_dict())
    if problems:
        raise CheckpointError(
            f"{config.weights} does not hold the weights of {config.backbone}: {problems} Expected "
            f"torchvision's state dict of {config.backbone}. Name that file, or the backbone it is of."
        )
    features.load_state_dict(ours)


def _linear(path: Path | None, widths: tuple[int, ...]) -> list[torch.Tensor]:
    if path is None:
        return [torch.ones(1, width, 1, 1) for width in widths]
    tensors = _read(path, "LPIPS weights")
    names = [f"lin{index}.model.1.weight" for index in range(len(widths))]
    shapes = [tuple(tensors[name].shape) if name in tensors else None for name in names]
    if shapes != [(1, width, 1, 1) for width in widths]:
        raise CheckpointError(
            f"{path} does not hold LPIPS weights for this backbone: {names[0]} to {names[-1]} have shapes "
            f"{shapes}, expected (1, channels, 1, 1) with channels {widths}. Name the file of that backbone."
        )
    return [tensors[name].float() for name in names]


def _read(path: Path, what: str) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise MissingDataError(
            f"no {what} at {path}: expected a file that you have downloaded. voxloom never downloads "
            "weights, and its default losses need none: leave the perceptual distance out, or name the file."
        )
    return read_tensors(path)
