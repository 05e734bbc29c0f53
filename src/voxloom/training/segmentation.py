"""The segmentation objective: which classes each voxel of a patch belongs to, from what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field as Setting
from pydantic import model_validator
from torch import Tensor

from voxloom.component import Component
from voxloom.errors import DataError
from voxloom.label_colours import colour_of_label
from voxloom.loading import Batch
from voxloom.loading.bits import expand_bits
from voxloom.models import SegmenterConfig, build_model, settings_of
from voxloom.overlay import legend, overlaid
from voxloom.panels import panel
from voxloom.training.objective import Clock, Memory, Objective, Phase, PreviewRow, weighted_sum
from voxloom.training.partial_labels import (
    binary_cross_entropy,
    centred,
    counts,
    marginal_cross_entropy,
    soft_dice,
    weighted_mean,
)
from voxloom.transforms import PatchValues, generators_for

__all__ = ["SegmentationLoss", "SegmentationObjective", "SegmentationPatches"]

KNOWN = "_known"
"""Added to the name of a target: which of its classes are known, as the source of patches names it."""


class SegmentationLoss(Component):
    """Weights of the segmentation's loss terms."""

    exclusive: bool = False
    """Whether a voxel belongs to one class at most (softmax, with a background of its own); false: to
    any number of them (a sigmoid each)."""
    cross_entropy_weight: Annotated[float, Setting(ge=0)] = 1.0
    """Weight of the cross entropy."""
    dice_weight: Annotated[float, Setting(ge=0)] = 1.0
    """Weight of 1 - soft Dice."""
    class_weights: Mapping[str, Annotated[float, Setting(ge=0)]] = {}
    """Weight of classes in both terms, by name; a class that is not named counts 1."""
    positive_weights: Mapping[str, Annotated[float, Setting(ge=0)]] | Literal["balanced"] = {}
    """How often a voxel of a class counts in the cross entropy against one that is none, by name, others
    once; "balanced": absent over present voxels of the volumes to learn from, 100 at most."""
    dice_smooth: Annotated[float, Setting(gt=0)] = 1.0
    """Voxels added to overlap and extent in Dice. A class that is absent costs little only where its
    probabilities sum to much less than this; otherwise it costs about 1, with almost no gradient."""

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if not (self.cross_entropy_weight or self.dice_weight):
            raise ValueError(
                "cross_entropy_weight and dice_weight are both 0: nothing is left to learn. Set one above 0"
            )
        return self


class SegmentationPatches(Component):
    """The fields of a batch, and what they are about."""

    inputs: tuple[str, ...]
    """Images that the network sees, their channels one after the other."""
    target: str
    """Bits of the classes; this name with ``_known`` says which are known."""
    classes: tuple[str, ...]
    """Class k is bit k."""
    channels: int = 1
    """Of all inputs together."""
    dtypes: Mapping[str, str] = {}
    """Type of each image, as it is stored: what `values` scales."""
    channels_of: Mapping[str, int] = {}
    """Of each input."""
    volumes: Mapping[str, str] = {}
    """For each input the first one that shows the same volume in every dataset: itself, or another."""
    balance: Mapping[str, float] = {}
    """Absent over present voxels of each class, which "balanced" weights are."""
    values: PatchValues = PatchValues()
    """How the images' values are scaled and changed."""


