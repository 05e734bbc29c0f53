"""The done-markers of a prediction: what is finished, beside the store.

::

    pred.zarr.prediction/plan.json            what is predicted from what, and its digest
    pred.zarr.prediction/units/DIGEST-00012   unit 12 of that plan is whole in the store
    pred.zarr.prediction/finished.json        all of it is; the units' markers go

A unit is marked after its voxels are on the disk. So a unit with a marker is whole, and one without
is predicted again, and a marker of another plan counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import tensorstore as ts

from voxloom import __version__
from voxloom.errors import OutputExistsError
from voxloom.volumes import engine
from voxloom.volumes.place import Place
from voxloom.volumes.saving import has_files, saved, write_file, write_json

__all__ = ["Markers", "digest_of"]

_KIND = "voxloom-volume-prediction"
_PLAN, _FINISHED, _UNITS = "plan.json", "finished.json", "units/"


def digest_of(plan: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that depend on all that a plan says.

    Examples
    --------
    >>> digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2.0], "a": 1})
    True
    """
    text = json.dumps(plan, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Markers:
    """The markers of one prediction.

    Parameters
    ----------
    store
        Where the prediction is written.
    folder
        Where the markers lie: beside the store.
    plan
        All that the result depends on, as plain JSON values.
    """

    def __init__(self, store: Place, folder: Place, plan: Mapping[str, Any]) -> None:
        self.store, self.folder = store, folder
        self.plan = json.loads(json.dumps(plan))
        self.digest = digest_of(self.plan)

    def begin(self) -> None:
        """Note the plan, or find it noted by an earlier or another process.

        Raises
        ------
        OutputExistsError
            If the store was begun with another plan, or by somebody else.
        """
        is_there = has_files(self.store)  # looked at first: another process notes its plan before it makes it
        found = self.folder.read_json(_PLAN)
        if found is None:
            if is_there:
                raise OutputExistsError(
                    f"{self.store} exists already, and {self.folder} does not tell that it is a prediction "
                    "that was begun. Name another output, or replace it with overwrite (--overwrite)."
                )
            self.note()
            return
        if found.get("digest") != self.digest:
            odd = _differences(found.get("plan"), self.plan)
            raise OutputExistsError(
                f"{self.store} holds another prediction: {odd}. Two are not mixed. Go on with "
                "what that one was begun with, name another output, or begin anew with overwrite "
                "(--overwrite)."
            )

    def note(self) -> None:
        """Write the plan.

        Raises
        ------
        SaveError
            If that cannot be written.
        """
        record = {"kind": _KIND, "format_version": 1, "producer": f"voxloom {__version__}"}
        write_json(self.folder, _PLAN, record | {"digest": self.digest, "plan": self.plan})

    def clear(self) -> None:
        """Forget the plan and all markers."""
        for name in (_FINISHED, _PLAN, _UNITS):
            self._remove(name)

    def done(self) -> set[int]:
        """Return the numbers of the units that are whole."""
        start = f"{_UNITS}{self.digest}-"
        keys = saved(self._opened().list(ts.KvStore.KeyRange(start, f"{start}~")), f"a list of {self.folder}")
        names = (key.decode()[len(start) :] for key in keys)
        return {int(name) for name in names if name.isdecimal()}

    def mark(self, unit: int) -> None:
        """Note that a unit is whole.

        Raises
        ------
        SaveError
            If that cannot be written.
        """
        write_file(self.folder, f"{_UNITS}{self.digest}-{unit:06d}", b"")

    @property
    def is_finished(self) -> bool:
        """Whether all of it is done."""
        found = self.folder.read_json(_FINISHED)
        return found is not None and found.get("digest") == self.digest

    def finish(self) -> None:
        """Note that all is done; markers of single units go."""
        write_json(self.folder, _FINISHED, {"kind": _KIND, "digest": self.digest})
        self._remove(_UNITS)

    def _remove(self, start: str) -> None:
        saved(self._opened().delete_range(ts.KvStore.KeyRange(start, f"{start}~")), f"{self.folder}")

    def _opened(self) -> Any:
        return ts.KvStore.open(self.folder.kvstore(), context=engine.context()).result()


def _differences(found: Any, wanted: Mapping[str, Any]) -> str:
    """Name what two plans do not share."""
    found = found if isinstance(found, Mapping) else {}
    names = [name for name in (*wanted, *found) if found.get(name) != wanted.get(name)]
    told = [f"{name} was {found.get(name)!r}, now {wanted.get(name)!r}" for name in dict.fromkeys(names)]
    return "; ".join(told) or "its plan cannot be read"
