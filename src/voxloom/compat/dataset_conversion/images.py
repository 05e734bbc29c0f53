"""What the older library did to single images: size and mode, the number of channels, the bytes of a file."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from voxloom.errors import ConfigError, SchemaError
from voxloom.sources.unread import unread_bytes

__all__ = ["ResizeAndConvert", "get_number_of_channels", "image_to_binary"]

_CHANNELS = {
    **dict.fromkeys(("1", "L", "P", "I", "F", "I;16"), 1),
    **dict.fromkeys(("LA", "PA"), 2),
    **dict.fromkeys(("RGB", "YCbCr", "LAB", "HSV"), 3),
    **dict.fromkeys(("RGBA", "CMYK", "RGBX"), 4),
}
_INDEXED = ("P", "PA", "1")
_IN_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


class ResizeAndConvert:
    """Bring a PIL image to a size and a mode: a transform for datasets.

    Parameters
    ----------
    size
        Height and width in pixels; `shape` is another name for it.
    mode
        Pillow's name of the mode.
    interpolation
        A name of ``PIL.Image.Resampling``. Images of a palette or of one bit take the nearest pixel
        whatever it is, so that masks keep their colours; say ``nearest`` for other masks.

    Raises
    ------
    ConfigError
        If the size is not two positive integers, or a mode or interpolation is unknown.

    Examples
    --------
    >>> ResizeAndConvert((20, 30), "L")(Image.new("RGB", (8, 8))).size  # Pillow's is (width, height)
    (30, 20)
    """

    def __init__(
        self, size: Any = None, mode: str = "RGB", *, shape: Any = None, interpolation: str = "bicubic"
    ) -> None:
        self.size = self.shape = checked_size(shape if size is None else size)
        get_number_of_channels(mode)
        self.mode = mode
        known = Image.Resampling.__members__
        if interpolation.upper() not in known:
            names = ", ".join(known).lower()
            raise ConfigError(f"interpolation {interpolation!r}: expected one of {names}")
        self.interpolation = interpolation.lower()

    def __repr__(self) -> str:
        return f"ResizeAndConvert({self.size}, {self.mode!r})"

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the image in that mode and size."""
        height, width = self.size
        indexed = image.mode in _INDEXED
        image = image if indexed or image.mode == self.mode else image.convert(self.mode)
        how = "nearest" if indexed else self.interpolation
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling[how.upper()])
        return image if image.mode == self.mode else image.convert(self.mode)


def checked_size(size: Any) -> tuple[int, int]:
    """Return (height, width), or say that it is none.

    Raises
    ------
    ConfigError
        If it is not two positive integers.
    """
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError):
        raise ConfigError(
            f"shape={size!r}: expected the height and the width, for instance (224, 256)"
        ) from None
    if height < 1 or width < 1:
        raise ConfigError(f"shape={size!r}: expected a height and a width of one pixel at least")
    return height, width


def get_number_of_channels(mode: str) -> int:
    """Return the number of channels of one of Pillow's modes.

    Raises
    ------
    ConfigError
        If it is no mode of Pillow's.

    Examples
    --------
    >>> get_number_of_channels("RGB"), get_number_of_channels("I;16")
    (3, 1)
    """
    if mode not in _CHANNELS:
        raise ConfigError(f"mode {mode!r} is not supported. Known: {', '.join(_CHANNELS)}.")
    return _CHANNELS[mode]


def image_to_binary(image: Image.Image) -> bytes:
    """Return the bytes of an image file that loses nothing.

    They are the file's own as long as nothing has changed the image since it was opened; else those of
    a PNG, or of a TIFF where PNG does not have the mode.

    Raises
    ------
    SchemaError
        If no such file holds the mode, as for HSV.

    Examples
    --------
    >>> image_to_binary(Image.new("L", (3, 2)))[1:4], image_to_binary(Image.new("F", (3, 2)))[:2]
    (b'PNG', b'II')
    """
    data = unread_bytes(image)
    if data is not None:
        return data
    file = io.BytesIO()
    try:
        image.save(file, "PNG" if image.mode in _IN_PNG else "TIFF")
    except OSError as error:
        raise SchemaError(
            f"an image of mode {image.mode} does not go into a file without loss ({error}). "
            "Convert it to RGB first."
        ) from error
    return file.getvalue()
