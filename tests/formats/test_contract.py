"""Each format of the table against the contract that is shipped for plug-ins."""

import numpy as np
import pytest

from voxloom.formats import FORMATS
from voxloom.formats.memmap import Memmap, _Shard
from voxloom.testing.formats import CHECKS, check_format


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_contract(name, check, tmp_path):
    check(FORMATS[name](), tmp_path)


class Unnamed(Memmap):
    def files(self, stem, columns):
        return super().files(stem, columns)[1:]


class Wrapping(Memmap):
    """Takes a row past the end for one from the beginning."""

    def open(self, folder, stem, columns, samples):
        shard = super().open(folder, stem, columns, samples)
        shard.take = lambda name, rows, out: _Shard.take(shard, name, np.abs(rows) % max(samples, 1), out)
        return shard


class Foreign(Memmap):
    """Lets a foreign error out."""

    def open(self, folder, stem, columns, samples):
        if not (folder / self.files(stem, columns)[0]).stat().st_size:
            raise RuntimeError("empty")
        return super().open(folder, stem, columns, samples)


class Stateful(Memmap):
    def __init__(self):
        self.path = "somewhere"


@pytest.mark.parametrize("faulty", [Unnamed, Wrapping, Foreign, Stateful])
def test_the_contract_finds_faults(faulty):
    with pytest.raises((AssertionError, RuntimeError, FileNotFoundError, pytest.fail.Exception)):
        check_format(faulty())
