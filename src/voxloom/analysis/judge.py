"""Measure a folder of predictions against a folder of targets, file by file."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from voxloom import metrics
from voxloom.analysis.evaluation import MODEL, Evaluation, Failure, Row
from voxloom.analysis.foreground import MaskRule
from voxloom.analysis.listing import images_by_name
from voxloom.errors import ConfigError, DataError, PairingError, SchemaError
from voxloom.sources.decode import ReadPolicy
from voxloom.sources.images import read_image

__all__ = ["evaluate"]

Array = npt.NDArray[Any]
Files = Mapping[str, Mapping[str, Path]]

_log = logging.getLogger(__name__)
_SMALL_SHARE = 0.1  # of an integer type's range: below it the default range is probably not meant


def evaluate(
    pred_dir: str | Path,
    target_dir: str | Path,
    *,
    baselines: Mapping[str, str | Path] | None = None,
    data_range: float | None = None,
    mask: MaskRule | None = None,
    policy: ReadPolicy | None = None,
) -> Evaluation:
    """Compare the images of two folders that have the same name, full-frame and in the foreground.

    The foreground is where `mask` holds in the target, whatever was predicted. An image that cannot
    be read or does not fit is counted with its reason, and so is a name without a partner; neither
    stops the others. Nothing is written.

    Parameters
    ----------
    pred_dir, target_dir
        Folders of single-channel images, paired by file stem. A folder with none of its own may hold
        folders of images, paired by ``<subfolder>/<stem>``.
    baselines
        Name -> folder of images to measure in the same way, on the images that the prediction was
        measured on: for instance ``{"copy": condition_dir}``, what a model has to beat.
    data_range
        Largest minus smallest possible value. Default: the range of the targets' integer type, or
        for floats the maximum minus the minimum over all targets.
    mask
        What foreground means, by default `MaskRule()`.
    policy
        What happens to colour, several pages and values that are not finite.

    Raises
    ------
    MissingDataError
        When a folder does not exist or holds no image.
    PairingError
        When no name stands in both folders.
    DataError
        When not one image could be measured.
    ConfigError
        When the data range is not positive or cannot be found.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources.write import write_image
    >>> folder = Path(mkdtemp())
    >>> target = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    >>> write_image(folder / "target" / "a.tif", target)
    >>> write_image(folder / "prediction" / "a.tif", target)
    >>> found = evaluate(folder / "prediction", folder / "target", data_range=1.0)
    >>> [float(found.values(name)[0]) for name in ("psnr", "ssim", "dice", "iou")]
    [inf, 1.0, 1.0, 1.0]
    """
    mask, policy = mask or MaskRule(), policy or ReadPolicy()
    folders = {"target": Path(target_dir), MODEL: Path(pred_dir)}
    folders |= {name: Path(folder) for name, folder in (baselines or {}).items()}
    files = {role: images_by_name(folder) for role, folder in folders.items()}
    names = [name for name in files["target"] if name in files[MODEL]]
    if not names:
        raise PairingError(_nothing_in_common(folders, files))
    data_range, origin = _data_range(data_range, files["target"].values(), policy)
    judge = _Judge(data_range, mask, policy)
    results = [result for name in names for result in judge.image(name, files)]
    rows = tuple(
        sorted((r for r in results if isinstance(r, Row)), key=lambda r: list(folders).index(r.method))
    )
    failures = tuple(r for r in results if isinstance(r, Failure))
    if not rows:
        first = failures[0]
        raise DataError(f"none of {len(names)} images could be measured. {first.name}: {first.reason}")
    return Evaluation(
        folders={role: str(folder) for role, folder in folders.items()},
        data_range=data_range,
        data_range_origin=origin,
        mask=mask,
        rows=rows,
        failures=failures,
        unmatched=_unmatched(files),
    )


@dataclass(frozen=True)
class _Judge:
    data_range: float
    mask: MaskRule
    policy: ReadPolicy

    def image(self, name: str, files: Files) -> list[Row | Failure]:
        """Measure one name: the baselines only where the prediction could be measured."""
        try:
            target = read_image(files["target"][name], self.policy)
        except DataError as error:
            return [Failure("target", name, str(error))]
        results: list[Row | Failure] = []
        for method in files:
            if method != "target" and name in files[method]:
                results.append(self._method(method, name, files[method][name], target))
                if method == MODEL and isinstance(results[-1], Failure):
                    break
        return results

    def _method(self, method: str, name: str, path: Path, target: Array) -> Row | Failure:
        try:
            return Row(method, name, self._measured(read_image(path, self.policy), target))
        except (DataError, SchemaError) as error:
            return Failure(method, name, str(error))

    def _measured(self, pred: Array, target: Array) -> dict[str, float]:
        if pred.shape != target.shape:
            raise SchemaError(
                f"shapes differ: {_size(pred)} pixels, and the target has {_size(target)}. "
                "Predict at the original size."
            )
        p, t = (torch.from_numpy(image.astype(np.float64))[None] for image in (pred, target))
        found, inside = (
            torch.from_numpy(self.mask(image, data_range=self.data_range))[None] for image in (pred, target)
        )
        values = {
            "psnr": metrics.psnr(p, t, data_range=self.data_range),
            "ssim": metrics.ssim(p, t, data_range=self.data_range),
            "mae": metrics.mae(p, t),
            "psnr_masked": metrics.psnr(p, t, data_range=self.data_range, mask=inside),
            "ssim_masked": metrics.ssim(p, t, data_range=self.data_range, mask=inside),
            "mae_masked": metrics.mae(p, t, mask=inside),
            "dice": metrics.dice(found, inside),
            "iou": metrics.iou(found, inside),
        }
        return {metric: value.item() for metric, value in values.items()}


def _data_range(given: float | None, targets: Iterable[Path], policy: ReadPolicy) -> tuple[float, str]:
    """Return the range and where it comes from; only without a given one the targets are read."""
    if given is not None:
        if not (given > 0 and math.isfinite(given)):
            raise ConfigError(f"data range {given}: expected a positive number, for instance 255 for uint8.")
        return float(given), "given"
    dtypes, lows, highs = _extent(targets, policy)
    if len(dtypes) > 1:
        kinds = ", ".join(sorted(map(str, dtypes)))
        raise ConfigError(
            f"the targets have several types ({kinds}): state the data range with --data-range."
        )
    if not dtypes:
        raise DataError("no target could be read, so there is no data range. Check the target folder.")
    low, high, dtype = min(lows), max(highs), dtypes.pop()
    if dtype.kind in "iu":
        return _integer_range(dtype, low, high)
    if high == low:
        raise ConfigError(f"all targets have the one value {low:g}: state the data range with --data-range.")
    return high - low, f"maximum {high:g} minus minimum {low:g} of {len(lows)} targets"


def _extent(
    targets: Iterable[Path], policy: ReadPolicy
) -> tuple[set[np.dtype[Any]], list[float], list[float]]:
    dtypes, lows, highs = set(), [], []
    for path in targets:
        try:
            image = read_image(path, policy)
        except DataError:
            continue  # it is counted when its turn comes to be measured
        dtypes.add(image.dtype)
        lows.append(float(image.min()))
        highs.append(float(image.max()))
    return dtypes, lows, highs


def _integer_range(dtype: np.dtype[Any], low: float, high: float) -> tuple[float, str]:
    limits = np.iinfo(dtype)
    span = float(limits.max) - float(limits.min)
    if high - low < _SMALL_SHARE * span:
        _log.warning(
            "the targets' values go from %g to %g, and the data range was taken from their type, %s: %g. "
            "PSNR and SSIM look better than they are; state the range with --data-range.",
            low,
            high,
            dtype,
            span,
        )
    return span, f"range of the targets' type, {dtype}; their values go from {low:g} to {high:g}"


def _unmatched(files: Files) -> dict[str, tuple[str, ...]]:
    """For target and prediction the names that the other lacks; for a baseline those that it lacks."""
    target, pred = files["target"], files[MODEL]
    both = [name for name in target if name in pred]
    lacking = {
        f"missing in {role}": tuple(name for name in both if name not in files[role])
        for role in files
        if role not in ("target", MODEL)
    }
    return {
        "only in target": tuple(name for name in target if name not in pred),
        "only in prediction": tuple(name for name in pred if name not in target),
        **lacking,
    }


def _nothing_in_common(folders: Mapping[str, Path], files: Files) -> str:
    found = " and ".join(
        f"{len(files[role])} images in {folders[role]} (such as {next(iter(files[role]))})"
        for role in (MODEL, "target")
    )
    return f"no name stands in both folders: {found}. Images are paired by file name without suffix."


def _size(image: Array) -> str:
    return " x ".join(map(str, image.shape[-2:]))
