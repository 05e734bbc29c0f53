"""Weights on disk: written as safetensors with their configuration, read from all that people have.

Read are our own safetensors files, full training checkpoints (ours, and those of the older system),
and bare state dicts, with MONAI's names too. Nothing is ever unpickled but tensors and plain values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

import voxloom
from voxloom.atomic import replacing
from voxloom.errors import CheckpointError, MissingDataError
from voxloom.models.checkpoint import CHECKPOINT_KIND, unpickled, unreadable
from voxloom.models.model import ModelConfig, build_model, config_from, settings_of

__all__ = ["WEIGHTS_KIND", "Weights", "differences", "load_weights", "read_tensors", "save_weights"]

WEIGHTS_KIND = "voxloom-weights"
"""Value of `kind` in the metadata of the weights of one model."""

Tensors = dict[str, torch.Tensor]
_Model = TypeVar("_Model", bound=nn.Module)

# part -> (entry of an older full checkpoint, what its names begin with in ours)
_OLDER_PARTS = {
    "autoencoder": (("autoencoder_state_dict", "net."),),
    "discriminator": (("discriminator_state_dict", "net."),),
    "denoiser": (
        ("unet_state_dict", "net."),
        ("condition_projector_state_dict", "conditioner.projection."),
    ),
}


@dataclass(frozen=True)
class Weights:
    """The tensors of one model, with what the file says about it.

    Attributes
    ----------
    tensors
        Name -> tensor on the CPU.
    config
        The model's configuration, or None where the file holds none.
    extra
        Plain values stored beside, latent statistics for instance; the `facts` of a full checkpoint.
    path
        Where they were read from; it heads the error messages.
    is_older
        Whether they come from the older system's full checkpoint: trained on transposed images.
    """

    tensors: Tensors
    config: ModelConfig | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    path: Path = Path("weights")
    is_older: bool = False

    def build(self) -> nn.Module:
        """Return the model of the stored configuration with these weights, on the CPU.

        Raises
        ------
        CheckpointError
            When the file holds no configuration, or the weights do not fit it.
        """
        if self.config is None:
            raise CheckpointError(
                f"{self.path} holds weights without the configuration of their model: expected both. "
                "Build the model from its configuration file and use into(model)."
            )
        return self.into(build_model(self.config, seed=0))

    def into(self, model: _Model) -> _Model:
        """Load the weights into a model and return it.

        Names may lack our ``net.``, as MONAI's do, or carry the prefixes of DDP or torch.compile.

        Raises
        ------
        CheckpointError
            When a name is missing or left over, or a shape differs; the first of each are listed.
        """
        state = model.state_dict()
        tensors = _renamed(self.tensors, state)
        problems = differences(tensors, state)
        if problems:
            raise CheckpointError(
                f"{self.path} does not fit {type(model).__name__}: {problems} Expected weights of the "
                "same configuration. Name this model's checkpoint, or build the model that it is of."
            )
        model.load_state_dict(tensors)
        return model


def save_weights(
    path: str | os.PathLike[str], model: nn.Module, *, extra: Mapping[str, Any] | None = None
) -> None:
    """Write a model as safetensors, its configuration in the metadata, whole or not at all.

    Parameters
    ----------
    path
        The file, ``.safetensors`` by custom; an older one of that name is replaced.
    model
        One of ours: its `config` is stored with it.
    extra
        Plain values (JSON) to store beside, for instance the latent's statistics.

    Raises
    ------
    SaveError
        When it could not be written; an older file is untouched.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.models import UNetConfig
    >>> path = Path(mkdtemp()) / "unet.safetensors"
    >>> save_weights(path, UNetConfig(channels=(8, 16)).build(), extra={"scale": 0.5})
    >>> weights = load_weights(path)
    >>> weights.extra, weights.build().config.channels
    ({'scale': 0.5}, (8, 16))
    """
    tensors = {
        _plain(name): tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    metadata = {
        "kind": WEIGHTS_KIND,
        "format_version": "1",
        "producer": f"voxloom {voxloom.__version__}",
        "config": json.dumps(settings_of(_unwrapped(model).config)),
        "extra": json.dumps(dict(extra or {})),
    }
    with replacing(path) as file:
        file.write(to_bytes(tensors, metadata))


def load_weights(path: str | os.PathLike[str], *, part: str | None = None, averaged: bool = True) -> Weights:
    """Read the weights of one model from any of the files that people have.

    Parameters
    ----------
    path
        Our safetensors, a full checkpoint, or a state dict written by torch.save.
    part
        Which model of a full checkpoint, for instance ``autoencoder``; None where it holds one.
    averaged
        Take the moving average of the weights where a full checkpoint has one.

    Raises
    ------
    MissingDataError
        When there is no such file.
    CheckpointError
        When it cannot be read, holds something else, or has no such part.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "linear.pt"
    >>> torch.save(nn.Linear(2, 1).state_dict(), path)
    >>> load_weights(path).into(nn.Linear(2, 1))
    Linear(in_features=2, out_features=1, bias=True)
    """
    path = Path(path)
    if _is_safetensors(path):
        return _from_safetensors(path)
    content = _content(path)
    if content.get("kind") == CHECKPOINT_KIND:
        return _from_checkpoint(content, part, averaged, path)
    if any(entries[0][0] in content for entries in _OLDER_PARTS.values()):
        return _from_older(content, part, path)
    return Weights(_bare(content, path), path=path)


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a safetensors file or of a bare state dict.

    Raises
    ------
    MissingDataError
        When there is no such file.
    CheckpointError
        When it cannot be read or holds something else.
    """
    return _from_safetensors(path).tensors if _is_safetensors(path) else _bare(_content(path), path)


