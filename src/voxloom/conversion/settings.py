"""What a conversion makes of its source."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import ConfigError
from voxloom.formats.names import FORMATS
from voxloom.registry import did_you_mean

__all__ = ["Conversion"]

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def _bytes(value: Any) -> Any:
    """Read ``256MB``, ``1.5 GiB`` or a plain number of bytes; MB are 10**6 and MiB 2**20."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value.lower())
    if match is None:
        raise ValueError(f"{value!r}: expected a number of bytes, for instance 256MB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _UNITS[match[2]])


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"{name!r}: expected one of {', '.join(FORMATS)}.{did_you_mean(name, FORMATS)}")
    return name


class Conversion(Component):
    """The settings of a conversion. What it makes depends on them and on the source alone.

    Examples
    --------
    >>> Conversion(format="memmap", size=(224, 256), mode="RGB", shard_bytes="1GB").shard_bytes
    1000000000
    >>> Conversion.of(sise=(2, 2))
    Traceback (most recent call last):
    voxloom.errors.ConfigError: sise: no such setting of a conversion. Did you mean 'size'?
    """

    format: Annotated[str, AfterValidator(_known_format)] = "arrow"
    """How a shard lies on disk, a name of ``voxloom.formats.FORMATS``."""
    samples_per_shard: Annotated[int, Setting(ge=1)] | None = None
    """Samples of each shard but the last; None takes as many as `shard_bytes` holds."""
    shard_bytes: Annotated[int, BeforeValidator(_bytes), Setting(ge=1)] = 2**28
    """Size to aim at for a shard: a number of bytes, or a text such as ``256MB``."""
    size: tuple[Annotated[int, Setting(ge=1)], Annotated[int, Setting(ge=1)]] | None = None
    """Height and width, in pixels, that each image and mask is brought to; None leaves them."""
    mode: Literal["1", "L", "LA", "RGB", "RGBA", "I;16", "I", "F"] | None = None
    """Pillow's name of the pixels that each image is brought to; masks keep theirs."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box"] = "bilinear"
    """How images are resized, antialiased when they shrink; masks always take the nearest pixel."""
    encoding: Literal["auto", "file", "raw", "fixed", "npy", "blosc", "png", "jpeg"] = "auto"
    """How images lie in the store. ``auto`` copies files as they are, stores as plain arrays what is
    known to have one size, and everything else as npy. ``raw`` decodes and does not compress: plain
    arrays where up to 256 samples, evenly spread, have one size, else npy."""
    quality: Annotated[int, Setting(ge=1, le=100)] = 95
    """Quality of JPEG, where `encoding` asks for it."""
    compression: str = "none"
    """A compression of the format's own, for instance ``gzip`` of HDF5."""
    on_error: Literal["fail", "skip"] = "fail"
    """Whether a sample that cannot be read or does not fit ends the conversion, or is left out and listed."""

    check: Literal["ends", "decode"] = "ends"
    """What is asked of a file before it is copied: that it is there to its end, which costs
    microseconds (see ``voxloom.formats.ends``), or that it can be decoded, which finds all damage."""

    @property
    def changes_pixels(self) -> bool:
        """Whether images are brought to another size or mode."""
        return self.size is not None or self.mode is not None

    @classmethod
    def of(cls, **settings: Any) -> Conversion:
        """Check settings, and say what is wrong with them in their own words.

        Raises
        ------
        ConfigError
            For an unknown setting, a value that is not allowed, or settings that exclude each other.
        """
        try:
            made = cls(**settings)
        except ValidationError as error:
            raise ConfigError("\n".join(_reason(detail) for detail in error.errors())) from error
        made._check()
        return made

    def _check(self) -> None:
        if self.encoding == "file" and self.changes_pixels:
            raise ConfigError(
                "encoding='file' copies files as they are, and size and mode change them; "
                "expected one or the other. Leave encoding out, or name fixed, npy, blosc, png or jpeg."
            )
        if "quality" in self.model_fields_set and self.encoding != "jpeg":
            raise ConfigError(
                f"quality={self.quality} is that of JPEG, and encoding={self.encoding!r} makes none. "
                "Leave quality out, or give encoding='jpeg'."
            )
        known = FORMATS[self.format].compressions
        if self.compression not in known:
            near = did_you_mean(self.compression, known)
            raise ConfigError(
                f"compression {self.compression!r}: the format {self.format} has {', '.join(known)}.{near}"
            )


def _reason(detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{name}: no such setting of a conversion.{did_you_mean(name, Conversion.model_fields)}"
    if detail["type"] == "value_error":
        return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
    return f"{name}: {detail['input']!r} is not allowed. {detail['msg']}."
