from pathlib import Path

import numpy as np

from voxloom.analysis.pictures import pooled_window
from voxloom.sources.write import write_image


def write(folder: Path, *values: float) -> dict[str, Path]:
    paths = {str(i): folder / f"{i}.tif" for i in range(len(values))}
    for path, value in zip(paths.values(), values, strict=True):
        write_image(path, np.full((20, 20), value, np.float32))
    return paths


def test_a_window_holds_all_images(tmp_path: Path) -> None:
    paths = write(tmp_path, 10, 20, 30)
    assert pooled_window(paths) == ((10, 30), 3)


def test_what_cannot_be_read_is_not_counted(tmp_path: Path) -> None:
    paths = write(tmp_path, 10, 20, 30)
    paths["2"].write_bytes(b"")
    assert pooled_window(paths) == ((10, 20), 2)
    assert pooled_window({"2": paths["2"]}) is None
    assert pooled_window({}) is None


def test_of_many_images_and_pixels_some_are_read(tmp_path: Path) -> None:
    paths = write(tmp_path, *range(100))
    found = pooled_window(paths, low=0, high=100)
    assert found == ((0, 99), 32)
    write_image(tmp_path / "large.tif", np.arange(300 * 300, dtype=np.float32).reshape(300, 300))
    large = pooled_window({"large": tmp_path / "large.tif"})
    assert large is not None
    np.testing.assert_allclose(large[0], (0.005 * 90_000, 0.995 * 90_000), rtol=0.02)
