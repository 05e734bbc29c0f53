"""Importing this makes ``pti_ldm_vae`` mean voxloom's adapters, in this process.

Only on this explicit request: where the original is installed too, it stays what
``import pti_ldm_vae`` means everywhere else.

Examples
--------
>>> import voxloom.compat.aliases
>>> from pti_ldm_vae.utils.visualization import normalize_batch_for_display
>>> normalize_batch_for_display.__module__
'voxloom.compat.pti_ldm_vae.utils.visualization'
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from voxloom.compat.module_paths import SHIM_FOLDER
from voxloom.errors import CompatError

__all__ = ["SHIM_FOLDER", "install"]

logger = logging.getLogger(__name__)

OLD, OURS = "pti_ldm_vae", "voxloom.compat.pti_ldm_vae"
PARTS = ("data", "models", "utils")


def install() -> None:
    """Make the older name and its submodules mean the adapters; a second call changes nothing.

    Raises
    ------
    CompatError
        When another package of the older name has been imported already.
    """
    ours = import_module(OURS)
    there = sys.modules.get(OLD)
    if there is ours:
        return
    if there is not None and Path(there.__file__ or "").parent != SHIM_FOLDER:
        raise CompatError(
            f"{OLD} was imported from {there.__file__} before: expected voxloom.compat.aliases to come "
            "first, so that the two are not mixed. Import it at the top, and restart the notebook."
        )
    _say_who_wins()
    for part in PARTS:
        import_module(f"{OURS}.{part}")
    for name in [name for name in sys.modules if name == OURS or name.startswith(f"{OURS}.")]:
        sys.modules[OLD + name.removeprefix(OURS)] = sys.modules[name]


def _say_who_wins() -> None:
    found = find_spec(OLD)
    origin = Path(found.origin) if found and found.origin else None
    if origin is None or origin.parent == SHIM_FOLDER:
        return
    logger.warning(
        "%s is installed too (%s). In this process voxloom's adapters stand in its place, because "
        "voxloom.compat was asked for; without that the installed one is used.",
        OLD,
        origin.parent,
    )


install()