class _Segmentation(Phase):
    name = "segmenter"

    def __init__(self, objective: SegmentationObjective) -> None:
        super().__init__()
        self.segmenter = objective.models["segmenter"]
        self._objective = [objective]

    def forward(self, batch: Batch, clock: Clock, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        (objective,) = self._objective
        number = objective.informed(batch).sum().clamp_min(1)  # the others cost 0
        found = objective.terms(self.segmenter(batch["image"]), batch)
        terms = {name: value.sum() / number for name, value in found.items()}
        return weighted_sum(terms, objective.weights), {name: v.detach() for name, v in terms.items()}


class SegmentationObjective(Objective):
    """Train a network to tell the classes of each voxel; what is unknown counts for nothing.

    Parameters
    ----------
    segmenter
        The network: a logit a class, and one before them for the background where classes exclude
        each other.
    settings
        The loss.
    patches
        What a batch holds.
    seed
        Of the initial weights.
    """

    main = "segmenter"

    def __init__(
        self,
        segmenter: SegmenterConfig,
        settings: SegmentationLoss,
        patches: SegmentationPatches,
        *,
        seed: int,
    ) -> None:
        self.settings, self.patches = settings, patches
        self.positive_weights = patches.balance
        if settings.positive_weights != "balanced":
            self.positive_weights = settings.positive_weights
        self.weights = {"cross_entropy": settings.cross_entropy_weight, "dice_loss": settings.dice_weight}
        self.models = {"segmenter": build_model(segmenter, seed=seed)}
        self.configs = {"segmenter": settings_of(segmenter)}
        self.scaling = patches.values.scaling()
        self.augmenting = patches.values.training(dims=segmenter.spatial_dims)
        self.phases = [_Segmentation(self)]

    def prepare(self, batch: Batch, seed: int, *, training: bool) -> Batch:
        """Return a batch with the scaled inputs side by side as ``image``; bits stay integers."""
        values, generators = (self.augmenting if training else self.scaling), None
        images = []
        for name in self.patches.inputs:
            if training:
                generators = generators_for(
                    seed, "values", name, epoch=batch.epoch, indices=batch.indices, device=batch[name].device
                )
            images.append(values(batch[name], generators))
        kept = {name: batch[name] for name in (self.patches.target, self.patches.target + KNOWN)}
        return batch.with_fields({"image": torch.cat(images, dim=1), **kept})

    def labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return where each class is positive and where it is known, bool (B, classes, S)."""
        number, target = len(self.patches.classes), self.patches.target
        positive, known = (expand_bits(batch[name], number) for name in (target, target + KNOWN))
        if self.settings.exclusive:
            known = known | positive.any(1, keepdim=True)  # where one is, the others are not
        return positive, known

    def informed(self, batch: Batch) -> Tensor:
        """Return whether any class is known anywhere in each sample, bool (B,)."""
        target = self.patches.target
        known = batch[target + KNOWN].flatten(1).any(1)
        return known | batch[target].flatten(1).any(1) if self.settings.exclusive else known

    def terms(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return each term whose weight is not 0, (B,): one value a sample."""
        positive, known = self.labels(batch)
        logits = centred(logits, positive.shape[2:])
        wanted = [name for name, weight in self.weights.items() if weight]
        made = {"cross_entropy": self._cross_entropy, "dice_loss": self._dice}
        return {name: made[name](logits, positive, known) for name in wanted}

    def _cross_entropy(self, logits: Tensor, positive: Tensor, known: Tensor) -> Tensor:
        weights = self._by_class(self.settings.class_weights, logits.device)
        positives = self._by_class(self.positive_weights, logits.device)
        if self.settings.exclusive:
            return marginal_cross_entropy(logits, positive, known, weights * positives)
        losses = binary_cross_entropy(logits, positive, known, positives)
        return weighted_mean(losses, known.flatten(2).any(2), weights)

    def _dice(self, logits: Tensor, positive: Tensor, known: Tensor) -> Tensor:
        losses = soft_dice(self.probabilities(logits), positive, known, smooth=self.settings.dice_smooth)
        weights = self._by_class(self.settings.class_weights, logits.device)
        return weighted_mean(losses, known.flatten(2).any(2), weights)

    def _by_class(self, weights: Mapping[str, float], device: torch.device) -> Tensor:
        return torch.tensor([weights.get(name, 1.0) for name in self.patches.classes], device=device)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability of each class, (B, classes, S): without the background."""
        return logits.softmax(1)[:, 1:] if self.settings.exclusive else logits.sigmoid()

    def decided(self, logits: Tensor) -> Tensor:
        """Return which classes are predicted, bool (B, classes, S)."""
        if not self.settings.exclusive:
            return logits > 0
        numbers = torch.arange(1, logits.shape[1], device=logits.device)
        best: Tensor = logits.argmax(1, keepdim=True) == numbers.view(-1, *(1,) * (logits.ndim - 2))
        return best

    def validate(self, batch: Batch, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is drawn
        """Return the loss, whether anything is known, and the counts of each class, of each sample."""
        positive, known = self.labels(batch)
        logits = centred(self.models["segmenter"](batch["image"]), positive.shape[2:])
        terms = self.terms(logits, batch)
        found = counts(self.decided(logits), positive, known)
        loss = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum(0)
        values = {"loss": loss, **terms, "informed": self.informed(batch).double()}
        for k, name in enumerate(self.patches.classes):
            values |= {f"{what}/{name}": number[:, k] for what, number in found.items()}
        return values

    def concluded(self, means: dict[str, float]) -> dict[str, float]:
        """Return loss, Dice and IoU of each class and their mean, over all known voxels together.

        A class that is neither there nor predicted has none.

        Raises
        ------
        DataError
            When nothing at all is known.
        """
        informed = means["informed"]
        if not informed:
            raise DataError(
                f"no class of {', '.join(self.patches.classes)} is known in any validation patch: "
                "expected some. Take validation volumes where they are annotated; VolumeSplit.verify() lists "
                "what is."
            )
        told = {name: means[name] / informed for name in ("loss", *self.weights) if name in means}
        scores: dict[str, dict[str, float]] = {"dice": {}, "iou": {}}
        for name in self.patches.classes:
            both, total = means[f"both/{name}"], means[f"predicted/{name}"] + means[f"present/{name}"]
            if total:
                scores["dice"][name] = 2 * both / total
                scores["iou"][name] = both / (total - both)
        for score, values in scores.items():
            told |= {f"{score}/{name}": value for name, value in values.items()}
            told[score] = sum(values.values()) / max(1, len(values))
        return told

    def preview(self, batch: Batch, seed: int) -> list[PreviewRow]:  # noqa: ARG002
        """Return image | labels | prediction of the section of each sample with most labels in it.

        Where nothing is known, the image under the labels is darker.
        """
        positive, known = self.labels(batch)
        logits = self.models["segmenter"](batch["image"])
        size = positive.shape[2:]
        shown = (centred(batch["image"][:, :1], size), positive, known, self.decided(centred(logits, size)))
        return [self._row(*(_array(tensor[i]) for tensor in shown)) for i in range(len(batch))]

    def _row(self, *volumes: np.ndarray[Any, Any]) -> PreviewRow:
        place = _fullest(volumes[1])
        image, labels, known, predicted = (
            volume[:, place] if volume.ndim == 4 else volume for volume in volumes
        )
        return [
            ("image", image[0]),
            ("labels", overlaid(image[0], labels, self._colours, dimmed=np.logical_not(known.any(0)))),
            ("prediction", overlaid(image[0], predicted, self._colours)),
        ]

    def picture(self, row: PreviewRow) -> np.ndarray[Any, Any]:
        """Return a row side by side, each class in the colour that a label image has for it."""
        drawn = panel(row, difference=False)
        return np.concatenate([drawn, legend(self.patches.classes, self._colours, drawn.shape[1])])

    @property
    def _colours(self) -> list[tuple[int, int, int]]:
        return [colour_of_label(k + 1) for k in range(len(self.patches.classes))]

    def facts(self) -> dict[str, Any]:
        """Return what a prediction needs: classes, whether they exclude each other, how values are scaled."""
        return {
            "classes": list(self.patches.classes),
            "exclusive": self.settings.exclusive,
            "inputs": list(self.patches.inputs),
            "dtypes": dict(self.patches.dtypes),
            "channels_of": dict(self.patches.channels_of),
            "volumes": dict(self.patches.volumes),
            "values": self.patches.values.model_dump(mode="json"),
        }


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    return array


def _fullest(labels: np.ndarray[Any, Any]) -> int:
    """Return the place along z of the section with most labels; the middle one where none has more."""
    if labels.ndim == 3:
        return 0
    filled = labels.sum((0, 2, 3))
    middle = len(filled) // 2
    return middle if filled[middle] == filled.max() else int(filled.argmax())
