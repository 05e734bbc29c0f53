"""Which units of a store that is made unit by unit are whole: an empty file for each, beside the store.

::

    FOLDER/plan.json            what is made of what, its digest, and how far its making has come
    FOLDER/units/DIGEST-00000012   unit 12 of that plan is whole in the store
    FOLDER/finished.json        all of it is; the units' marks go

A unit is marked after its voxels are on the disk. So a unit with a mark is whole, one without is made
again, and marks of another plan, or of a store that is gone, count for nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorstore as ts

from voxloom import __version__
from voxloom.errors import OutputExistsError, SaveError
from voxloom.volumes import engine
from voxloom.volumes.creation import layout_of
from voxloom.volumes.place import Place
from voxloom.volumes.saving import claimed, has_files, saved, write_file, write_json

__all__ = ["UnitMarks", "digest_of"]

logger = logging.getLogger(__name__)

_PLAN, _FINISHED, _UNITS, _LOCK = "plan.json", "finished.json", "units/", ".voxloom-lock"
_FILES = "files"
_MAKING, _REPLACING, _MADE = "making", "replacing", "made"


def digest_of(plan: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that depend on all that a plan says.

    Examples
    --------
    >>> digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2.0], "a": 1})
    True
    """
    text = json.dumps(plan, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class UnitMarks:
    """The marks of one store, or of several that are made together.

    Parameters
    ----------
    folder
        Where the marks lie: beside the stores.
    plan
        All that the result depends on, as plain JSON values. What stands under "files" tells the state of
        the files that are read, and is no part of the digest: where it has changed it is told, and what
        is whole stays, for a damaged file may have been mended.
    kind
        What is made, in one word for messages.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.volumes.creation import create
    >>> from voxloom.volumes.layout import VolumeLayout
    >>> raw = Place.of(mkdtemp()).join("raw.zarr")
    >>> marks = UnitMarks(raw.parent.join("marks"), {"source": "em.n5"}, kind="copy")
    >>> layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    >>> def make(overwrite):
    ...     create(str(raw), shape=(64, 64, 64), layout=layout, overwrite=overwrite, resume=not overwrite)
    >>> marks.begin([raw], make)
    >>> marks.mark(3)
    >>> marks.done(), marks.is_finished
    ({3}, False)
    """

    def __init__(self, folder: Place, plan: Mapping[str, Any], *, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.plan = json.loads(json.dumps(plan))
        self.digest = digest_of({name: value for name, value in self.plan.items() if name != _FILES})

    def begin(
        self, stores: Sequence[Place], make: Callable[[bool], object], *, overwrite: bool = False
    ) -> None:
        """Make empty stores, or find them made by an earlier or another process.

        What is to be made is noted first, so that a process that is killed at any moment has left
        something to go on with. With `overwrite` what is there is replaced, but for what was begun with
        this plan and is not finished: that is gone on with, so that a job that is started again comes to
        its end.

        Parameters
        ----------
        stores
            The stores, the one that holds others first.
        make
            Makes all of them: anew if its argument is true; else it leaves those that are there.
        overwrite
            Replace what is there.

        Raises
        ------
        OutputExistsError
            If the stores were begun with another plan, or by somebody else.
        SaveError
            If something cannot be written.
        """
        if self._is_made(stores, overwrite=overwrite):
            return
        with claimed(self.folder, _LOCK):
            if self._is_made(stores, overwrite=overwrite):  # another process may have made them since
                return
            self._note(_REPLACING if overwrite else _MAKING)
            for start in (_FINISHED, _UNITS):
                self._remove(start)
            try:
                make(overwrite)
            except OutputExistsError:
                self._remove(_PLAN)
                raise
            self._note(_MADE)

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
        OutputExistsError
            If another job has begun anew with another plan.
        SaveError
            If that cannot be written.
        """
        found = self.folder.read_json(_PLAN) or {}
        if found.get("digest") != self.digest:
            odd = _differences(found.get("plan"), self.plan)
            raise OutputExistsError(
                f"{self.folder}: another job has begun another {self.kind} here: {odd}. This one has "
                "stopped. Let one of them write elsewhere, and begin the other anew with overwrite "
                "(--overwrite)."
            )
        name = f"{_UNITS}{self.digest}-{unit:08d}"
        try:
            write_file(self.folder, name, b"")
        except SaveError:  # another process has made the last unit, and removes the marks with their folder
            if not self.is_finished:
                raise
        else:
            if self.is_finished:  # it has removed them before this one was written
                self._remove(name)

    @property
    def is_finished(self) -> bool:
        """Whether all units are whole, and what is made of them."""
        found = self.folder.read_json(_FINISHED)
        return found is not None and found.get("digest") == self.digest

    def complete(self, units: int, make_rest: Callable[[], object]) -> bool:
        """Make what units share when all of them are whole; the process that comes last does.

        Parameters
        ----------
        units
            How many there are.
        make_rest
            Makes it.

        Returns
        -------
        bool
            Whether all is done; markers of single units are gone then.
        """
        if self.is_finished:
            return True
        if len(self.done()) < units and not self.is_finished:  # another may have finished between the two
            return False
        with claimed(self.folder, _LOCK):
            if not self.is_finished:
                make_rest()
                write_json(self.folder, _FINISHED, {"kind": self._kind, "digest": self.digest})
                self._remove(_UNITS)
        return True

    @property
    def _kind(self) -> str:
        return f"voxloom-volume-{self.kind}"

    def _is_made(self, stores: Sequence[Place], *, overwrite: bool) -> bool:
        """Return whether the stores are there to go on with; refuse what is not ours to replace."""
        found = self.folder.read_json(_PLAN)
        if not self._is_ours(found):
            are_there = any(map(has_files, stores))
            found = self.folder.read_json(_PLAN)  # again: what others make meanwhile they note before
            if not self._is_ours(found):
                if are_there and not overwrite:
                    raise OutputExistsError(self._refusal(stores[0], found))
                return False
        if found is None or found.get("state") != _MADE:
            return False
        if any(layout_of(str(store)) is None for store in stores):  # removed, or replaced by another program
            return False
        if found["plan"].get(_FILES) != self.plan.get(_FILES):
            if overwrite:
                return False
            logger.warning(
                "%s: what it is made of was written since it was begun. What is finished is kept. If other "
                "values are there now, begin anew with overwrite (--overwrite).",
                stores[0],
            )
        return not (overwrite and self.is_finished)

    def _is_ours(self, found: Mapping[str, Any] | None) -> bool:
        """Return whether a note is of this plan, and not of a store that was still to be replaced by it."""
        return found is not None and found.get("digest") == self.digest and found.get("state") != _REPLACING

    def _refusal(self, store: Place, found: Mapping[str, Any] | None) -> str:
        if found is None:
            return (
                f"{store} exists already, and {self.folder} does not tell that it is a {self.kind} "
                "that was begun. Use overwrite (--overwrite) to replace it with all it holds, or name "
                "another output."
            )
        if found.get("digest") == self.digest:
            return (
                f"{store} was to be replaced by this {self.kind}, and the job was stopped before. Say "
                "overwrite (--overwrite) again, or name another output."
            )
        odd = _differences(found.get("plan"), self.plan)
        return (
            f"{store} holds another {self.kind}: {odd}. Two are not mixed. Go on with what that one was "
            "begun with, name another output, or begin anew with overwrite (--overwrite)."
        )

    def _note(self, state: str) -> None:
        record = {"kind": self._kind, "format_version": 1, "producer": f"voxloom {__version__}"}
        write_json(self.folder, _PLAN, record | {"digest": self.digest, "state": state, "plan": self.plan})

    def _remove(self, start: str) -> None:
        saved(self._opened().delete_range(ts.KvStore.KeyRange(start, f"{start}~")), f"{self.folder}")

    def _opened(self) -> Any:
        return ts.KvStore.open(self.folder.kvstore(), context=engine.context()).result()


def _differences(found: Any, wanted: Mapping[str, Any]) -> str:
    """Name what two plans do not share."""
    found = found if isinstance(found, Mapping) else {}
    names = [name for name in (*wanted, *found) if found.get(name) != wanted.get(name)]
    told = [
        f"{name} was {found.get(name)!r}, now {wanted.get(name)!r}"
        for name in dict.fromkeys(names)
        if name != _FILES
    ]
    return "; ".join(told) or "its plan cannot be read"
