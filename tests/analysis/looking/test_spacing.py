import io

import numpy as np
import pytest
import tifffile

from voxloom.analysis.looking.spacing import check_files, check_schemas, tiff_spacing
from voxloom.sample import Field, Schema


def tiff(**tags):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((4, 4), np.uint8), **tags)
    return file.getvalue()


@pytest.mark.parametrize(
    ("tags", "spacing"),
    [
        ({"resolution": (1e5, 2e5), "resolutionunit": 3}, (50.0, 100.0)),  # along x, then along y
        ({"resolution": (300, 300), "resolutionunit": 2}, None),  # a printer's
        ({"resolution": (5, 5), "resolutionunit": 1}, None),  # of no unit
        ({}, None),
    ],
)
def test_tags_of_a_tiff(tags, spacing):
    assert tiff_spacing(tiff(**tags)) == (None if spacing is None else pytest.approx(spacing))
    assert tiff_spacing(b"no tiff") is None


def test_files_that_differ():
    assert check_files("image", {"a": (5, 5), "b": (5.0001, 5)}) == []
    assert check_files("image", {}) == []
    (found,) = check_files("image", {"a": (5, 5), "b": (5, 5), "c": (9, 5)})
    assert found.keys == ("c",)


def test_fields_and_parts_that_differ():
    fine, coarse = (Field(name="x", spacing=(s, s), unit="nanometer") for s in (4, 8))
    mask = coarse.model_copy(update={"name": "mask", "kind": "mask"})
    assert check_schemas({"a": Schema([fine]), "b": Schema([fine])}) == []
    assert "4 x 4 nanometer in a" in check_schemas({"a": Schema([fine]), "b": Schema([coarse])})[0].what
    assert "fields of one sample" in check_schemas({"": Schema([fine, mask])})[0].what
