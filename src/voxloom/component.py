"""A component is its own configuration: a frozen value that reads from and writes to a plain dict."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Component"]


class Component(BaseModel):
    """Base of everything that can stand in a configuration file.

    Frozen, hashable where its fields are, picklable; an unknown key is an error; two components
    with the same settings are equal. ``model_dump(mode="json")`` and ``model_validate`` go to and
    from plain dicts.

    Examples
    --------
    >>> class Blur(Component):
    ...     sigma: float = 1.0
    >>> Blur(sigma=2).model_dump()
    {'sigma': 2.0}
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
