"""What holds for all tests, doctests in src/ included: a quiet machine and repeatable examples."""

from __future__ import annotations

import atexit
import os
import tempfile

from hypothesis import settings

# Tests run in several processes: one thread each is the fastest, and sums come out the same.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
if "VOXLOOM_CACHE" not in os.environ:  # what is kept to be quick stays out of the user's folder
    _cache = tempfile.TemporaryDirectory(prefix="voxloom-cache-")
    atexit.register(_cache.cleanup)
    os.environ["VOXLOOM_CACHE"] = _cache.name

# No deadline: a busy machine is no failure. No database: nothing is written beside the sources.
settings.register_profile("voxloom", deadline=None, database=None, max_examples=60)
settings.register_profile("ci", parent=settings.get_profile("voxloom"), derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "voxloom")
