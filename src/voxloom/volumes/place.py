"""Where a volume lies: a local folder, S3, GCS or HTTP; how its small files are read."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from voxloom.errors import DataError, VolumeMetadataError, VolumeReadError
from voxloom.volumes import engine
from voxloom.volumes.engine import ts

__all__ = ["Place", "begin_reads", "finish_reads", "same_or_inside"]


@dataclass(frozen=True)
class Place:
    """A folder in a file system or an object store.

    Attributes
    ----------
    scheme
        file, s3, gs, http or https.
    host
        Bucket, or host and port; empty for files.
    path
        Absolute for files, else the key; no slash at its end.

    Examples
    --------
    >>> Place.of("s3://bucket/em/raw.zarr/")
    Place(scheme='s3', host='bucket', path='em/raw.zarr')
    >>> str(Place.of("s3://bucket/em").join("raw.zarr", "s0"))
    's3://bucket/em/raw.zarr/s0'
    """

    scheme: str
    host: str
    path: str

    @classmethod
    def of(cls, path: str | os.PathLike[str] | Place) -> Place:
        """Return the place of a path or a URL.

        Raises
        ------
        DataError
            If the URL has another scheme.
        """
        if isinstance(path, Place):
            return path
        text = os.fspath(path)
        if "://" not in text:
            return cls("file", "", os.path.abspath(os.path.expanduser(text)))
        scheme, _, rest = text.partition("://")  # keys may hold "#" and "?": they are no parts of a URL here
        host, _, path = rest.partition("/")
        if scheme == "file":
            return cls("file", "", os.path.abspath(unquote(f"/{path}")))
        if scheme not in _SPECS or not host:
            raise DataError(
                f"{text}: expected a path, or a URL such as s3://bucket/raw.zarr that begins with file, "
                f"{', '.join(_SPECS)}"
            )
        if scheme.startswith("http") and {"?", "#"} & {*rest}:
            raise DataError(
                f"{text}: expected the address of a folder, without ? and #: a signature is of one file, and "
                "a volume has many. Read it from its bucket (s3://, gs://) with credentials, or write "
                "%3F and %23 where they are part of a name"
            )
        return cls(scheme, host, path.strip("/"))

    def __str__(self) -> str:
        return self.path if self.scheme == "file" else f"{self.scheme}://{self.host}/{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)

    @property
    def parent(self) -> Place:
        """The folder that holds this one."""
        return Place(self.scheme, self.host, posixpath.dirname(self.path))

    def join(self, *parts: str) -> Place:
        """Return a place below."""
        return Place(self.scheme, self.host, posixpath.normpath(posixpath.join(self.path, *parts)))

    def kvstore(self) -> dict[str, Any]:
        """Return TensorStore's description of the folder, as JSON."""
        if self.scheme == "file":
            return {"driver": "file", "path": f"{self.path.rstrip('/')}/"}
        return _SPECS[self.scheme](self)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return an object of JSON, or None where there is no such file.

        Raises
        ------
        VolumeMetadataError
            If it holds no object of JSON.
        VolumeReadError
            If it cannot be read.
        """
        return finish_reads(begin_reads([(self, name)]))[0]

    def read_bytes(self, name: str) -> bytes | None:
        """Return what a small file holds, or None where there is none.

        Raises
        ------
        VolumeReadError
            If it cannot be read.
        """
        answer = engine.finish(_opened(self).read(name), lambda: f"{self}/{name} cannot be read")
        return bytes(answer.value) if answer.state == "value" else None

    @property
    def prefix(self) -> str:
        """What the keys below begin with."""
        return f"{self.path}/" if self.path else ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of a file system, which holds no volume."""
        return self.scheme == "file" and os.path.isfile(self.path)

    def folders(self) -> list[str]:
        """Return the names of the folders directly below, sorted; object stores are not asked."""
        if self.scheme != "file" or not os.path.isdir(self.path):
            return []
        with os.scandir(self.path) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))

    def list_children(self) -> list[str]:
        """Return the names directly below, sorted. An object store lists all keys below for it."""
        if self.scheme == "file":
            folder = Path(self.path)
            return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        keys = engine.finish(_opened(self).list(), lambda: f"{self}: listing it")
        return sorted({key.decode().split("/")[0] for key in keys})


