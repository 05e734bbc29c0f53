"""What a transform is, how several become one, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import SerializeAsAny, ValidationError, field_validator

from voxloom.component import Component
from voxloom.errors import ConfigError, SchemaError
from voxloom.registry import Registry, did_you_mean
from voxloom.sample import Array, Field, Kind, Sample

__all__ = ["TRANSFORMS", "Compose", "Transform", "build", "chosen_fields", "replaced"]

TRANSFORMS = Registry(
    "transform",
    {
        "augment": "voxloom.transforms.augment:Augment",
        "channels_first": "voxloom.transforms.axes:ChannelsFirst",
        "foreground": "voxloom.transforms.intensity:ForegroundNormalize",
        "minmax": "voxloom.transforms.intensity:MinMaxNormalize",
        "percentile": "voxloom.transforms.intensity:PercentileNormalize",
        "range": "voxloom.transforms.intensity:RangeNormalize",
        "resize": "voxloom.transforms.spatial:Resize",
    },
)
"""Name -> class. A transform that stands here has its name in a field `name`."""


class Transform(Component):
    """A frozen function of a sample and a generator.

    A call returns a new sample and leaves the given one as it is, arrays included; with equal
    samples and generators the results are equal. Deterministic transforms draw nothing.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> class Negate(Transform):
    ...     def __call__(self, sample, rng):
    ...         return sample.with_arrays({name: -array for name, array in sample.items()})
    >>> sample = Sample("a", Schema([Field(name="image")]), {"image": np.ones((1, 1, 2))})
    >>> Negate()(sample, np.random.default_rng())["image"].tolist()
    [[[-1.0, -1.0]]]
    """

    random: ClassVar[bool] = False
    """Whether it draws from the generator."""

    @abstractmethod
    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the transformed sample."""


class Compose(Transform):
    """Transforms in turn; one Compose in another is taken apart.

    Examples
    --------
    >>> steps = build([{"name": "minmax"}, {"name": "augment"}, {"name": "range", "low": 0, "high": 1}])
    >>> len(steps.deterministic.transforms), len(steps.random_part.transforms)
    (1, 2)
    """

    transforms: tuple[SerializeAsAny[Transform], ...] = ()
    """What is applied, first to last."""

    @field_validator("transforms", mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        made = (_from_settings(step) if isinstance(step, Mapping) else step for step in given)
        return tuple(
            leaf for step in made for leaf in (step.transforms if isinstance(step, Compose) else (step,))
        )

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the sample after all transforms; they draw from one generator."""
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether any of them draws from the generator."""
        return any(transform.random for transform in self.transforms)

    @property
    def deterministic(self) -> Compose:
        """The transforms before the first random one: their result can be kept."""
        return Compose(transforms=self.transforms[: self._first_random])

    @property
    def random_part(self) -> Compose:
        """The first random transform and all after it."""
        return Compose(transforms=self.transforms[self._first_random :])

    @property
    def _first_random(self) -> int:
        places = (place for place, transform in enumerate(self.transforms) if transform.random)
        return next(places, len(self.transforms))


def build(settings: Iterable[Mapping[str, Any]]) -> Compose:
    """Build transforms from plain settings, as a configuration file holds them.

    Parameters
    ----------
    settings
        One mapping a transform: `name`, from the table TRANSFORMS, and its settings.

    Raises
    ------
    UnknownNameError
        If a name is not in the table.
    ConfigError
        If a name is missing, or a setting is unknown or out of its range.

    Examples
    --------
    >>> build([{"name": "resize", "size": [64, 64]}]).transforms[0].size
    (64, 64)
    >>> build([{"name": "resize", "sise": [64, 64]}])
    Traceback (most recent call last):
    voxloom.errors.ConfigError: transform 'resize': size: Field required; sise: unknown. Did you mean 'size'?
    """
    return Compose(transforms=tuple(_from_settings(step) for step in settings))


def chosen_fields(sample: Sample, kinds: tuple[Kind, ...], only: Collection[str] | None) -> list[str]:
    """Return the names of the fields that a transform is for.

    Parameters
    ----------
    sample
        Its schema tells the kinds.
    kinds
        The kinds that the transform understands.
    only
        Restricts it to these names.

    Raises
    ------
    SchemaError
        If one of the names is unknown or of another kind.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> sample = Sample("a", Schema([Field(name="x"), Field(name="m", kind="mask")]), {})
    >>> chosen_fields(sample, ("image",), None)
    ['x']
    """
    if only is None:
        return [field.name for field in sample.schema.values() if field.kind in kinds]
    for name in only:
        if sample.schema[name].kind not in kinds:
            raise SchemaError(
                f"field {name!r} is of the kind {sample.schema[name].kind}: expected {' or '.join(kinds)}. "
                "Take it out of the transform's fields."
            )
    return list(only)


def replaced(sample: Sample, arrays: Mapping[str, Array]) -> Sample:
    """Return a sample with new arrays in some fields, and their types and shapes in its schema.

    A shape that the schema leaves open stays open.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> sample = Sample("a", Schema([Field(name="x", dtype="uint8")]), {"x": np.ones((1, 2, 2), np.uint8)})
    >>> replaced(sample, {"x": np.ones((1, 4, 4), np.float32)}).schema["x"].dtype
    'float32'
    """
    changed = [
        field.model_copy(update=update)
        for field, update in (
            (sample.schema[name], _changes(sample.schema[name], a)) for name, a in arrays.items()
        )
        if update
    ]
    return sample.with_arrays(arrays, sample.schema.replace(*changed) if changed else None)


def _changes(field: Field, array: Array) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if field.dtype != array.dtype.name:
        changes["dtype"] = array.dtype.name
    if field.shape not in (None, array.shape):
        changes["shape"] = array.shape
    return changes


def _from_settings(settings: Mapping[str, Any]) -> Transform:
    if "name" not in settings:
        raise ConfigError(
            f"a transform without a name: {dict(settings)}. Known names: {', '.join(TRANSFORMS)}."
        )
    made = TRANSFORMS[settings["name"]]
    try:
        transform: Transform = made.model_validate(dict(settings))
    except ValidationError as error:
        problems = "; ".join(_explained(detail, made.model_fields) for detail in error.errors())
        raise ConfigError(f"transform {settings['name']!r}: {problems}") from None
    return transform


def _explained(detail: Mapping[str, Any], known: Iterable[str]) -> str:
    place = ".".join(map(str, detail["loc"])) or "settings"
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown.{did_you_mean(place, known)}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"
