"""From files and the command line to a checked configuration."""

from __future__ import annotations

import json
import logging
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from voxloom.config.problems import explained
from voxloom.config.schema import TASKS, Config, Task
from voxloom.errors import ConfigError, MissingDataError
from voxloom.registry import did_you_mean

__all__ = ["load_config", "read_file"]

logger = logging.getLogger(__name__)

RETIRED = {
    "wandb": "metrics go to TensorBoard and metrics.jsonl",
    "channel": "images have one channel",
    "sample_axis": "slices are read as they are",
    "start_epoch": "a checkpoint knows its epoch",
}
"""Keys of older files that mean nothing any more; they are reported and left out."""

Values = dict[str, Any]


def load_config(
    task: Task, files: Iterable[str | Path] = (), *, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Merge files, the task's section and overrides, in this order, and check the result.

    Parameters
    ----------
    task
        Whose section (``vae``, ``ldm``, ...) of the files counts.
    files
        JSON, YAML or TOML by suffix; a later one beats an earlier one.
    overrides
        Values by dotted key, for instance ``{"autoencoder_train.lr": 1e-4}``; they beat the files.

    Raises
    ------
    MissingDataError
        When a file does not exist.
    ConfigError
        When a file cannot be parsed, or holds an unknown key or a value that is not allowed.

    Examples
    --------
    >>> load_config("vae", overrides={"autoencoder_train.batch_size": 2}).autoencoder_train.batch_size
    2
    >>> load_config("vae", overrides={"autoencoder_train.batchsize": 2})
    Traceback (most recent call last):
    voxloom.errors.ConfigError: autoencoder_train.batchsize: unknown key. Did you mean 'batch_size'?
    """
    values: Values = {}
    for file in files:
        values = _merged(values, read_file(Path(file)))
    sections = {name: values.pop(name, {}) for name in TASKS}
    for each, section in sections.items():
        if not isinstance(section, dict):
            raise ConfigError(f"{each}: {section!r} is not allowed. Expected a section of keys and values.")
    values = _merged(values, sections[task])
    for key, value in (overrides or {}).items():
        section, _, rest = key.partition(".")
        if section not in TASKS or not rest:
            values = _merged(values, _nested(key, value))
        elif section == task:
            values = _merged(values, _nested(rest, value))
    for name in RETIRED.keys() & values.keys():
        logger.warning("the key %r of an older configuration is not used: %s", name, RETIRED[name])
        del values[name]
    values = _resolved(values, values)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explained(error)) from None


def read_file(path: Path) -> Values:
    """Read a file of keys and values; keys that begin with ``_`` are comments and left out.

    Raises
    ------
    MissingDataError
        When it does not exist.
    ConfigError
        When its suffix is unknown or it cannot be parsed.
    """
    if not path.is_file():
        raise MissingDataError(
            f"configuration file {path} does not exist. `voxloom init` writes the shipped ones into a folder."
        )
    text = path.read_text(encoding="utf-8")
    try:
        match path.suffix.lower():
            case ".json":
                values = json.loads(text)
            case ".yaml" | ".yml":
                values = yaml.safe_load(text) or {}
            case ".toml":
                values = tomllib.loads(text)
            case suffix:
                raise ConfigError(f"{path}: unknown suffix {suffix!r}; expected .json, .yaml, .yml or .toml.")
    except (json.JSONDecodeError, yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be parsed: {error}.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}: expected keys and values.")
    return typing.cast(Values, _without_comments(values))


def _without_comments(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_comments(v) for k, v in value.items() if not str(k).startswith("_")}
    return [_without_comments(v) for v in value] if isinstance(value, list) else value


def _merged(base: Values, over: Mapping[str, Any]) -> Values:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        # Another kind of normalisation starts afresh: the settings of the former mean nothing to it.
        renamed = both and "name" in value and value["name"] != result[key].get("name")
        result[key] = _merged(result[key], value) if both and not renamed else value
    return result


def _nested(key: str, value: Any) -> Values:
    for part in reversed(key.split(".")):
        value = {part: value}
    return typing.cast(Values, value)


def _resolved(value: Any, root: Values, seen: tuple[str, ...] = ()) -> Any:
    """Replace MONAI's references ``@key`` and ``$@key`` by the value of that key."""
    if isinstance(value, dict):
        return {k: _resolved(v, root, seen) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, root, seen) for v in value]
    if not (isinstance(value, str) and value.removeprefix("$").startswith("@")):
        return value
    if value in seen:
        raise ConfigError(f"the reference {value!r} leads to itself: {' -> '.join((*seen, value))}.")
    found: Any = {**_DEFAULTS, **root}
    for part in value.removeprefix("$")[1:].replace("::", "#").split("#"):
        if not isinstance(found, dict) or part not in found:
            near = did_you_mean(part, found) if isinstance(found, dict) else ""
            raise ConfigError(
                f"the reference {value!r} leads nowhere: expected a key of the configuration.{near}"
            )
        found = found[part]
    return _resolved(found, root, (*seen, value))


_DEFAULTS = {
    name: field.default
    for name, field in Config.model_fields.items()
    if isinstance(field.default, int | float | str)
}
"""What a reference may lead to without being said in a file."""
