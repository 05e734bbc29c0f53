from pathlib import Path

import numpy as np
import pytest

from voxloom.analysis.listing import images_by_name
from voxloom.errors import MissingDataError
from voxloom.sources.write import write_image

IMAGE = np.zeros((2, 2))


def test_subfolders_count_only_where_there_is_nothing_beside_them(tmp_path: Path) -> None:
    for name in ("edente/a.tif", "dente/a.tif", ".hidden/b.tif"):
        write_image(tmp_path / name, IMAGE)
    (tmp_path / "panels").mkdir()
    assert list(images_by_name(tmp_path)) == ["dente/a", "edente/a"]
    write_image(tmp_path / "c.tif", IMAGE)
    assert list(images_by_name(tmp_path)) == ["c"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no image"):
        images_by_name(tmp_path)
    with pytest.raises(MissingDataError, match="nowhere"):
        images_by_name(tmp_path / "nowhere")
