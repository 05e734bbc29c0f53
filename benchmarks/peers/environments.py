"""The environments of `readers.py`: one for each peer, made with venv and pip when it is not there.

All have the same torch; none gets torchvision, which no reader here needs for itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOGETHER = ("numpy", "pillow", "simplejpeg")
"""What the scripts themselves need beside torch."""


@dataclass(frozen=True)
class Peer:
    """A package to compare with: the script that drives it, and what pip installs."""

    module: str
    packages: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()
    """Installed last and alone, where their dependencies name torchvision and their readers do not use it."""


PEERS = {
    "litdata": Peer(
        "with_litdata",
        ("boto3", "filelock", "lightning-utilities", "obstore", "requests", "tifffile", "urllib3"),
        ("litdata",),
    ),
    "datasets": Peer("with_datasets", ("datasets",)),
    "webdataset": Peer("with_webdataset", ("webdataset",)),
    "mosaicml-streaming": Peer("with_streaming", ("mosaicml-streaming",)),
    "grain": Peer("with_grain", ("grain", "array_record")),
    "pylance": Peer("with_lance", ("pylance",)),
    "pillow": Peer("with_pillow", ()),
    "ffcv": Peer("", ("ffcv",)),  # no reader: it has not been built where this was written
}


class NotInstalledError(Exception):
    """A peer that could not be installed; says why."""


def python_of(name: str, environments: Path, constraint: Path, *, base: str) -> str:
    """Return the interpreter of a peer's environment, made when it is not there.

    One that is there is used as it is, so a peer that pip cannot install may be put there by hand.
    """
    folder = environments / name
    python, failure = folder / "bin" / "python", folder / "failure.txt"
    if failure.exists():
        raise NotInstalledError(failure.read_text())
    if not python.exists():
        environments.mkdir(parents=True, exist_ok=True)
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
        print(f"installing {name} to {folder}", file=sys.stderr, flush=True)
        try:
            _install(PEERS[name], folder, constraint)
        except NotInstalledError as error:
            failure.write_text(str(error))
            raise
    return str(python)


def _install(peer: Peer, folder: Path, constraint: Path) -> None:
    guard = folder / "constraints.txt"
    pinned = next(
        (line for line in constraint.read_text().splitlines() if line.startswith("torch==")), "torch"
    )
    guard.write_text(f"{pinned}\ntorchvision<0\n")
    _pip(folder, "--constraint", str(constraint), pinned)
    _pip(folder, "--constraint", str(guard), *TOGETHER, *peer.packages)
    if peer.without_dependencies:
        _pip(folder, "--no-deps", *peer.without_dependencies)


def _pip(folder: Path, *arguments: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", *arguments]
    with (folder / "install.log").open("a") as log:
        done = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"PIP_NO_INPUT": "1"}
        )
    if done.returncode:
        raise NotInstalledError(_reason((folder / "install.log").read_text()))


def _reason(log: str) -> str:
    """Return in a few words why pip failed."""
    if "torchvision<0" in log and "conflict" in log:
        return "requires torchvision"
    errors = [line.strip() for line in log.splitlines() if "error" in line.lower()]
    telling = [line for line in errors if "Error: " in line] or errors
    return telling[-1][:120] if telling else "pip failed"
