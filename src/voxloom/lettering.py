"""Letters on pictures: a font that has them, and never a box in the place of one."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

from PIL import ImageFont

__all__ = ["drawable"]

_SYSTEM = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "NotoSansJP-Regular.otf",
    "NotoSansKR-Regular.otf",
    "SourceHanSans-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "unifont.ttf",
)
_NOWHERE = "\U0010ffff"  # no font has it: what is drawn for it is the box


def drawable(text: str, size: float) -> tuple[str, Any]:
    """Return a text in one line and a font that has all its letters.

    Pillow's own font comes first, then what this system has. Where none has all of them, accents are
    left out, and the letters that are still missing are written as Python escapes them.

    Parameters
    ----------
    text
        What is to be drawn.
    size
        Of the letters, in pixels.

    Examples
    --------
    >>> drawable("a  cat\\n", 12)[0]
    'a cat'
    """
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    own = _own(size)
    for font in (own, *_of_system(size)):
        if all(_has(font, letter) for letter in text):
            return text, font
    return "".join(_replaced(own, letter) for letter in text), own


def _replaced(font: Any, letter: str) -> str:
    if _has(font, letter):
        return letter
    parted = unicodedata.normalize("NFKD", letter)
    bare = "".join(part for part in parted if not unicodedata.combining(part))
    if bare and all(_has(font, part) for part in bare):
        return bare
    return letter.encode("unicode_escape").decode()


@cache
def _own(size: float) -> Any:
    return ImageFont.load_default(size)


@cache
def _of_system(size: float) -> tuple[Any, ...]:
    found = []
    for name in _SYSTEM:
        try:
            found.append(ImageFont.truetype(name, size))
        except (OSError, ImportError):  # not here, or a Pillow without FreeType
            continue
    return tuple(found)


@cache
def _has(font: Any, letter: str) -> bool:
    """Whether a font has a glyph for a letter: what it draws is not its box for unknown ones."""
    if " " <= letter <= "~":
        return True
    if not letter.isprintable():
        return False
    try:
        return _shape(font, letter) != _shape(font, _NOWHERE)
    except UnicodeEncodeError:  # Pillow's font of pixels knows Latin-1 alone
        return False


def _shape(font: Any, letter: str) -> tuple[bytes, tuple[int, int]]:
    mask = font.getmask(letter)
    return bytes(mask), mask.size