def same_or_inside(one: Place, other: Place) -> bool:
    """Return whether a place is another one, or lies below it: what replaces the other would destroy it.

    Of files, links are followed and folders compared as the system knows them, so that neither a link,
    nor a second mount, nor another case of letters hides that two are one.

    Examples
    --------
    >>> raw = Place.of("s3://bucket/em/raw.zarr")
    >>> same_or_inside(raw.join("labels", "mito"), raw), same_or_inside(raw, raw.join("labels"))
    (True, False)
    >>> same_or_inside(Place.of("s3://bucket/em//raw.zarr"), raw), same_or_inside(Place.of("/em"), raw)
    (True, False)
    """
    if one.scheme == other.scheme == "file":
        return _is_below(Path(one.path).resolve(), Path(other.path).resolve())
    if (one.scheme, one.host.lower()) != (other.scheme, other.host.lower()):
        return False
    here, there = (f"{posixpath.normpath(f'/{place.path}')}/".replace("//", "/") for place in (one, other))
    return here.startswith(there)


def _is_below(path: Path, folder: Path) -> bool:
    return any(each == folder or _is_one(each, folder) for each in (path, *path.parents))


def _is_one(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one is not there yet, or may not be looked at
        return False


Reads = list[tuple[Place, str, Any]]
"""Requests under way: where, which file, and TensorStore's future."""


def begin_reads(wanted: Iterable[tuple[Place, str]]) -> Reads:
    """Begin to read small JSON files, all at once."""
    stores: dict[Place, Any] = {}
    reads = []
    for place, name in wanted:
        store = stores.get(place) or stores.setdefault(place, _opened(place))
        reads.append((place, name, store.read(name)))
    return reads


def finish_reads(reads: Reads) -> list[dict[str, Any] | None]:
    """Return what the files hold; None where there is no such file.

    Raises
    ------
    VolumeMetadataError
        If a file holds no object of JSON.
    VolumeReadError
        If a file cannot be read.
    """
    found: list[dict[str, Any] | None] = []
    denied: VolumeReadError | None = None
    for place, name, future in reads:
        try:
            found.append(_finished(place, name, future))
        except VolumeReadError as error:
            if not _may_be_missing(error, place):
                raise
            found.append(None)
            denied = error
    if denied is not None and all(each is None for each in found):
        raise denied
    return found


def _finished(place: Place, name: str, future: Any) -> dict[str, Any] | None:
    answer = engine.finish(future, lambda: f"{place}/{name} cannot be read")
    return _parsed(place, name, answer.value) if answer.state == "value" else None


def _may_be_missing(error: VolumeReadError, place: Place) -> bool:
    """Return whether an error may mean that a file is not there: S3 says no more to who may not list."""
    return place.scheme == "s3" and "PERMISSION_DENIED" in str(error)


def _opened(place: Place) -> Any:
    return ts.KvStore.open(place.kvstore(), context=engine.context()).result()


def _parsed(place: Place, name: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise VolumeMetadataError(f"{place}/{name}: not JSON: {error}. Copy it anew") from error
    if not isinstance(value, dict):
        raise VolumeMetadataError(f"{place}/{name}: holds {type(value).__name__}, expected an object of JSON")
    return value


def _s3(place: Place) -> dict[str, Any]:
    spec: dict[str, Any] = {"driver": "s3", "bucket": place.host, "path": place.prefix}
    spec["aws_credentials"] = {"type": _aws_credentials()}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        spec["endpoint"] = endpoint
        spec["aws_region"] = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    return spec


def _aws_credentials() -> str:
    """Return where TensorStore looks for credentials; nowhere if none are set: a public bucket wants none."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return "environment"
    named = (
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    is_set = any(map(os.environ.get, named)) or os.path.exists(os.path.expanduser(file))
    return "default" if is_set else "anonymous"


def _gs(place: Place) -> dict[str, Any]:
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:  # the name that Google's own clients know; TensorStore has another
        url = emulator if "://" in emulator else f"http://{emulator}"
        os.environ.setdefault("TENSORSTORE_GCS_HTTP_URL", url)
        os.environ.setdefault("GOOGLE_AUTH_TOKEN_FOR_TESTING", "emulator")  # which asks for none
    spec: dict[str, Any] = {"driver": "gcs", "bucket": place.host, "path": place.prefix}
    project = os.environ.get("GS_USER_PROJECT")  # who pays, as GDAL names it
    return {**spec, "gcs_user_project": {"project_id": project}} if project else spec


def _http(place: Place) -> dict[str, Any]:
    return {"driver": "http", "base_url": f"{place.scheme}://{place.host}", "path": f"/{place.prefix}"}


_SPECS = {"s3": _s3, "gs": _gs, "http": _http, "https": _http}
