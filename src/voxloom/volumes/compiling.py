"""Compiled kernels: numba, cached on disk where a folder can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from voxloom.errors import MissingExtraError

try:
    import numba
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.extending import intrinsic
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError(
        "sampling volumes needs numba, which is not installed: pip install 'voxloom[volumes]'"
    ) from error

__all__ = ["kernel", "load_pair"]

_log = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])
# What lets a loop be worked through many voxels at a time; NaN and infinity keep their meaning.
_MATH = {"contract", "reassoc", "nsz"}


def kernel(function: _Function) -> _Function:
    """Compile a function when it is first called; it then runs without Python's lock.

    The machine code is kept beside the file, or in the user's cache folder (NUMBA_CACHE_DIR); where
    neither can be written, every process compiles anew.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": _MATH}
    try:
        compiled: _Function = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # numba found no folder to write to
        _log.debug("compiled kernels are not cached: %s", error)
        compiled = numba.njit(**options)(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def load_pair(_: Any, flat: Any, index: Any) -> Any:
    """Load elements `index` and `index + 1` of an array of unsigned integers at once, the first one lowest.

    Nothing is checked: both must be there.
    """
    bits = 2 * flat.dtype.bitwidth
    signature = getattr(types, f"uint{bits}")(flat, index)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        place = builder.bitcast(builder.gep(data, [values[1]]), ir.IntType(bits).as_pointer())
        loaded = builder.load(place)
        loaded.align = 1
        return loaded

    return signature, generate
