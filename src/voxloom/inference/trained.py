"""A trained model, ready to predict: from a run's checkpoint, or from one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from voxloom.atomic import replacing
from voxloom.errors import CheckpointError, MissingDataError
from voxloom.models.checkpoint import read_checkpoint
from voxloom.models.model import build_model

__all__ = ["Trained", "is_exported"]

KIND = "voxloom-trained"


@dataclass
class Trained:
    """Networks with the facts that they need, in evaluation mode and without gradients.

    Attributes
    ----------
    task
        ``vae``, ``ldm``, ``regression`` or ``pix2pix``.
    models
        Networks by name; averaged weights where the run kept them.
    configs
        For each network the settings that build it.
    config
        The run's resolved configuration, as plain values.
    facts
        What the objective recorded: process, latent scale, data range.
    split
        Keys of the images that trained and validated.
    path
        Where it was read from.
    """

    task: str
    models: dict[str, nn.Module]
    configs: dict[str, dict[str, Any]]
    config: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    split: dict[str, list[str]] = field(default_factory=dict)
    path: Path = Path()

    @classmethod
    def load(cls, path: str | Path, *, device: torch.device | str = "cpu") -> Trained:
        """Read a run's best checkpoint, a checkpoint file, or what `save` wrote.

        Raises
        ------
        MissingDataError
            When there is no such file.
        CheckpointError
            When it is neither, or holds weights alone.
        """
        path = _file(Path(path))
        trained = _from_safetensors(path) if _is_safetensors(path) else _from_checkpoint(path)
        for model in trained.models.values():
            model.to(device).eval().requires_grad_(False)
        return trained

    def save(self, path: str | Path) -> Path:
        """Write networks, configuration and facts as one safetensors file, and return its path.

        Tensors are named ``network/parameter``.

        Raises
        ------
        SaveError
            When it could not be written; an older file is untouched.
        """
        path = Path(path)
        tensors = {
            f"{name}/{key}": tensor.detach().cpu().contiguous()
            for name, model in self.models.items()
            for key, tensor in model.state_dict().items()
        }
        record = {n: getattr(self, n) for n in ("task", "configs", "config", "facts", "split")}
        with replacing(path) as file:
            file.write(to_bytes(tensors, {"kind": KIND, "format_version": "1", "record": json.dumps(record)}))
        return path


def _file(path: Path) -> Path:
    if path.is_dir():
        for name in ("best", "final", "last"):
            found = path / "checkpoints" / f"{name}.pt"
            if found.is_file():
                return found
        raise CheckpointError(
            f"{path} holds no checkpoint: expected a run with checkpoints/best.pt, final.pt or last.pt."
        )
    if not path.is_file():
        raise MissingDataError(
            f"checkpoint {path} does not exist: expected a run's folder, a file such as "
            "RUN/checkpoints/best.pt, or exported weights."
        )
    return path


def is_exported(path: Path) -> bool:
    """Whether `Trained.save` wrote the file; False where there is none."""
    return _is_safetensors(path) and _metadata(path).get("kind") == KIND


def _is_safetensors(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # eight bytes of length, then JSON


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}): it may be cut short. Export it again."
        ) from error


def _from_safetensors(path: Path) -> Trained:
    metadata = _metadata(path)
    if metadata.get("kind") != KIND:
        raise CheckpointError(
            f"{path} holds weights alone: expected a file that `voxloom export` wrote, or a checkpoint. "
            "Weights alone do not tell how images are prepared: name their configuration (-c)."
        )
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    record = json.loads(metadata["record"])
    states: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        model, _, parameter = name.partition("/")
        states.setdefault(model, {})[parameter] = tensor
    models = {name: _built(record["configs"][name], state) for name, state in states.items()}
    return Trained(models=models, path=path, **record)


def _from_checkpoint(path: Path) -> Trained:
    state = read_checkpoint(path)
    configs = {n: c for n, c in state["model_configs"].items() if n != "discriminator"}
    average = {k: v for k, v in (state["ema"] or {}).items() if k != "__updates__"}
    weights = {n: {**state["models"][n], **(average if n == state["main"] else {})} for n in configs}
    return Trained(
        task=state["task"],
        models={name: _built(config, weights[name]) for name, config in configs.items()},
        configs=configs,
        config=state["config"],
        facts={**state["facts"], "step": state["step"], "epoch": state["epoch"]},
        split={part: list(keys) for part, keys in state["split"].items()},
        path=path,
    )


def _built(settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    model = build_model(settings, seed=0)
    model.load_state_dict(state)
    return model
