"""The module paths of the Dataset Conversion Library, in processes that ask for them.

Its modules lay in ``datasets`` and ``utils``: names that others have too. So here a finder answers for
the known modules below them alone, such as ``datasets.memmap.memmap_converter``; what else those names
mean, HuggingFace's ``datasets`` or a ``utils`` of the script's own, stays as it is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from voxloom.errors import CompatError

__all__ = ["MODULES", "PACKAGES", "SHIM_FOLDER", "found_elsewhere", "install", "stand_aside"]

logger = logging.getLogger(__name__)

OURS = "voxloom.compat.dataset_conversion"
SHIM_FOLDER = Path(__file__).parent / "path"
"""On the path of a process, this folder makes the older names known there."""

_FORMATS = {
    "memmap": ("memmap",),
    "hdf5": ("hdf5",),
    "parquet_v1": ("parquet_v1", "parquet"),
    "parquet_v2": ("parquet_v2", "parquet"),
    "pyarrow_ipc": ("pyarrow_ipc", "ipc"),
    "tar": ("tar",),
}
_ROLES = ("converter", "reader")
_DENSE = [f"dense_{kind}_{role}" for kind in ("memmap", "ipc") for role in _ROLES]

MODULES = frozenset(
    [
        *(f"datasets.{n}.{s}_{role}" for n, stems in _FORMATS.items() for s in stems for role in _ROLES),
        *(f"utils.{name}" for name in ("utils", "converter_utils", "reader_utils", "custom_sampler")),
        *(f"{prefix}{name}" for prefix in ("", "examples.dense_labels.") for name in _DENSE),
    ]
)
"""What has an adapter."""

PACKAGES = frozenset([*(f"datasets.{name}" for name in _FORMATS), "examples.dense_labels"])
"""What lies between."""


def install() -> None:
    """Make the module paths mean the adapters, in this process; a second call changes nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def stand_aside(name: str) -> None:
    """Put what `name` means without us in the place of the module that calls this, or an empty package.

    Parameters
    ----------
    name
        A name at the top: ``datasets``, ``utils`` or ``examples``.
    """
    install()
    shim = sys.modules.pop(name)
    spec = found_elsewhere(name) or _package(name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        if spec.loader is not None:
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules[name] = shim  # the import machinery takes it away, and says what went wrong
        raise


def found_elsewhere(name: str) -> ModuleSpec | None:
    """Return what a name at the top means without us, or None."""
    path = [entry for entry in sys.path if Path(entry or ".").resolve() != SHIM_FOLDER.resolve()]
    for finder in sys.meta_path:
        if type(finder).__module__.startswith("voxloom.") or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path if finder is PathFinder else None)
        if spec is not None:
            return spec
    return None


def _package(name: str, locations: Sequence[str] = ()) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = list(locations)
    return spec


class _Finder(MetaPathFinder):
    """Answers for `MODULES` and `PACKAGES`, unless the script has modules of its own there."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return our module of that name, or None to leave it to the others."""
        if fullname not in MODULES and fullname not in PACKAGES:
            self._refuse(fullname, path)
            return None
        theirs = PathFinder.find_spec(fullname, path)
        origin = None if theirs is None else theirs.origin
        if fullname in PACKAGES:
            loader = _PackageLoader(_locations(theirs))
            return None if origin else spec_from_loader(fullname, loader, origin=OURS, is_package=True)
        if origin is not None:
            if not _is_older(Path(origin), fullname):
                return None
            logger.warning(
                "%s is at %s too. In this process voxloom's adapter stands in its place, because "
                "voxloom.compat was asked for.",
                fullname,
                origin,
            )
        return spec_from_loader(fullname, _ModuleLoader(), origin=OURS)

    def _refuse(self, fullname: str, path: Sequence[str] | None) -> None:
        """Say so where a module of the older library is asked for that has no adapter."""
        parent = fullname.rpartition(".")[0]
        if parent in PACKAGES and PathFinder.find_spec(fullname, path) is None:
            known = ", ".join(sorted(name for name in MODULES if name.startswith(f"{parent}.")))
            raise CompatError(f"{fullname} has no adapter in voxloom. There are: {known}.")


def _locations(spec: ModuleSpec | None) -> list[str]:
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _is_older(origin: Path, fullname: str) -> bool:
    """Whether a module's file is the older library's own, by what lies around it."""
    if fullname.startswith("datasets."):
        return True
    if fullname.startswith("utils."):
        beside = ("converter_utils.py", "custom_sampler.py")
        return all((origin.parent / name).exists() for name in beside)
    return origin.parent.name == "dense_labels"


class _PackageLoader(Loader):
    """An empty package, in which other modules are still found where they were."""

    def __init__(self, locations: list[str]) -> None:
        self._locations = locations

    def exec_module(self, module: ModuleType) -> None:
        """Tell where modules are found."""
        module.__path__ = self._locations


class _ModuleLoader(Loader):
    """A module with all names of `voxloom.compat.dataset_conversion`."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        ours = import_module(OURS)
        vars(module).update({name: getattr(ours, name) for name in ours.__all__}, __all__=ours.__all__)
        name = module.__name__

        def __getattr__(wanted: str) -> Any:  # noqa: N807
            if wanted.startswith("__"):
                raise AttributeError(wanted)
            raise CompatError(
                f"{name}.{wanted} has no adapter in voxloom. There are: {', '.join(ours.__all__)}."
            )

        module.__dict__["__getattr__"] = __getattr__
