"""The one owner of TensorStore: its import, context, cache of decoded chunks, retries and errors.

The cache holds decoded chunks of all volumes of the process up to a budget of bytes (`set_cache`, or
``VOXLOOM_VOLUME_CACHE`` in the environment). Requests to object storage that fail are repeated
``VOXLOOM_VOLUME_RETRIES`` times (8), waiting 0.2 s, 0.4 s and so on up to 5 s between two tries. A
connection that is not made within 10 s, or where nothing comes for 30 s, is one that failed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from voxloom.errors import ConfigError, LoadingError, MissingExtraError, VolumeReadError

try:
    import tensorstore as ts
except ImportError as error:  # pragma: no cover - the tests have it
    raise MissingExtraError(
        'volumes need TensorStore, which is not installed; install it with: pip install "voxloom[volumes]"'
    ) from error

__all__ = [
    "array_spec",
    "cache_bytes",
    "check_process",
    "context",
    "finish",
    "open_array",
    "plain",
    "set_cache",
    "told",
    "ts",
]

_RETRIED = ("s3_request_retries", "gcs_request_retries", "http_request_retries")
_FAILURES = (ValueError, RuntimeError, OSError, OverflowError, NotImplementedError)
"""What TensorStore raises where a request fails: its statuses have no class of their own."""

_NOISE = re.compile(r" \[(?:source locations|tensorstore_\w+|x-\w|http_response_body)")
"""Where what an error says for people ends."""

_CURES = {
    ("PERMISSION_DENIED",): "Check the rights; object stores take credentials from the environment",
    ("UNAUTHENTICATED",): "Set credentials in the environment, such as AWS_ACCESS_KEY_ID",
    ("NOT_FOUND: chunk",): "Without strict=True the fill value is taken for it",
    ("does not exist",): "It was removed or moved after the volume was opened",
    ("retry attempts failed", "UNAVAILABLE", "DEADLINE_EXCEEDED"): (
        "Check the network and go on: nothing is lost by reading again"
    ),
    ("Error opening",): "Its metadata ask for what TensorStore cannot read",
    ("DATA_LOSS", "at byte", "byte range", "Error decoding"): "The data are damaged: copy them anew",
}
"""What helps, by what an error says."""

_LIMITS = {
    "TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS": "10",
    "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "30",
    "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
}
"""When a connection counts as dead; without them TensorStore waits for ever. The user's own go before."""

_used_by: int | None = None
_cache: int | None = None


def set_cache(budget: int) -> None:
    """Set how many bytes of decoded chunks are kept; arrays that are opened from now on share them.

    Parameters
    ----------
    budget
        Bytes; 0 keeps none.

    Raises
    ------
    ConfigError
        If it is negative.
    """
    global _cache
    if budget < 0:
        raise ConfigError(f"a cache of {budget} bytes: expected 0 or more")
    _cache = int(budget)
    _context.cache_clear()


def cache_bytes() -> int:
    """Return the budget of the cache in bytes: as set, or VOXLOOM_VOLUME_CACHE, or 256 MB."""
    return _number("VOXLOOM_VOLUME_CACHE", 256_000_000) if _cache is None else _cache


def context() -> Any:
    """Return the TensorStore context that all reads and writes of this process share.

    Raises
    ------
    LoadingError
        In a forked child of a process that had used it.
    """
    check_process()
    return _context()


def check_process() -> None:
    """Refuse to go on in a forked child that inherited a used engine: its threads are gone, it would hang.

    Raises
    ------
    LoadingError
        In such a child; the message says what to do instead.
    """
    global _used_by
    process = os.getpid()
    if _used_by is None:
        _used_by = process
    if _used_by != process:
        raise LoadingError(
            f"process {process} was forked from {_used_by}, which had read volumes: TensorStore's threads do "
            "not survive a fork, and reading would hang. Read with threads (Loader(workers=...)), or start "
            "processes with start_method='spawn' or 'forkserver'"
        )


def open_array(spec: dict[str, Any]) -> Any:
    """Begin to open an array in the shared context; returns a future.

    Parameters
    ----------
    spec
        A TensorStore spec. Nothing is created unless it says ``"create": True``.
    """
    return ts.open(spec, context=context())


def array_spec(driver: str, kvstore: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Return TensorStore's description of an array that is there, as JSON.

    Parameters
    ----------
    driver
        zarr, zarr3 or n5.
    kvstore
        Where it lies.
    strict
        Refuse chunks that are not there.
    """
    # A stat of the metadata with each read tells that a store is gone, whose chunks would all be read as
    # missing ones; over a network it would cost a request. Chunks are kept as of when the array was opened.
    is_near = kvstore["driver"] == "file"
    return {
        "driver": driver,
        "kvstore": kvstore,
        "open": True,
        "recheck_cached_metadata": is_near or "open",
        "recheck_cached_data": "open",
        "fill_missing_data_reads": not strict,
    }


def finish(future: Any, what: Callable[[], str]) -> Any:
    """Wait for a future of TensorStore and return its result.

    Parameters
    ----------
    what
        Called where it fails: says which volume, level and box were asked for.

    Raises
    ------
    VolumeReadError
        Where TensorStore gives up.
    """
    try:
        return future.result()
    except _FAILURES as error:
        raise VolumeReadError(f"{what()}: {told(error)}") from error


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if text and not text.isdecimal():
        raise ConfigError(f"{name}={text!r} in the environment: expected a whole number")
    return int(text) if text else default


@lru_cache(maxsize=1)
def _context() -> Any:
    for name, value in _LIMITS.items():  # read once, with the first request of the process
        os.environ.setdefault(name, value)
    retries = {
        "max_retries": _number("VOXLOOM_VOLUME_RETRIES", 8),
        "initial_delay": "200ms",
        "max_delay": "5s",
    }
    return ts.Context(
        {"cache_pool": {"total_bytes_limit": cache_bytes()}, **{name: retries for name in _RETRIED}}
    )


def plain(error: BaseException) -> str:
    """Return what an error of TensorStore says, without where in its source it arose or a server's page."""
    return _NOISE.split(str(error))[0].rstrip(".")


def told(error: BaseException) -> str:
    """Return what an error of TensorStore says, and what helps."""
    text = plain(error)
    cure = next((cure for signs, cure in _CURES.items() if any(sign in text for sign in signs)), "")
    return f"{text}. {cure}" if cure else text