def _is_safetensors(path: Path) -> bool:
    if not path.is_file():
        raise MissingDataError(
            f"no checkpoint at {path}: expected a file. Check the path: it is relative to {Path.cwd()}."
        )
    with path.open("rb") as file:
        magic = file.read(9)[8:] == b"{"  # eight bytes of length, then JSON
    return magic or path.suffix == ".safetensors"


def _from_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error
    config = config_from(json.loads(metadata["config"])) if metadata.get("kind") == WEIGHTS_KIND else None
    return Weights(tensors, config, json.loads(metadata.get("extra", "{}")), path)


def _content(path: Path) -> dict[str, Any]:
    content = unpickled(path)
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}: expected a state dict or a full checkpoint. "
            "Name the file that the training wrote."
        )
    return content


def _from_checkpoint(content: dict[str, Any], part: str | None, averaged: bool, path: Path) -> Weights:
    models = content["models"]
    name = _chosen(part, models, path)
    tensors = dict(models[name])
    if averaged and content.get("main") == name:  # the one model that has an average
        tensors |= {key: mean for key, mean in (content.get("ema") or {}).items() if key in tensors}
    settings = content.get("model_configs", {}).get(name)
    config = config_from(settings) if settings else None
    return Weights(tensors, config, dict(content.get("facts") or {}), path)


def _from_older(content: dict[str, Any], part: str | None, path: Path) -> Weights:
    there = {name: entries for name, entries in _OLDER_PARTS.items() if entries[0][0] in content}
    entries = there[_chosen(part, there, path)]
    tensors = {
        prefix + name: tensor for entry, prefix in entries for name, tensor in content.get(entry, {}).items()
    }
    return Weights(tensors, path=path, is_older=True)


def _chosen(part: str | None, parts: Mapping[str, Any], path: Path) -> str:
    known = ", ".join(sorted(parts)) or "none"
    if part is None and len(parts) != 1:
        raise CheckpointError(
            f"{path} holds several models ({known}): expected one of them to be named as the part."
        )
    name = next(iter(parts)) if part is None else part
    if name not in parts:
        raise CheckpointError(
            f"{path} holds no {name!r}: expected one of {known}. It may be the checkpoint of another stage."
        )
    return name


def _bare(content: dict[str, Any], path: Path) -> Tensors:
    if not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(
            f"{path} holds {', '.join(map(str, list(content)[:8])) or 'nothing'}: expected tensors by name, "
            "or a full checkpoint of voxloom. Name the file that the training wrote."
        )
    return content


def _plain(name: str) -> str:
    return name.replace("_orig_mod.", "").removeprefix("module.")


def _unwrapped(model: nn.Module) -> Any:
    for wrapper in ("_orig_mod", "module"):
        model = getattr(model, wrapper, model)
    return model


def _renamed(tensors: Tensors, state: Tensors) -> Tensors:
    plain = {_plain(name): tensor for name, tensor in tensors.items()}
    if any(name.startswith("net.") for name in state) and not any(name.startswith("net.") for name in plain):
        plain = {f"net.{name}": tensor for name, tensor in plain.items()}
    ours = {_plain(name): name for name in state}
    return {ours.get(name, name): tensor for name, tensor in plain.items()}


def differences(tensors: Tensors, state: Tensors, shown: int = 3) -> str:
    """Say which names and shapes differ from a model's state dict; an empty string says that none does.

    Examples
    --------
    >>> differences({"a": torch.zeros(2)}, {"a": torch.zeros(3), "b": torch.zeros(1)})
    '1 missing, first b. 1 of another shape, first a (2,) instead of (3,).'
    """
    other = [name for name in state if name in tensors and tensors[name].shape != state[name].shape]
    found = {
        "missing": [name for name in state if name not in tensors],
        "left over": [name for name in tensors if name not in state],
        "of another shape": [
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(state[name].shape)}" for name in other
        ],
    }
    return " ".join(
        f"{len(names)} {what}, first {', '.join(names[:shown])}." for what, names in found.items() if names
    )
