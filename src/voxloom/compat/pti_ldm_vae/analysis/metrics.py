"""The older comparison of made images with true ones, over `voxloom.analysis.evaluate`."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxloom.analysis.evaluation import Evaluation
from voxloom.analysis.judge import evaluate
from voxloom.analysis.summary import METRICS
from voxloom.errors import ConfigError
from voxloom.seeding import rng_for

__all__ = ["ImageComparison"]

logger = logging.getLogger(__name__)

_MODES = ("all", "random_n", "last_n")
_TRUE, _MADE = "edente", "edente_synth"

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]


class ImageComparison:
    """Compares the images of folders named ``edente`` with those of ``edente_synth`` beside them.

    Both sides have one rule for what is foreground, images are compared as they lie, and nothing is
    written among the data: an image compared with itself is perfect. See `voxloom.analysis.evaluate`.

    Parameters
    ----------
    apply_otsu_mask
        Has never done anything.
    """

    def __init__(self, apply_otsu_mask: bool = False) -> None:
        if apply_otsu_mask:
            logger.warning("apply_otsu_mask has no effect, and never had.")

    def process_all_images(
        self,
        folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        mode: str = "all",
        n: int | None = None,
        verbose: bool = False,
        save_csv: bool | str | os.PathLike[str] = False,
    ) -> tuple[dict[str, float], dict[str, Interval]]:
        """Return the mean of each metric, and its 95 % interval, mean ± 1.96 deviations / √n.

        Parameters
        ----------
        folders
            Folders of true images; the made ones are where ``edente_synth`` stands in the place of
            ``edente`` in the path.
        mode
            ``all``; ``random_n``: `n` images drawn by a fixed seed; ``last_n``: the last `n` by name.
        n
            How many.
        verbose
            Log what was found.
        save_csv
            Write ``per_image.csv`` and ``summary.json`` of each folder: True for a folder ``evaluation``
            beside the made images, or the path of a folder.

        Raises
        ------
        ConfigError
            On another mode, or a mode without its number.
        DataError
            When there is nothing to compare.
        """
        if mode not in _MODES or (mode != "all" and not n):
            raise ConfigError(
                f"mode {mode!r} with n = {n}: expected all, or random_n or last_n and a number."
            )
        named = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
        found = [evaluate(_made(Path(folder)), Path(folder)) for folder in named]
        if save_csv:
            self._save(found, save_csv)
        table = {name: _chosen(found, name, mode, n or 0) for name in METRICS}
        means = {name: float(np.mean(v)) if len(v) else math.nan for name, v in table.items()}
        if verbose:
            for name, mean in means.items():
                logger.info("%s: %.4f over %d images", name, mean, len(table[name]))
        return means, {name: _interval(values) for name, values in table.items()}

    @staticmethod
    def _save(found: Sequence[Evaluation], place: bool | str | os.PathLike[str]) -> None:
        for number, each in enumerate(found):
            beside = Path(each.folders["prediction"]).parent / "evaluation"
            output = beside if isinstance(place, bool) else Path(place)
            each.save(output if len(found) == 1 else output / str(number), overwrite=True)


def _made(folder: Path) -> Path:
    parts = [_MADE if part == _TRUE else part for part in folder.parts]
    if parts == list(folder.parts):
        raise ConfigError(f"{folder}: expected a folder named {_TRUE}, with {_MADE} beside it.")
    return Path(*parts)


def _chosen(found: Sequence[Evaluation], metric: str, mode: str, n: int) -> Values:
    values = np.concatenate([each.values(metric) for each in found])
    if mode == "random_n":
        rows = rng_for(0, "comparison").permutation(len(values))[:n]
        values = values[np.sort(rows)]
    elif mode == "last_n":
        values = values[-n:]
    known: Values = values[~np.isnan(values)]
    return known


def _interval(values: Values) -> Interval:
    if not np.isfinite(values).all() or not len(values):  # the PSNR of equal images is infinite
        return math.nan, math.nan
    mean, half = float(values.mean()), 1.96 * float(values.std()) / math.sqrt(len(values))
    return mean - half, mean + half
