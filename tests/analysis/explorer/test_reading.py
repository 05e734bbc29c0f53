"""Vectors are read from files of its own, which are let go of where they fill the memory."""

import pickle

import numpy as np
import pytest

from voxloom.analysis.explorer.reading import Reading
from voxloom.analysis.latents.points import Points
from voxloom.conversion import convert
from voxloom.formats.store import Store
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Latents(Source):
    """Two means of a sample."""

    schema = Schema([Field(name=f"{n}_mu", kind="latent", axes="c", shape=(4,)) for n in ("a", "b")])
    keys = tuple("uvwxyz")

    def read(self, index):
        arrays = {name: np.full(4, 10 * index + n, "float32") for n, name in enumerate(self.schema)}
        return Sample(self.keys[index], self.schema, arrays)


@pytest.mark.parametrize("format", ["memmap", "arrow", "hdf5", "tar"])
@pytest.mark.parametrize("most", [6, 4])
def test_files_are_let_go_of_and_opened_again(tmp_path, format, most):
    convert(Latents(), tmp_path / "s", format=format)
    store = Store(tmp_path / "s")
    points = Points.of_stores({"s": store if most == 6 else store[:most]})
    reading = Reading(points, limit=-1)
    for _ in range(2):
        with reading.points() as own:
            assert own.digest == points.digest
            assert own.vectors(np.arange(len(points)))[:, 0].tolist() == [
                *(10.0 * i for i in range(most)), *(10.0 * i + 1 for i in range(most)),
            ]  # fmt: skip
    assert len(reading._stores) == 1
    assert reading._stores[0] is not store
    assert pickle.loads(pickle.dumps(points)).digest == points.digest
