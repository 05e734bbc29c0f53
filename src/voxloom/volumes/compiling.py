"""Compiled kernels: numba, cached on disk where a folder can be written."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from voxloom.errors import MissingExtraError

try:
    import numba
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.core.caching import FunctionCache
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


class _Cache(FunctionCache):  # type: ignore[misc] # numba has no types
    """numba's cache on disk, which knows what a kernel calls, and does without a disk that is full."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # numba looks at the kernel's own file alone, and kernels of other files are compiled into it
        return (*super()._index_key(sig, codegen), _sources())

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _warn(self.cache_path, str(error))


@lru_cache(maxsize=1)
def _sources() -> str:
    """Return what changes when any kernel does."""
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=16)  # once a folder: the next kernel fails for the same reason
def _warn(folder: str, why: str) -> None:
    _log.warning(
        "%s: compiled kernels cannot be kept there (%s), and are compiled in every process anew, which takes "
        "seconds. Free some space, or name another folder in NUMBA_CACHE_DIR.",
        folder,
        why,
    )


def kernel(function: _Function) -> _Function:
    """Compile a function when it is first called; it then runs without Python's lock.

    The machine code is kept beside the file, or in the user's cache folder (NUMBA_CACHE_DIR); where
    neither can be written, or the disk is full, every process compiles anew.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": _MATH}
    compiled: Any = numba.njit(**options)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError as error:  # numba found no folder to write to
        _log.debug("compiled kernels are not cached: %s", error)
    done: _Function = compiled
    return done


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
