"""Worker processes end when they are told to, and with the program, whatever still refers to them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import gc, multiprocessing, sys
import numpy as np
from voxloom.errors import DataError
from voxloom.loading import Loader, Order
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

class Numbers(Source):
    schema = Schema([Field(name="image")])
    keys = tuple(map(str, range(8)))
    def read(self, index):
        if index == 5:
            raise DataError("image 5 is no image")
        return Sample(self.keys[index], self.schema, {"image": np.full((1, 2, 2), index)})

def failed(loader):
    batches = iter(loader)
    try:
        for batch in batches:
            pass
    except DataError as error:
        error.cycle = [error, batches]  # as a traceback holds the frames of who worked at the time
        return error

order = Order(length=8, batch_size=2, shuffle=False)
loader = Loader(Numbers(), None, order=order, seed=1, num_workers=int(sys.argv[2]), workers="process")
error = failed(loader)
if sys.argv[1] == "close":
    loader.close()
    assert not multiprocessing.active_children()
    del error
    gc.collect()
elif sys.argv[1] == "let go":
    del loader, error
    gc.collect()
    assert not multiprocessing.active_children()
print("done")
"""


@pytest.mark.parametrize(("how", "number"), [("close", 2), ("let go", 1), ("hold on", 1)])
def test_processes_end_after_an_error_that_is_still_looked_at(tmp_path, how, number):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, script, how, str(number)], capture_output=True, text=True, timeout=40
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
