import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxloom.analysis import write_report
from voxloom.analysis.latent_picture import latents_of_run, latents_section, plane
from voxloom.analysis.latents import Points
from voxloom.analysis.records import RunRecord
from voxloom.conversion import convert
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

SVG = "{http://www.w3.org/2000/svg}"


class Latents(Source):
    """Latents of pairs, as a training of stage 2 caches them."""

    schema = Schema(
        [Field(name=f"{name}_mu", kind="latent", axes="vcyx", shape=(1, 2, 3, 3)) for name in ("a", "b")]
    )

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    @property
    def keys(self) -> list[str]:
        return self._keys

    def read(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        arrays = {f"{name}_mu": rng.normal(size=(1, 2, 3, 3)).astype("float32") for name in ("a", "b")}
        return Sample(self._keys[index], self.schema, arrays)


def marks(svg: str) -> list[str]:
    paths = ElementTree.fromstring(svg).findall(f"{SVG}path")
    return [
        path.get("d", "")
        for path in paths
        if "mark" in (path.get("class") or "") and path.get("fill-opacity")
    ]


def test_two_groups_lie_apart_and_differ_in_colour_and_shape() -> None:
    rng = np.random.default_rng(0)
    far = np.zeros(50)
    far[7] = 100
    points = Points.of_arrays({"near": rng.normal(size=(20, 50)), "far": rng.normal(size=(30, 50)) + far})
    svg, drawn, explained = plane(points)
    assert drawn == 50
    assert explained[0] > 0.9
    one, two = marks(svg)
    assert (one.count("M"), two.count("M")) == (20, 30)
    places = [[float(part.split()[0]) for part in path.split("M")[1:]] for path in (one, two)]
    assert max(places[0]) < min(places[1]) or max(places[1]) < min(places[0])
    assert all(0 < x < 560 for row in places for x in row)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points_are_drawn_too(count: int) -> None:
    svg, drawn, _ = plane(Points.of_arrays({"few": np.eye(5)[:count]}))
    assert drawn == count
    assert "nan" not in svg


def test_of_many_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxloom.analysis.latent_picture._MOST_DRAWN", 10)
    assert plane(Points.of_arrays({"many": np.random.default_rng(0).normal(size=(99, 4))}))[1] == 10


def test_the_run_s_own_cache_is_found_unless_two_fit(tmp_path: Path) -> None:
    run = tmp_path / "ldm"
    run.mkdir()
    (run / "run.json").write_text('{"task": "ldm"}')
    (run / "split.json").write_text(json.dumps({"train": ["x", "y", "z"], "validation": ["w"]}))
    record = RunRecord.read(run)
    assert latents_of_run(record) is None
    convert(Latents(["w"]), tmp_path / "latents" / "held")
    convert(Latents(["x", "y", "z"]), tmp_path / "latents" / "one")
    assert latents_of_run(record) == tmp_path / "latents" / "one"
    convert(Latents(["x", "y", "z"]), tmp_path / "latents" / "two")
    assert latents_of_run(record) is None


def test_a_store_on_the_page_and_one_that_is_none(tmp_path: Path, read_page: Callable[[Path], Any]) -> None:
    convert(Latents([str(i) for i in range(9)]), tmp_path / "store")
    page = read_page(
        write_report(tmp_path / "report.html", latents=[tmp_path / "store", tmp_path / "nowhere"])
    )
    assert "18 latents of 18 numbers" in page.text
    assert f"The latents in {tmp_path / 'nowhere'} cannot be shown" in page.text
    assert latents_section([]) == ""
