"""Compiled kernels: numba, cached on disk where a folder can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from voxloom.errors import MissingExtraError

try:
    import numba
except ImportError as error:
    raise MissingExtraError(
        "sampling volumes needs numba, which is not installed; install it with: "
        'pip install "voxloom[volumes]"'
    ) from error

__all__ = ["kernel"]

_log = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function when it is first called; it then runs without Python's lock.

    The machine code is kept beside the file or in the user's cache folder (NUMBA_CACHE_DIR), and
    where neither can be written, it is compiled anew by every process.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        compiled: _Function = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # numba: no locator available
        _log.debug("no cache for compiled kernels: %s", error)
        compiled = numba.njit(**options)(function)
    return compiled
