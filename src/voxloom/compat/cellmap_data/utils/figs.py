"""Batches as pictures: raw, ground truth and prediction side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from voxloom.errors import MissingExtraError, SchemaError
from voxloom.lettering import drawable
from voxloom.panels import Window, shaded, window_of

__all__ = ["fig_to_image", "get_fig_dict", "get_image_dict", "get_image_grid", "get_image_grid_numpy"]

Picture = npt.NDArray[np.uint8]
Column = tuple[str, list[Picture]]
Limits = Sequence[float] | None

_DOTS = 100  # of an inch, as figures have it
_TITLE, _GAP, _GROUND, _INK, _RED = 20, 4, (255, 255, 255), (0, 0, 0), (220, 30, 30)


def get_image_grid_numpy(
    input_data: torch.Tensor,
    target_data: torch.Tensor,
    outputs: torch.Tensor,
    classes: Sequence[str],
    batch_size: int | None = None,
    fig_size: int = 3,
    clim: Limits = None,
    cmap: str | None = None,
) -> Picture:
    """Draw a batch: a row a sample; the raw patch, what the targets cover of it, then each class.

    Parameters
    ----------
    input_data
        (B, C, [z,] y, x): the first channel is shown, of a volume the middle slice along z.
    target_data, outputs
        (B, classes, [z,] y, x), as large as the input or smaller around the same centre.
    classes
        Their names.
    batch_size
        How many samples are shown; None for all.
    fig_size
        Inches of a picture.
    clim
        The values drawn black and white; None for the percentiles of each picture.
    cmap
        Name of a colour map of matplotlib; None for grey.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 4): red, green, blue, opacity.

    Examples
    --------
    >>> raw, labels = torch.rand(2, 1, 8, 16, 16), torch.rand(2, 1, 4, 8, 8)
    >>> get_image_grid_numpy(raw, labels, labels, ["mito"], fig_size=1).shape
    (232, 420, 4)
    """
    shown = _Shown(input_data, target_data, outputs, number=batch_size, inches=fig_size)
    columns = [*shown.raw(_window(clim), cmap)]
    for k, name in enumerate(classes):
        columns.append((f"{name} GT", shown.cells(shown.targets[:, k], _window(clim), cmap)))
        columns.append((f"{name} Pred.", shown.cells(shown.outputs[:, k], _window(clim), cmap)))
    return _opaque(_table(columns))


def get_image_grid(
    input_data: torch.Tensor,
    target_data: torch.Tensor,
    outputs: torch.Tensor,
    classes: Sequence[str],
    batch_size: int | None = None,
    fig_size: int = 3,
    clim: Limits = None,
    cmap: str | None = None,
) -> Any:
    """Return what `get_image_grid_numpy` draws as a figure of matplotlib.

    Raises
    ------
    MissingExtraError
        An ImportError; if matplotlib is not installed.
    """
    return _figure(
        get_image_grid_numpy(input_data, target_data, outputs, classes, batch_size, fig_size, clim, cmap)
    )


def get_image_dict(
    input_data: torch.Tensor,
    target_data: torch.Tensor,
    outputs: torch.Tensor,
    classes: Sequence[str],
    batch_size: int | None = None,
    fig_size: int = 3,
    clim: Limits = None,
    colorbar: bool = True,
    colorbar_size: float = 0.1,
    gt_clim: Limits = (0, 1),
) -> dict[str, Picture]:
    """Draw a picture for each class: raw, ground truth, prediction, and what the greys mean.

    Parameters
    ----------
    colorbar
        Whether there is a bar of the prediction's greys, with its values at the ends.
    colorbar_size
        Its width, in pictures.
    gt_clim
        The values of the ground truth drawn black and white.
    input_data, target_data, outputs, classes, batch_size, fig_size, clim
        As in `get_image_grid_numpy`.

    Examples
    --------
    >>> raw, labels = torch.rand(2, 1, 16, 16), torch.rand(2, 2, 16, 16)
    >>> pictures = get_image_dict(raw, labels, labels, ["mito", "er"], fig_size=1)
    >>> {name: picture.dtype.name for name, picture in pictures.items()}
    {'mito': 'uint8', 'er': 'uint8'}
    """
    shown = _Shown(input_data, target_data, outputs, number=batch_size, inches=fig_size)
    raw, pictures = [*shown.raw(_window(clim), None)], {}
    for k, name in enumerate(classes):
        window = _window(clim) or window_of(shown.outputs[:, k])
        columns = [*raw, (f"{name} GT", shown.cells(shown.targets[:, k], _window(gt_clim), None))]
        columns.append((f"{name} Pred.", shown.cells(shown.outputs[:, k], window, None)))
        if colorbar:
            bar = _bar(shown.side, max(8, round(colorbar_size * shown.side)))
            columns.append((f"{window[0]:.3g} to {window[1]:.3g}", [bar] * len(shown.outputs)))
        pictures[name] = _opaque(_table(columns))
    return pictures


def get_fig_dict(
    input_data: torch.Tensor,
    target_data: torch.Tensor,
    outputs: torch.Tensor,
    classes: Sequence[str],
    batch_size: int | None = None,
    fig_size: int = 3,
    clim: Limits = None,
    colorbar: bool = True,
    colorbar_size: float = 0.1,
    gt_clim: Limits = (0, 1),
) -> dict[str, Any]:
    """Return what `get_image_dict` draws as figures of matplotlib.

    Raises
    ------
    MissingExtraError
        An ImportError; if matplotlib is not installed.
    """
    pictures = get_image_dict(
        input_data,
        target_data,
        outputs,
        classes,
        batch_size,
        fig_size,
        clim,
        colorbar,
        colorbar_size,
        gt_clim,
    )
    return {name: _figure(picture) for name, picture in pictures.items()}


def fig_to_image(fig: Any) -> Picture:
    """Return a figure of matplotlib as an array.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 4).
    """
    backend = _matplotlib("backends.backend_agg")
    canvas = backend.FigureCanvasAgg(fig)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


class _Shown:
    """The slices of a batch that are shown, and how large."""

    def __init__(
        self,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        outputs: torch.Tensor,
        *,
        number: int | None,
        inches: int,
    ) -> None:
        self.inputs, self.targets, self.outputs = (
            _slices(each)[:number] for each in (inputs, targets, outputs)
        )
        self.side = max(1, round(inches * _DOTS))

    def raw(self, window: Window | None, cmap: str | None) -> Iterator[Column]:
        """Yield the whole raw patch, and the part that the targets cover where it is smaller."""
        whole = self.inputs[:, 0]
        top, left, height, width = _middle(whole.shape[1:], self.targets.shape[2:])
        cells = self.cells(whole, window, cmap)
        if (height, width) == whole.shape[1:]:
            yield "Raw", cells
            return
        share = self.side / max(whole.shape[1:])
        frame = [round(v * share) for v in (left, top, left + width, top + height)]
        yield "Full FOV", [_framed(cell, frame) for cell in cells]
        part = whole[:, top : top + height, left : left + width]
        yield "Raw", self.cells(part, window, cmap)

    def cells(self, images: npt.NDArray[Any], window: Window | None, cmap: str | None) -> list[Picture]:
        """Draw images (B, y, x), their longer sides `side` pixels."""
        return [self._cell(image, window or window_of(image), cmap) for image in images]

    def _cell(self, image: npt.NDArray[Any], window: Window, cmap: str | None) -> Picture:
        drawn = shaded(image, window)
        if cmap is not None:
            drawn = (_matplotlib("").colormaps[cmap](drawn[..., 0])[..., :3] * 255).round().astype(np.uint8)
        height, width = (max(1, round(n * self.side / max(image.shape))) for n in image.shape)
        return np.asarray(Image.fromarray(drawn).resize((width, height), Image.Resampling.NEAREST))


def _slices(data: torch.Tensor) -> npt.NDArray[Any]:
    """Return (B, C, y, x): of volumes the middle slice along z."""
    array = data.detach().float().cpu().numpy()
    if array.ndim not in (4, 5):
        raise SchemaError(f"a batch of shape {array.shape}: expected (B, C, y, x) or (B, C, z, y, x)")
    return array if array.ndim == 4 else array[:, :, array.shape[2] // 2]


def _middle(whole: Sequence[int], part: Sequence[int]) -> tuple[int, int, int, int]:
    height, width = (min(a, b) for a, b in zip(whole, part, strict=True))
    return (whole[0] - height) // 2, (whole[1] - width) // 2, height, width


def _window(limits: Limits) -> Window | None:
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _framed(cell: Picture, frame: Sequence[int]) -> Picture:
    image = Image.fromarray(cell)
    ImageDraw.Draw(image).rectangle(tuple(frame), outline=_RED, width=2)
    return np.asarray(image)


def _bar(height: int, width: int) -> Picture:
    ramp = np.linspace(255, 0, height).round().astype(np.uint8)
    return np.broadcast_to(ramp[:, None, None], (height, width, 3))


def _table(columns: Sequence[Column]) -> Image.Image:
    """Draw columns of pictures below their titles."""
    widths = [max(cell.shape[1] for cell in cells) for _, cells in columns]
    rows = [max(c.shape[0] for c in row if c is not None) for row in zip_longest(*(c for _, c in columns))]
    size = (sum(widths) + _GAP * (len(widths) + 1), _TITLE + sum(rows) + _GAP * len(rows) + _GAP)
    canvas = Image.new("RGB", size, _GROUND)
    draw, left = ImageDraw.Draw(canvas), _GAP
    for (title, cells), width in zip(columns, widths, strict=True):
        text, font = drawable(title, 12)
        draw.text((left, _TITLE / 2), text, fill=_INK, font=font, anchor="lm")
        top = _TITLE
        for cell, height in zip(cells, rows, strict=True):
            canvas.paste(Image.fromarray(cell), (left, top))
            top += height + _GAP
        left += width + _GAP
    return canvas


def _opaque(canvas: Image.Image) -> Picture:
    return np.asarray(canvas.convert("RGBA"))


def _figure(picture: Picture) -> Any:
    height, width = picture.shape[:2]
    figure = _matplotlib("figure").Figure(figsize=(width / _DOTS, height / _DOTS), dpi=_DOTS)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    return figure


def _matplotlib(part: str) -> Any:
    try:
        return import_module(f"matplotlib.{part}" if part else "matplotlib")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "matplotlib is not installed, and figures and colour maps are its own: pip install matplotlib. "
            "get_image_dict and get_image_grid_numpy draw in grey without it."
        ) from error
