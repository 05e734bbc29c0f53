"""Which units of a copy are whole: an empty file for each, beside the copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorstore as ts

from voxloom.errors import OutputExistsError
from voxloom.volumes import engine
from voxloom.volumes.place import Place
from voxloom.volumes.saving import saved, write_file, write_json

__all__ = ["UnitMarks"]

_SOURCE, _FINISHED, _UNITS = "source.json", "finished.json", "units/"


class UnitMarks:
    """The marks of one volume that is copied unit by unit.

    A unit is marked when its voxels are on the disk: one with a mark is whole, one without is copied
    again.

    Parameters
    ----------
    folder
        Where the marks lie.
    source
        What is copied, as plain words.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> marks = UnitMarks(Place.of(mkdtemp()), ["raw.zarr", "level 0"])
    >>> marks.begin()
    >>> marks.mark(3)
    >>> marks.done(), marks.is_finished
    ({3}, False)
    """

    def __init__(self, folder: Place, source: Sequence[str]) -> None:
        self.folder, self.source = folder, list(source)

    def begin(self) -> None:
        """Note what is copied, or find it noted.

        Raises
        ------
        OutputExistsError
            If something else was copied.
        """
        found = self.folder.read_json(_SOURCE)
        if found is None:
            write_json(self.folder, _SOURCE, {"source": self.source})
        elif found.get("source") != self.source:
            raise OutputExistsError(
                f"{self.folder}: a copy of {found.get('source')}, not of {self.source}. Use overwrite "
                "(--overwrite) to make it anew, or name another folder."
            )

    def clear(self) -> None:
        """Forget everything."""
        for start in (_FINISHED, _UNITS, _SOURCE):
            self._remove(start)

    def done(self) -> set[int]:
        """Return the numbers of the units that are whole."""
        keys = saved(self._opened().list(ts.KvStore.KeyRange(_UNITS, f"{_UNITS}~")), str(self.folder))
        names = (key.decode()[len(_UNITS) :] for key in keys)
        return {int(name) for name in names if name.isdecimal()}

    def mark(self, unit: int) -> None:
        """Note that a unit is whole.

        Raises
        ------
        SaveError
            If that cannot be written.
        """
        write_file(self.folder, f"{_UNITS}{unit:08d}", b"")

    @property
    def is_finished(self) -> bool:
        """Whether all units are whole, and what is made of them."""
        return self.folder.read_json(_FINISHED) is not None

    def finish(self) -> None:
        """Note that all is whole; marks of single units go."""
        write_json(self.folder, _FINISHED, {"source": self.source})
        self._remove(_UNITS)

    def _remove(self, start: str) -> None:
        saved(self._opened().delete_range(ts.KvStore.KeyRange(start, f"{start}~")), str(self.folder))

    def _opened(self) -> Any:
        return ts.KvStore.open(self.folder.kvstore(), context=engine.context()).result()
