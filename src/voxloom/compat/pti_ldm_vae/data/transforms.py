"""The older transforms, over ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from voxloom.sample import Field, Sample, Schema
from voxloom.transforms import Augment, ForegroundNormalize, on_array

__all__ = ["ApplyLocalNormd", "LocalNormalizeByMask", "ToTuple", "get_albumentations_transform"]

Image = npt.NDArray[Any] | Tensor


class LocalNormalizeByMask:
    """Give the non-zero pixels of an image mean 0 and deviation 1; background stays exactly 0.

    Examples
    --------
    >>> LocalNormalizeByMask()(np.array([[0, 2, 4]])).tolist()
    [[0.0, -1.0, 1.0]]
    """

    def __call__(self, img: Image) -> npt.NDArray[np.float32]:
        """Return float32 values of the same shape.

        Parameters
        ----------
        img
            (H, W) or (C, H, W), all channels normalised together.

        Raises
        ------
        DataError
            On NaN or infinite pixels.
        """
        array = img.detach().cpu().numpy() if isinstance(img, Tensor) else np.asarray(img)
        normalized: npt.NDArray[np.float32] = on_array(ForegroundNormalize())(array)
        return normalized


class ApplyLocalNormd:
    """`LocalNormalizeByMask` on some entries of a dict, which become tensors.

    Examples
    --------
    >>> ApplyLocalNormd(["image"])({"image": np.array([[0, 2, 4]]), "name": "a"})
    {'image': tensor([[ 0., -1.,  1.]]), 'name': 'a'}
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        self._normalize = LocalNormalizeByMask()

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Replace the entries in `data` itself, and return it; a missing key is a KeyError."""
        for key in self.keys:
            data[key] = torch.from_numpy(self._normalize(data[key]))
        return data


class ToTuple:
    """Entries of a dict as a tuple, in the order of the keys.

    Examples
    --------
    >>> ToTuple(["target", "condition"])({"condition": 1, "target": 2})
    (2, 1)
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)

    def __call__(self, data: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the entries."""
        return tuple(data[key] for key in self.keys)


def get_albumentations_transform(seed: int | None = None) -> Callable[..., dict[str, npt.NDArray[Any]]]:
    """Return the paired augmentation, called as albumentations is: by keyword, arrays in, a dict out.

    It is voxloom's `Augment`; albumentations is not needed.

    Parameters
    ----------
    seed
        Of all draws; None for another one each time.

    Examples
    --------
    >>> augment = get_albumentations_transform(seed=0)
    >>> moved = augment(image=np.eye(8, dtype=np.float32), condition_image=np.eye(8, dtype=np.float32))
    >>> sorted(moved), bool((moved["image"] == moved["condition_image"]).all())
    (['condition_image', 'image'], True)
    """
    return _KeywordAugment(np.random.default_rng(seed))


class _KeywordAugment:
    def __init__(self, rng: np.random.Generator) -> None:
        self._augment = Augment()
        self._rng = rng

    def __call__(self, **images: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Move images (H, W) or (H, W, C) alike."""
        schema = Schema([Field(name=name) for name in images])
        arrays = {name: np.atleast_3d(image).transpose(2, 0, 1) for name, image in images.items()}
        moved = self._augment(Sample("", schema, arrays), self._rng)
        return {name: moved[name].transpose(1, 2, 0).reshape(image.shape) for name, image in images.items()}
