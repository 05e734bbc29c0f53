"""What a terminal is told of what inspect has found."""

import numpy as np
import tifffile

from voxloom.analysis.looking.finding import found
from voxloom.jobs.inspection import inspect
from voxloom.jobs.listing import listing, warnings_listed
from voxloom.sources.files import flat_folder


def test_many_long_keys_stand_in_lines_of_their_own():
    keys = [f"folder/a_rather_long_name_of_a_slice_{i:04}.tif" for i in range(8)]
    first, *lines, _, _ = list(warnings_listed([found("sizes", "126 of 200 differ", keys, number=126)]))[1:]
    assert first == "note: 126 of 200 differ"
    assert max(map(len, lines)) <= 120
    assert "".join(lines).count(".tif") == 8
    assert lines[-1].endswith("and 118 more")
    short = list(warnings_listed([found("sizes", "2 differ", ["a", "b"])]))
    assert short[1] == "note: 2 differ (a, b)"


def test_what_a_tiff_calls_its_pixels_is_said_in_words(tmp_path):
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.eye(8, dtype=np.uint8))
    text = listing(inspect(flat_folder(tmp_path)))
    assert "greyscale" in text
    assert "MINISBLACK" not in text
