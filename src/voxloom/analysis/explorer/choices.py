"""What a person may choose on the page: the parameters of a method, and the fields to colour by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from voxloom.errors import ConfigError, UnknownNameError
from voxloom.registry import did_you_mean

__all__ = ["FieldChoice", "Slider", "begun", "methods_of", "settled"]

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class FieldChoice:
    """A field that points can be coloured and filtered by.

    Attributes
    ----------
    name
        As `Session.labels` takes it.
    kind
        Names, or numbers.
    count
        How many different names; 0 for numbers.
    """

    name: str
    kind: Literal["category", "number"]
    count: int


@dataclass(frozen=True)
class Slider:
    """A parameter of a method and the values it may take: low, low + step, ... high.

    Examples
    --------
    >>> slider = Slider("min_dist", "Minimum distance", 0, 0.95, 0.05, 0.1)
    >>> slider.nearest(0.1234)
    0.1
    >>> slider.nearest(2)
    Traceback (most recent call last):
    voxloom.errors.ConfigError: min_dist 2: expected 0 to 0.95.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    default: float

    def nearest(self, value: float) -> float:
        """Return the value of the slider that is nearest to a number.

        Raises
        ------
        ConfigError
            When it is no number within the ends.
        """
        if not self.low - _TOLERANCE <= value <= self.high + _TOLERANCE:  # NaN is not either
            raise ConfigError(f"{self.name} {value:g}: expected {self.low:g} to {self.high:g}.")
        steps = round((value - self.low) / self.step)
        return round(min(self.low + steps * self.step, self.high), 6)

    def begun(self, parameters: Mapping[str, float]) -> Slider:
        """Return the slider with another default, where one is given: the nearest that it can take."""
        if self.name not in parameters:
            return self
        return replace(self, default=self.nearest(min(max(parameters[self.name], self.low), self.high)))


def methods_of(count: int) -> Mapping[str, tuple[Slider, ...]]:
    """Return the sliders of each method for a number of points: no neighbour beyond the last one.

    Examples
    --------
    >>> [slider.high for slider in methods_of(1000)["umap"]]
    [200, 0.95]
    >>> methods_of(10)["tsne"]
    (Slider(name='perplexity', label='Perplexity', low=1, high=3, step=1, default=3),)
    """
    neighbours = max(2, min(200, count - 1))
    perplexity = max(1, min(100, (count - 1) // 3))
    least = min(5, -(-perplexity // 3))
    return {
        "pca": (),
        "umap": (
            Slider("n_neighbors", "Neighbours", 2, neighbours, 1, min(15, neighbours)),
            Slider("min_dist", "Minimum distance", 0, 0.95, 0.05, 0.1),
        ),
        "tsne": (
            Slider("perplexity", "Perplexity", least, perplexity, 1, min(30, perplexity)),
        ),
    }  # fmt: skip


def begun(
    methods: Mapping[str, tuple[Slider, ...]], first: str, parameters: Mapping[str, float]
) -> Mapping[str, tuple[Slider, ...]]:
    """Return methods with one put first, and with sliders that begin elsewhere, within their ends.

    Raises
    ------
    UnknownNameError
        When there is no such method or parameter.

    Examples
    --------
    >>> changed = begun(methods_of(100), "umap", {"n_neighbors": 1000})
    >>> list(changed), changed["umap"][0].default
    (['umap', 'pca', 'tsne'], 99)
    """
    known = [slider.name for sliders in methods.values() for slider in sliders]
    for name in parameters:
        if name not in known:
            raise UnknownNameError(f"parameter {name!r}: expected one of {', '.join(known)}.")
    _ = settled(methods, first, {})
    names = [first, *(name for name in methods if name != first)]
    return {name: tuple(slider.begun(parameters) for slider in methods[name]) for name in names}


def settled(
    methods: Mapping[str, tuple[Slider, ...]], method: str, parameters: Mapping[str, float]
) -> dict[str, float]:
    """Return all parameters of a method, brought to the values of its sliders.

    Parameters
    ----------
    methods
        Of `methods_of`.
    method, parameters
        What is asked for; a parameter that is left out takes its default.

    Raises
    ------
    UnknownNameError
        When there is no such method or parameter.
    ConfigError
        When a value is no number or lies beyond the ends of its slider.

    Examples
    --------
    >>> settled(methods_of(100), "umap", {"n_neighbors": 20.4})
    {'n_neighbors': 20, 'min_dist': 0.1}
    """
    if method not in methods:
        raise UnknownNameError(
            f"method {method!r}: expected one of {', '.join(methods)}.{did_you_mean(method, methods)}"
        )
    sliders = {slider.name: slider for slider in methods[method]}
    for name, value in parameters.items():
        if name not in sliders:
            raise UnknownNameError(
                f"{method} has no parameter {name!r}: expected {', '.join(sliders) or 'none'}."
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{name} {value!r}: expected a number.")
    found = {name: slider.nearest(parameters.get(name, slider.default)) for name, slider in sliders.items()}
    return {name: int(value) if sliders[name].step >= 1 else value for name, value in found.items()}
