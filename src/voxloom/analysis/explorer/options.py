"""What a session is called, and how it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SessionOptions"]


@dataclass(frozen=True)
class SessionOptions:
    """What a session is called and how it projects.

    Attributes
    ----------
    title
        Above the page.
    fit
        As `voxloom.analysis.latents.project` takes it.
    seed
        Of projections and translations.
    method
        The one that the page begins with: the first of `Session.methods`.
    parameters
        Where sliders begin, of any method.
    colour
        The field that points are coloured by first: the first of `Session.fields`.
    labels
        Further fields to colour by: name -> what `Points.labels` takes, for instance
        ``{"patient": "key:_([0-9]+)$"}``.
    notices
        What the reader should know, for instance that images are gone.
    """

    title: str = "latents"
    fit: str = "joint"
    seed: int = 42
    method: str = "pca"
    parameters: Mapping[str, float] = field(default_factory=dict)
    colour: str = "group"
    labels: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
