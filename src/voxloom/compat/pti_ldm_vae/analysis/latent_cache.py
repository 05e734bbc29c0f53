"""The older cache of latents on disk, one small file an image."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from voxloom.atomic import replacing, write_json

__all__ = ["LatentCache"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Encoder = Callable[[str], tuple[Floats, str]]

_METADATA = "_metadata.json"


class LatentCache:
    """Latents of images, kept by the content of the weights and by each image's path and time.

    Weights that were trained again under the same name are others, and so are their latents.

    Parameters
    ----------
    cache_root
        Folder of the cache; a folder for each weights and patch size lies below.
    """

    def __init__(self, cache_root: str | os.PathLike[str] = "cache/latents") -> None:
        self.cache_root = Path(cache_root)

    def get_or_encode_batch(
        self,
        image_paths: Sequence[str | os.PathLike[str]],
        encoder_fn: Encoder,
        vae_weights: str | os.PathLike[str],
        patch_size: Sequence[int],
        group_name: str = "",
    ) -> tuple[Floats, list[str], list[str]]:
        """Return latents (N, D), whose they are, and their paths, in the order of the paths.

        Parameters
        ----------
        image_paths
            Files of images.
        encoder_fn
            A path to a latent and a patient; asked only where nothing is kept.
        vae_weights
            File of the weights; its content counts, not its name.
        patch_size
            Height and width that images are brought to.
        group_name
            For the log.
        """
        folder = self.cache_root / _signature(vae_weights, patch_size)
        paths = [str(path) for path in image_paths]
        found, asked = [], 0
        for path in paths:
            place = folder / f"{_digest(f'{os.path.abspath(path)}_{os.stat(path).st_mtime_ns}')[:12]}.npz"
            entry = _read(place)
            if entry is None:
                asked += 1
                latent, patient = encoder_fn(path)
                entry = np.asarray(latent, np.float32).ravel(), str(patient)
                with replacing(place) as file:
                    np.savez(file, latent=entry[0], patient_id=np.array(entry[1]))
            found.append((path, place.stem, *entry))
        logger.info("%s: %d latents found, %d encoded", group_name or "images", len(paths) - asked, asked)
        images = {
            os.path.abspath(path): {"cache_key": key, "patient_id": patient}
            for path, key, _, patient in found
        }
        self._note(folder, {"model": str(vae_weights), "patch_size": list(patch_size)}, images)
        return np.stack([latent for _, _, latent, _ in found]), [each[3] for each in found], paths

    def _note(self, folder: Path, facts: dict[str, Any], images: dict[str, Any]) -> None:
        known = _metadata(folder).get("images", {})
        if not images.items() <= known.items():
            write_json(folder / _METADATA, {**facts, "images": {**known, **images}})

    def clear_cache(self, signature: str | None = None) -> None:
        """Delete the latents of one signature (see `get_cache_stats`), or all."""
        for folder in self._folders():
            if signature in (None, folder.name):
                shutil.rmtree(folder)

    def get_cache_stats(self) -> dict[str, dict[str, Any]]:
        """Return model, patch size, number of images and MB of each signature."""
        stats = {}
        for folder in self._folders():
            facts, files = _metadata(folder), list(folder.glob("*.npz"))
            stats[folder.name] = {
                "model": facts.get("model"),
                "patch_size": facts.get("patch_size"),
                "num_images": len(files),
                "cache_size_mb": sum(file.stat().st_size for file in files) / 1e6,
            }
        return stats

    def _folders(self) -> list[Path]:
        """Return the folders of the cache, and none that is something else."""
        return sorted(path.parent for path in self.cache_root.glob(f"*/{_METADATA}"))


def _signature(weights: str | os.PathLike[str], patch_size: Sequence[int]) -> str:
    digest = xxhash.xxh3_128()
    with open(weights, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return _digest(f"{digest.hexdigest()}_{tuple(map(int, patch_size))}")[:8]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> tuple[Floats, str] | None:
    """Return what is kept, or None where there is nothing that can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["latent"], np.float32), str(file["patient_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s cannot be used (%s); the image is encoded again.", path, error)
        return None


def _metadata(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / _METADATA).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return facts
