"""Normalisation of the values of images. Constants become zeros, and what is not finite is refused."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.errors import ConfigError, DataError
from voxloom.sample import Array, Sample
from voxloom.transforms.transform import Transform, chosen_fields, replaced

__all__ = ["ForegroundNormalize", "MinMaxNormalize", "PercentileNormalize", "RangeNormalize"]

Float32 = npt.NDArray[np.float32]
Percent = Annotated[float, Setting(ge=0, le=100)]

LEAST_STD = 1e-5
"""A foreground with a smaller deviation is constant: it is centred and not scaled."""


class ForegroundNormalize(Transform):
    """Give the non-zero pixels of each image mean 0 and deviation 1; pixels of exactly 0 stay 0.

    Mean and population deviation are taken over the foreground, all channels together. A deviation
    of `LEAST_STD` or less counts as 1.

    Raises
    ------
    DataError
        On NaN or infinite pixels, unless they are read as 0.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.array([[[0, 2, 4]]])})
    >>> after = ForegroundNormalize(keep_mask=True)(sample, np.random.default_rng())
    >>> after["image"].tolist(), after["image_mask"].tolist()
    ([[[0.0, -1.0, 1.0]]], [[[0, 1, 1]]])
    """

    name: Literal["foreground"] = "foreground"
    """Name in the table of transforms."""
    keep_mask: bool = False
    """Add a mask of the foreground, uint8 of 0 and 1, as field ``<name>_mask``: a normalised
    foreground crosses 0 and cannot be told from the background afterwards."""
    nonfinite: Literal["error", "zero"] = "error"
    """NaN and infinite pixels: refuse, or count them as background."""
    fields: tuple[str, ...] | None = None
    """Fields to normalise; None for all images."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with normalised images, float32."""
        names = chosen_fields(sample, ("image",), self.fields)
        given = {name: self._finite(sample, name) for name in names}
        result = replaced(sample, {name: _standardized(array) for name, array in given.items()})
        return self._with_masks(result, given) if self.keep_mask else result

    def _finite(self, sample: Sample, name: str) -> Array:
        if self.nonfinite == "error":
            return _finite(sample, name)
        array = sample[name]
        return np.where(np.isfinite(array), array, array.dtype.type(0))

    def _with_masks(self, sample: Sample, given: dict[str, Array]) -> Sample:
        masks = {f"{name}_mask": (array != 0).astype(np.uint8) for name, array in given.items()}
        like = [sample.schema[name] for name in given]
        schema = sample.schema.replace(
            *(
                field.model_copy(update={"name": name, "kind": "mask", "dtype": "uint8"})
                for field, name in zip(like, masks, strict=True)
            )
        )
        return sample.with_arrays(masks, schema)


class PercentileNormalize(Transform):
    """Map two percentiles of each image to 0 and 1, and clip what lies beyond.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.arange(5.0).reshape(1, 1, 5)})
    >>> PercentileNormalize(low=25, high=75)(sample, np.random.default_rng())["image"].tolist()
    [[[0.0, 0.0, 0.5, 1.0, 1.0]]]
    """

    name: Literal["percentile"] = "percentile"
    """Name in the table of transforms."""
    low: Percent = 0.5
    """Percentile that becomes 0."""
    high: Percent = 99.5
    """Percentile that becomes 1."""
    foreground: bool = False
    """Take the percentiles over the non-zero pixels alone, and keep the background at exactly 0."""
    fields: tuple[str, ...] | None = None
    """Fields to normalise; None for all images."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _refuse_unordered(self.low, self.high)
        return self

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with images in [0, 1], float32."""
        names = chosen_fields(sample, ("image",), self.fields)
        return replaced(sample, {name: self._scaled(_finite(sample, name)) for name in names})

    def _scaled(self, array: Array) -> Float32:
        counted = array[array != 0] if self.foreground else array
        if counted.size == 0:
            return np.zeros(array.shape, np.float32)
        low, high = np.percentile(counted.astype(np.float64), (self.low, self.high))
        scaled = np.clip(_between(array, low, high), 0, 1)
        return np.where(array == 0, np.float32(0), scaled) if self.foreground else scaled


class MinMaxNormalize(Transform):
    """Map the smallest value of each image to 0 and the largest to 1.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.array([[[-1, 0, 3]]])})
    >>> MinMaxNormalize()(sample, np.random.default_rng())["image"].tolist()
    [[[0.0, 0.25, 1.0]]]
    """

    name: Literal["minmax"] = "minmax"
    """Name in the table of transforms."""
    fields: tuple[str, ...] | None = None
    """Fields to normalise; None for all images."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with images in [0, 1], float32."""
        names = chosen_fields(sample, ("image",), self.fields)
        arrays = {name: _finite(sample, name) for name in names}
        return replaced(sample, {name: _between(a, a.min(), a.max()) for name, a in arrays.items()})


class RangeNormalize(Transform):
    """Map a fixed range to [-1, 1], the same for all images; values beyond it come to lie beyond.

    Examples
    --------
    >>> from voxloom.sample import Field, Schema
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.array([[[0, 100, 200]]])})
    >>> scale = RangeNormalize(low=0, high=200)
    >>> scaled = scale(sample, np.random.default_rng())["image"]
    >>> scaled.tolist(), scale.invert(scaled).tolist()
    ([[[-1.0, 0.0, 1.0]]], [[[0.0, 100.0, 200.0]]])
    """

    name: Literal["range"] = "range"
    """Name in the table of transforms."""
    low: float
    """Value that becomes -1."""
    high: float
    """Value that becomes 1."""
    fields: tuple[str, ...] | None = None
    """Fields to normalise; None for all images."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _refuse_unordered(self.low, self.high)
        return self

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with scaled images, float32."""
        names = chosen_fields(sample, ("image",), self.fields)
        return replaced(sample, {name: self._scaled(_finite(sample, name)) for name in names})

    def _scaled(self, array: Array) -> Float32:
        scaled = (array.astype(np.float64) - self.low) * (2 / (self.high - self.low)) - 1
        return scaled.astype(np.float32)

    def invert(self, array: Array) -> Float32:
        """Return values in the original range.

        Parameters
        ----------
        array
            Any shape; -1 becomes `low`, 1 becomes `high`.
        """
        original = (array.astype(np.float64) + 1) * ((self.high - self.low) / 2) + self.low
        return original.astype(np.float32)


def _standardized(array: Array) -> Float32:
    inside = array != 0
    values = array[inside].astype(np.float64)
    result = np.zeros(array.shape, np.float32)
    if values.size:
        values -= values.mean()
        std = np.sqrt(np.square(values).mean())  # not a dot product: BLAS would wake its threads for it
        result[inside] = values / (std if std > LEAST_STD else 1.0)
    return result


def _between(array: Array, low: float, high: float) -> Float32:
    """Map low to 0 and high to 1; everything to 0 where they are equal."""
    # float64: the difference of two float32 may be too large, or its inverse, for float32
    low, span = float(low), float(high) - float(low)
    if span <= 0:
        return np.zeros(array.shape, np.float32)
    return ((array.astype(np.float64) - low) / span).astype(np.float32)


def _finite(sample: Sample, name: str) -> Array:
    array = sample[name]
    finite = np.isfinite(array)
    if finite.all():
        return array
    raise DataError(
        f"sample {sample.key!r}, field {name!r}: {np.count_nonzero(~finite)} of {array.size} pixels are "
        "NaN or infinite. Mend the file, or read it with the policy nonfinite='zero'."
    )


def _refuse_unordered(low: float, high: float) -> None:
    if low >= high:
        raise ConfigError(f"low={low:g} and high={high:g}: expected low below high")
