"""Which volume each input of a network is read from, at a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxloom.errors import ConfigError
from voxloom.registry import did_you_mean

__all__ = ["input_paths"]


def input_paths(given: str | Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the path of each input's volume; of the first alone where all inputs have one volume.

    Parameters
    ----------
    given
        A path, or one for each input by name. An input that is not named is read from the volume that
        it shared with another in training.
    facts
        Of the checkpoint.

    Raises
    ------
    ConfigError
        If there is one path, and the network learned from several volumes at each place; if an input is
        not known, or has no path.

    Examples
    --------
    >>> facts = {"inputs": ["near", "far", "light"]}
    >>> facts["volumes"] = {"near": "near", "far": "near", "light": "light"}
    >>> input_paths({"near": "em.zarr", "light": "lm.zarr"}, facts)
    {'near': 'em.zarr', 'far': 'em.zarr', 'light': 'lm.zarr'}
    """
    names = list(facts["inputs"])
    shared = facts.get("volumes") or dict.fromkeys(names, names[0])
    wanted = [name for name in names if shared[name] == name]
    if isinstance(given, str):
        if len(wanted) > 1:
            raise ConfigError(
                f"input {given}: the network learned from {len(wanted)} volumes at each place "
                f"({', '.join(wanted)}). Expected one for each: {_words(wanted)}."
            )
        return {names[0]: given}
    _refuse_unknown(given, names)
    paths = {name: given.get(name, given.get(shared[name])) for name in names}
    found = {name: path for name, path in paths.items() if path is not None}
    if len(found) < len(names):
        missing = [name for name in names if name not in found]
        raise ConfigError(f"no volume for {', '.join(missing)}: expected one for each: {_words(wanted)}.")
    return found if len({*found.values()}) > 1 or len(wanted) > 1 else {names[0]: found[names[0]]}


def _words(names: list[str]) -> str:
    return " ".join(f"--input {name}=PATH" for name in names)


def _refuse_unknown(given: Mapping[str, str], names: list[str]) -> None:
    for name in given:
        if name not in names:
            raise ConfigError(
                f"input {name!r}: the network has none of this name. Inputs: {', '.join(names)}."
                f"{did_you_mean(name, names)}"
            )
