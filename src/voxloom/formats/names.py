"""The table of formats."""

from __future__ import annotations

from voxloom.registry import Registry

__all__ = ["FORMATS"]

FORMATS = Registry(
    "format",
    {
        "arrow": "voxloom.formats.arrow:Arrow",
        "hdf5": "voxloom.formats.hdf5:Hdf5",
        "memmap": "voxloom.formats.memmap:Memmap",
        "parquet": "voxloom.formats.parquet:Parquet",
        "tar": "voxloom.formats.tar:Tar",
    },
)
"""Names of the formats; other packages add theirs through the entry points ``voxloom.formats``."""
