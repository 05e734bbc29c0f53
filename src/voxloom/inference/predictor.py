"""A model over a source: one file a sample, under the sample's own name.

::

    <output>/prediction/NAME.tif      float32
    <output>/condition/NAME.tif       what it was made from (`original` for a reconstruction)
    <output>/target/NAME.tif          what it should be, where that is known
    <output>/deviation/NAME.tif       standard deviation of several predictions
    <output>/panels/NAME.png          all of it side by side, in one intensity window
    <output>/predict.json             how it was made; written last
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from voxloom.atomic import write_json
from voxloom.errors import OutputExistsError
from voxloom.inference.translators import Translator
from voxloom.loading import Batch, Loader, Order
from voxloom.panels import panel
from voxloom.sample import Array, Sample
from voxloom.source import Source
from voxloom.sources import write_image
from voxloom.transforms import Preparation

__all__ = ["Predictor", "make_output"]

Progress = Callable[[int, int], object]

WRITTEN = ("prediction", "condition", "original", "target", "deviation", "panels")
"""The folders that a prediction may write."""


@dataclass(frozen=True)
class Predictor:
    """Run a translator over a source and write what comes out.

    Attributes
    ----------
    translator
        The model.
    preparation
        Resizing and normalisation, as in training.
    size
        Height and width that the network works at.
    device
        Where it computes.
    precision
        Type of the networks' arithmetic; None is float32.
    batch_size, num_workers
        Images at once, and processes that read ahead. Neither changes a prediction.
    num_samples
        Predictions of each image; with more than one, mean and deviation are written.
    original_size
        Whether outputs are given in the size of the file instead of `size`.
    """

    translator: Translator
    preparation: Preparation
    size: tuple[int, int]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype | None = None
    batch_size: int = 8
    num_workers: int = 0
    num_samples: int = 1
    original_size: bool = False

    def run(
        self,
        source: Source,
        output: Path,
        *,
        given: str = "condition",
        facts: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Predict every sample of a source.

        Parameters
        ----------
        source
            Samples with the field `given`, and ``target`` where it is known.
        output
            An empty or new folder.
        given
            The field that is translated.
        facts
            What ``predict.json`` shall say beside.
        progress
            Told (done, total) in images.

        Returns
        -------
        dict
            What ``predict.json`` says.
        """
        done = 0
        for batch in self._batches(source):
            for key, images in self._images(batch, given):
                if self.original_size:
                    read = source[_index(batch, key)]
                    images |= self._at_full_size(read, images, given)
                self._write(output, key, images, given)
                done += 1
                if progress is not None:
                    progress(done, len(source))
        record = {
            "kind": "voxloom-prediction",
            "format_version": 1,
            **(facts or {}),
            "images": done,
            "units": "file" if self.preparation.is_invertible else "normalised",
            "original_size": self.original_size,
            "samples_per_image": self.num_samples,
            **self.translator.describe(),
        }
        write_json(output / "predict.json", record)
        return record

    def _batches(self, source: Source) -> Loader:
        order = Order(length=len(source), batch_size=self.batch_size, seed=0, shuffle=False)
        transform = self.preparation.transform(self.size)
        return Loader(source, transform, order=order, seed=0, num_workers=self.num_workers)

    @torch.no_grad()
    def _images(self, batch: Batch, given: str) -> Iterator[tuple[str, dict[str, Array]]]:
        image = batch[given].to(self.device)
        enabled = self.precision is not None
        with torch.autocast(self.device.type, self.precision or torch.float32, enabled=enabled):
            drawn = [self.translator(image, batch.keys, i).cpu().numpy() for i in range(self.num_samples)]
        mean = np.mean(drawn, axis=0)
        results = {given: batch[given].numpy(), "prediction": mean}
        if "target" in batch.fields:
            results["target"] = batch["target"].numpy()
        if self.num_samples > 1:
            results["deviation"] = np.std(drawn, axis=0)
        for i, key in enumerate(batch.keys):
            yield key, {name: array[i] for name, array in results.items()}

    def _at_full_size(self, read: Sample, images: dict[str, Array], given: str) -> dict[str, Array]:
        """Bring what was predicted to the file's size; what was read is not resized twice."""
        height, width = read[given].shape[-2:]
        resize = self.preparation.resize(self.size)
        normalised = self.preparation.normalization(read, np.random.default_rng(0))
        made = {
            n: resize.invert(images[n], (height, width)) for n in ("prediction", "deviation") if n in images
        }
        return {name: normalised[name] for name in (given, "target") if name in read} | made

    def _write(self, output: Path, key: str, images: dict[str, Array], given: str) -> None:
        restored = {name: self._restored(name, image) for name, image in images.items()}
        for name, image in restored.items():
            write_image(output / name / f"{key}.tif", image)
        order = [n for n in (given, "target", "prediction") if n in restored]
        row = [(name, restored[name][0]) for name in order]
        path = output / "panels" / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(panel(row, difference="target" in restored or given == "original")).save(path)

    def _restored(self, name: str, image: Array) -> Array:
        if name != "deviation":
            return self.preparation.restore(image)
        # A deviation has no offset: what zero is turned into is taken off again.
        return self.preparation.restore(image) - self.preparation.restore(np.zeros_like(image))


def make_output(folder: Path, *, overwrite: bool) -> None:
    """Make a folder for predictions; of older ones, only what a prediction writes is removed.

    Raises
    ------
    OutputExistsError
        When it holds something and is not to be overwritten, or holds something else than predictions.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise OutputExistsError(
                f"output folder {folder} exists already. "
                "Name another one (--output-dir), or replace it (--overwrite)."
            )
        if not any((folder / name).exists() for name in ("predict.json", "prediction")):
            raise OutputExistsError(
                f"{folder} holds files that are no predictions, so it is not replaced. "
                "Name another --output-dir."
            )
        for name in WRITTEN:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "predict.json").unlink(missing_ok=True)
        if (folder / "evaluation" / "summary.json").is_file():  # it tells of the older predictions
            shutil.rmtree(folder / "evaluation")
    folder.mkdir(parents=True, exist_ok=True)


def _index(batch: Batch, key: str) -> int:
    return batch.indices[batch.keys.index(key)]
