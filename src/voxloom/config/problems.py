"""What is wrong with a configuration, said in its own words and not in pydantic's."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from voxloom.config.schema import TASKS, Config
from voxloom.registry import did_you_mean

__all__ = ["explained"]


def explained(error: ValidationError) -> str:
    """Return a line for each place that is wrong: what stands there, and what is expected.

    Examples
    --------
    >>> try:
    ...     Config.model_validate({"sed": 1, "process": "dpm"})
    ... except ValidationError as error:
    ...     print(explained(error))
    process: 'dpm' is not allowed. Input should be 'ddpm' or 'flow'.
    sed: unknown key. Did you mean 'seed'?
    """
    lines: dict[str, list[str]] = {}
    details = error.errors()
    for detail in details:
        if not _is_passed_over(detail["loc"], details):
            place, known = _walked(detail["loc"])
            lines.setdefault(place, []).append(_reason(detail, known))
    return "\n".join(f"{place}: {' Or: '.join(dict.fromkeys(reasons))}" for place, reasons in lines.items())


def _reason(detail: Mapping[str, Any], known: set[str]) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key.{did_you_mean(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return "missing. Expected a value."
    if detail["type"] == "value_error":
        return f"{detail['msg'].removeprefix('Value error, ').rstrip('.')}."
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
        tag = detail["ctx"]["discriminator"].strip("'")
        given = detail["input"].get(tag) if isinstance(detail["input"], dict) else None
        expected = detail["ctx"].get("expected_tags") or "one that says which kind is meant"
        return f"{tag} {given!r} is not allowed. Expected {expected}."
    return f"{detail['input']!r} is not allowed. {detail['msg']}."


def _is_passed_over(place: Sequence[Any], details: Sequence[Mapping[str, Any]]) -> bool:
    """Whether another choice at this place was meant: one inside of which something is wrong."""
    depth = len(place) - 1
    return _is_choice(place[-1] if place else None) and any(
        len(other["loc"]) > len(place) and other["loc"][:depth] == place[:depth] for other in details
    )


def _walked(place: Sequence[Any]) -> tuple[str, set[str]]:
    """Return the dotted name of a place, without pydantic's names for choices, and the keys known there."""
    models: list[type[BaseModel]] = [Config]
    names: list[str] = []
    known = {*Config.model_fields, *TASKS}
    for i, part in enumerate(place):
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields or (i == len(place) - 1 and not _is_choice(part, models)):
            names.append(str(part))
        if fields and i < len(place) - 1:
            models = [m for f in fields for m in _models_in(f.annotation)]
            known = {name for model in models for name in model.model_fields}
    return ".".join(names) or "configuration", known


def _is_choice(part: Any, models: Iterable[type[BaseModel]] = ()) -> bool:
    """Whether pydantic names a type of a union here, not a key."""
    types = {"bool", "int", "float", "str", "none", *(model.__name__ for model in models)}
    return isinstance(part, str) and (part in types or "[" in part or part.startswith("constrained-"))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    parts = typing.get_args(annotation)
    if not parts:
        return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    return [model for part in parts for model in _models_in(part)]
