"""The reference of all configuration keys, written from the schema itself.

``python -m voxloom.config.reference`` writes it into ``recipes/README.md``, which a checkout also
shows as ``config/README.md`` and `voxloom init` copies beside the configurations.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from voxloom.atomic import replacing
from voxloom.config.schema import TASKS, Config
from voxloom.sources import Layout
from voxloom.training import TrainSettings

__all__ = ["PATH", "reference"]

PATH = Path(__file__).parents[1] / "recipes" / "README.md"
"""Where the reference lies in the package."""

INTRODUCTION = """\
# Configuration reference

<!-- Written by `python -m voxloom.config.reference` from the schema. Change the schema, not this file. -->

Shipped files (`voxloom init FOLDER` copies them):

| file | for |
|---|---|
| `vae_config.json` | stage 1, the VAE, at the reference values for 256 x 256 images |
| `config_train_16g_cond.json` | stage 2, the conditional latent model |
| `environment_tif.json` | data folders and run folders of both stages |
| `demo.json` | both stages of `voxloom demo` |
| `segmentation.yaml` | segmentation of volumes: patches, classes, augmentation |

Files are JSON, YAML or TOML, by suffix. They are merged in the order of the command line: the
environment file (`-e`), then each configuration file (`-c`), then the options, then `--set`; what
comes later wins. An unknown key is an error. A key that begins with `_` is a comment. A value
`"@key"` stands for the value of another key.

A section named after a task (`vae`, `ldm`, `regression`, `pix2pix`, `segmentation`) holds
any keys of this page for that task alone; it wins over the rest of the files. The resolved
configuration is printed at the start and saved as `config.json` in the run.

| task | its own sections |
|---|---|
| `vae` | [`autoencoder_def`](#autoencoder_def), [`discriminator_def`](#discriminator_def), \
[`autoencoder_train`](#autoencoder_train) |
| `ldm` | [`diffusion_def`](#diffusion_def), [`NoiseScheduler`](#noisescheduler) or [`flow`](#flow), \
[`diffusion_train`](#diffusion_train), [`sampling`](#sampling) |
| `regression` | [`translator_def`](#translator_def), [`regression_train`](#regression_train) |
| `pix2pix` | [`translator_def`](#translator_def), [`discriminator_def`](#discriminator_def), \
[`pix2pix_train`](#pix2pix_train) |
| `segmentation` | [`segmentation_data`](#segmentation_data), [`segmenter_def`](#segmenter_def), \
[`segmentation_train`](#segmentation_train) |
"""

_HEADER = "| key | value | default | meaning |\n|---|---|---|---|\n"
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
_JSON = {"None": "null", "True": "true", "False": "false"}
_BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))

Fields = Mapping[str, FieldInfo]


def reference() -> str:
    """Return the reference as Markdown: a table a section, from docstrings, defaults and ranges.

    Examples
    --------
    >>> print(reference().splitlines()[0])
    # Configuration reference
    """
    fields = Config.model_fields
    data = {name: field for name, field in fields.items() if name in Layout.model_fields}
    others = {name: field for name, field in fields.items() if name not in data}
    shared = f"The settings that {', '.join(f'`{name}`' for name in TASKS.values())} have in common."
    parts = [
        INTRODUCTION,
        f"## Data\n\n{_table(data)}",
        f"## Run and models\n\n{_table(others)}",
        f"## Training\n\n{shared}\n\n{_table(TrainSettings.model_fields)}",
        *(_section(path, field, model) for path, field, model in _sections()),
    ]
    return "\n".join(parts)


def main() -> None:
    """Write the reference to its place."""
    with replacing(PATH) as file:
        file.write(reference().encode())
    sys.stdout.write(f"written {PATH}\n")


def _sections() -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    """Yield the dotted key, its field and its model, for each section, the shared schedule once."""
    seen: set[tuple[type[BaseModel], str]] = set()
    for name, field in Config.model_fields.items():
        for model in _models(field.annotation):
            yield name, field, model
            yield from _within(name, model, seen)


def _within(
    path: str, model: type[BaseModel], seen: set[tuple[type[BaseModel], str]]
) -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    """Yield the sections of a section, and theirs."""
    is_shared = issubclass(model, TrainSettings)
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            where = name if is_shared else f"{path}.{name}"
            if (inner, where) not in seen:
                seen.add((inner, where))
                yield where, field, inner
                yield from _within(where, inner, seen)


def _section(path: str, field: FieldInfo, model: type[BaseModel]) -> str:
    fields, note = model.model_fields, ""
    variant = fields["name"].default if "name" in fields and isinstance(fields["name"].default, str) else ""
    if issubclass(model, TrainSettings):
        common = TrainSettings.model_fields
        fields = {n: f for n, f in fields.items() if n not in common or f.default != common[n].default}
        note = " Beside the settings [in common](#training), some of them with another default here:"
    title = f"`{path}`: `{variant}`" if variant and path != variant else f"`{path}`"
    text = _first_line(model) if variant else _plain(field.description)
    return f"## {title}\n\n{text}{note}\n\n{_table(fields, '' if issubclass(model, TrainSettings) else path)}"


def _table(fields: Fields, path: str = "") -> str:
    return _HEADER + "".join(_row(name, field, path) for name, field in fields.items())


def _row(name: str, field: FieldInfo, path: str) -> str:
    value = _value(field.annotation, field.metadata)
    if len(_models(field.annotation)) == 1:
        heading = f"{path}{name}".replace(".", "").lower()
        value = value.replace("section", f"[section](#{heading})")
    return f"| `{name}` | {value} | {_default(field)} | {_plain(field.description)} |\n"


def _value(annotation: Any, metadata: Any = ()) -> str:
    """Return what a key may be set to, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _value(arguments[0], arguments[1:])
    if origin is typing.Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        parts = ("`null`" if part is type(None) else _value(part) for part in arguments)
        return " or ".join(dict.fromkeys(parts))
    if origin is tuple:
        return _list(arguments)
    if origin is Mapping:
        return f"names, each with: {_value(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _WORDS[annotation] + _range(metadata)


def _list(arguments: tuple[Any, ...]) -> str:
    if arguments[-1] is Ellipsis:
        return f"list of: {_value(arguments[0])}"
    return f"[{', '.join(map(_value, arguments))}]"


def _range(metadata: Any) -> str:
    """Return the bounds on a number, for instance `` ≥ 0, < 1``."""
    # pydantic keeps what stands within a union as a field of its own
    flat = [leaf for item in metadata for leaf in (item.metadata if isinstance(item, FieldInfo) else [item])]
    bounds = [
        f"{sign} {getattr(item, name):g}" for item in flat for name, sign in _BOUNDS if hasattr(item, name)
    ]
    bounds += [f"a multiple of {item.multiple_of}" for item in flat if hasattr(item, "multiple_of")]
    return f" {', '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, BaseModel):
        name = getattr(default, "name", None)
        return f'`{{"name": "{name}"}}`' if name else "as below"
    return f"`{json.dumps(to_jsonable_python(default))}`"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that a value may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _first_line(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").splitlines()[0]


def _plain(text: str | None) -> str:
    """Return a docstring as one line of Markdown that can stand in a table, in the words of JSON."""
    line = " ".join((text or "").split()).replace("``", "`").replace("|", "\\|")
    return re.sub(r"\b(None|True|False)\b", lambda word: f"`{_JSON[word.group()]}`", line)


if __name__ == "__main__":
    main()
