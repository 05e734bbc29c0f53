"""The bytes behind an image that Pillow has opened and not read yet."""

from __future__ import annotations

import io

from PIL import Image, ImageFile, UnidentifiedImageError

from voxloom.errors import UnreadableImageError
from voxloom.formats.encoding import sniff

__all__ = ["unread_bytes"]


def unread_bytes(image: Image.Image) -> bytes | None:
    """Return the file of an image, if it is certain that its pixels are those of the file; else None.

    That is so as long as Pillow has not decoded it: whatever changes pixels decodes them first. The
    bytes are opened once more and compared in what can be changed without decoding: the size that a JPEG
    is to be decoded at, the mode. A file of several frames is no one image.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> Image.new("L", (5, 4)).save(file, "png")
    >>> image = Image.open(file)
    >>> unread_bytes(image) == file.getvalue()
    True
    >>> unread_bytes(image.rotate(90)) is None
    True
    """
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return None
    data = _content(image)
    if data is None:
        return None
    try:
        sniff(data)
        with Image.open(io.BytesIO(data)) as fresh:
            same = _state(fresh) == _state(image) and getattr(fresh, "n_frames", 1) == 1
    except (UnreadableImageError, UnidentifiedImageError, OSError, ValueError):
        return None
    return data if same else None


def _content(image: ImageFile.ImageFile) -> bytes | None:
    file = image.fp
    try:
        if file is None or file.closed:
            return None
        place = file.tell()
        file.seek(0)
        data = file.read()
        file.seek(place)
    except (OSError, ValueError, AttributeError):
        return None
    return bytes(data)


def _state(image: Image.Image) -> tuple[object, ...]:
    config = getattr(image, "decoderconfig", None)
    tiles = [tuple(tile)[:3] for tile in getattr(image, "tile", ())]
    return type(image), image.size, image.mode, image.tell(), config, tiles
