"""Importing this makes ``pti_ldm_vae`` and ``cellmap_data`` mean voxloom's adapters, in this process.

Only on this explicit request: where an original is installed too, it stays what its name means
everywhere else.

Examples
--------
>>> import voxloom.compat.aliases
>>> from pti_ldm_vae.utils.visualization import normalize_batch_for_display
>>> normalize_batch_for_display.__module__
'voxloom.compat.pti_ldm_vae.utils.visualization'
>>> from cellmap_data.utils import split_target_path
>>> split_target_path.__module__
'voxloom.compat.cellmap_data.utils.misc'
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

from voxloom.compat.module_paths import SHIM_FOLDER, found_elsewhere
from voxloom.errors import CompatError

__all__ = ["SHIM_FOLDER", "install", "install_when_asked"]

logger = logging.getLogger(__name__)

OLD = "pti_ldm_vae"
PARTS = ("analysis", "data", "models", "utils")
ON_DEMAND = "cellmap_data"


def install(old: str = OLD) -> None:
    """Make an older name and its submodules mean the adapters; a second call changes nothing.

    Raises
    ------
    CompatError
        When another package of the older name has been imported already.
    """
    name = f"voxloom.compat.{old}"
    ours = import_module(name)
    there = sys.modules.get(old)
    if there is ours:
        return
    if there is not None and not _is_ours(there):
        raise CompatError(
            f"{old} was imported from {there.__file__} before: expected voxloom.compat.aliases to come "
            "first, so that the two are not mixed. Import it at the top, and restart the notebook."
        )
    _say_who_wins(old)
    for part in _parts(old, ours):
        import_module(f"{name}.{part}")
    for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        sys.modules[old + each.removeprefix(name)] = sys.modules[each]


def _parts(old: str, ours: ModuleType) -> Sequence[str]:
    if old == OLD:
        return PARTS
    prefix = f"{ours.__name__}."
    return [found.name.removeprefix(prefix) for found in walk_packages(ours.__path__, prefix)]


def install_when_asked(old: str = ON_DEMAND) -> None:
    """Make an older name mean the adapters once it is imported, and load nothing until then.

    Where another package of that name is in use already it stays, and a warning says so.
    """
    there = sys.modules.get(old)
    if there is not None:
        if not _is_ours(there):
            logger.warning(
                "%s was imported from %s before, and stays: import voxloom.compat.aliases at the top to "
                "have voxloom's adapters.",
                old,
                there.__file__,
            )
    elif not any(isinstance(finder, _Finder) and finder.old == old for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(old))


def _is_ours(module: ModuleType) -> bool:
    is_adapter = module.__name__.startswith("voxloom.compat.")
    return is_adapter or Path(module.__file__ or "").parent == SHIM_FOLDER


class _Finder(MetaPathFinder):
    """Answers for one name with the file that installs it."""

    def __init__(self, old: str) -> None:
        self.old = old

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return our file for the name."""
        return (
            spec_from_file_location(fullname, SHIM_FOLDER / f"{fullname}.py")
            if fullname == self.old
            else None
        )


def _say_who_wins(old: str) -> None:
    found = found_elsewhere(old)
    origin = Path(found.origin) if found and found.origin else None
    if origin is None:
        return
    logger.warning(
        "%s is installed too (%s). In this process voxloom's adapters stand in its place, because "
        "voxloom.compat was asked for; without that the installed one is used.",
        old,
        origin.parent,
    )


install()
install_when_asked()
