"""Files that are whole or not there at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from voxloom.errors import SaveError

__all__ = ["replacing", "write_json"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well.

    The bytes are on the disk before the name changes hands, so that a crash or a full disk at any
    moment leaves either the old file or the new one.

    Raises
    ------
    SaveError
        When the file could not be written; an older file of that name is untouched.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "note.txt"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            kept = " The file that was there before is untouched." if path.exists() else ""
            raise SaveError(
                f"could not write {path}: {error.strerror or error}.{kept} "
                "Free some space or name another folder, then go on."
            ) from error
    finally:
        with suppress(OSError):  # where it could not be made there is nothing to remove
            temporary.unlink()


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as indented JSON, whole or not at all.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "facts.json"
    >>> write_json(path, {"epoch": 3})
    >>> json.loads(path.read_text())
    {'epoch': 3}
    """
    with replacing(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
