import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxloom.analysis import evaluate, write_report
from voxloom.errors import ConfigError, MissingDataError, OutputExistsError
from voxloom.sources.write import write_image

Reader = Callable[[Path], Any]


def test_the_whole_report(
    tmp_path: Path, run: Path, predictions: Path, evaluation: Path, read_page: Reader
) -> None:
    page = read_page(
        write_report(tmp_path / "report.html", runs=[run], predictions=predictions, evaluation=evaluation)
    )
    for text in (
        "31.25",
        "1,234,567",
        "1 min 01 s",
        "cpu (2 threads)",
        "diffusion_train.lr",
        "0.0005",
        "Best · a",
        "Worst · <img",
        "Median",
        "copy",
        "solver euler",
        "Data range 1: given",
        f"voxloom predict ldm --checkpoint {run / 'checkpoints' / 'best.pt'}",
    ):
        assert text in page.text
    assert len(page.images) == 5 + 3  # cases, and mean maps
    assert "<svg" in page.html


def test_it_needs_nothing_from_elsewhere(
    tmp_path: Path, run: Path, predictions: Path, evaluation: Path, read_page: Reader
) -> None:
    page = read_page(
        write_report(tmp_path / "report.html", runs=[run], predictions=predictions, evaluation=evaluation)
    )
    assert not {"link", "iframe"} & {tag for tag, _ in page.tags}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    sources = {
        name: [attributes[name] or "" for _, attributes in page.tags if name in attributes]
        for name in ("src", "href")
    }
    assert all(source.startswith("data:image/png;base64,") for source in sources["src"])
    assert all(link.startswith("#") for link in sources["href"])
    assert {link[1:] for link in sources["href"]} <= {attributes.get("id") for _, attributes in page.tags}
    assert not re.findall(r"url\(|@import", page.html)
    assert "prefers-color-scheme: dark" in page.html
    assert "@media print" in page.html


def test_names_and_settings_cannot_inject(
    tmp_path: Path, run: Path, predictions: Path, evaluation: Path, read_page: Reader, evil: str
) -> None:
    page = read_page(
        write_report(tmp_path / "report.html", runs=[run], predictions=predictions, evaluation=evaluation)
    )
    assert evil not in page.html
    assert page.text.count(evil) >= 2  # the image's name and the configuration
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_pictures_have_the_orientation_of_the_files(
    tmp_path: Path, predictions: Path, evaluation: Path, read_page: Reader, glyph: np.ndarray
) -> None:
    page = read_page(write_report(tmp_path / "report.html", predictions=predictions, evaluation=evaluation))
    best = page.images[0]
    enlarged = glyph.repeat(8, 0).repeat(8, 1) > 0
    # the panel: four columns of 8 x 24 pixels and gaps of 6, below a line of titles
    column = (best.shape[1] - 6) // 4
    target = best[24 : 24 + 256, 6 + column : 6 + column + 192, 0]
    np.testing.assert_array_equal(target > 128, enlarged)
    condition = best[24 : 24 + 256, 6 : 6 + 192, 0]
    np.testing.assert_array_equal(condition > 128, ~enlarged)


def test_a_reconstruction_is_compared_with_its_original(
    tmp_path: Path, read_page: Reader, glyph: np.ndarray
) -> None:
    for role in ("original", "prediction"):
        write_image(tmp_path / "out" / role / "edente" / "a.tif", glyph)
    page = read_page(write_report(tmp_path / "report.html", predictions=tmp_path / "out"))
    assert "edente/a" in page.text
    assert page.images[0].shape[1] > 3 * 192


def test_without_targets_there_is_no_difference(tmp_path: Path, read_page: Reader, glyph: np.ndarray) -> None:
    for role in ("condition", "prediction", "deviation"):
        write_image(tmp_path / "out" / role / "a.tif", glyph)
    page = read_page(write_report(tmp_path / "report.html", predictions=tmp_path / "out"))
    panel, deviation = page.images
    assert panel.shape[1] < 3 * 192
    assert deviation.shape[1] < panel.shape[1]


def test_an_image_that_cannot_be_shown_is_said(
    tmp_path: Path, predictions: Path, read_page: Reader, glyph: np.ndarray
) -> None:
    (predictions / "target" / "a.tif").write_bytes(b"II*\0")
    write_image(predictions / "target" / "b.tif", glyph[:-1])
    page = read_page(write_report(tmp_path / "report.html", predictions=predictions))
    assert page.text.count("Cannot be shown") == 2
    assert "3 images · 2 images left out (of another size, unreadable" in page.text
    assert len(page.images) == 3 + 3


@pytest.mark.parametrize("status", ["interrupted", "failed", "running"])
def test_unfinished_work_is_reported(tmp_path: Path, run: Path, status: str, read_page: Reader) -> None:
    facts = {"task": "ldm", "status": status, "error": "out of <memory>"}
    (run / "run.json").write_text(json.dumps(facts))
    (run / "metrics.jsonl").write_text('{"step": 1, "split": "train", "loss": 1.0}\n{"step": 2, "sp')
    page = read_page(write_report(tmp_path / "report.html", runs=[run]))
    for text in (
        f"marked {status}",
        "out of <memory>",
        "not validated yet",
        "cut short",
        "Nothing has been measured",
    ):
        assert text in page.text
    assert (f"voxloom train ldm --resume {run}" in page.text) == (status != "running")


def test_failures_are_listed(tmp_path: Path, predictions: Path, read_page: Reader, glyph: np.ndarray) -> None:
    (predictions / "prediction" / "b.tif").write_bytes(b"")
    write_image(predictions / "target" / "lonely.tif", glyph)
    found = evaluate(predictions / "prediction", predictions / "target", data_range=1)
    found.save(tmp_path / "evaluation")
    page = read_page(write_report(tmp_path / "report.html", evaluation=tmp_path / "evaluation"))
    for text in (
        "1 image could not be measured",
        "b (prediction): ",
        "lonely: only in target",
        "No folder of predictions",
    ):
        assert text in page.text


def test_an_existing_report_is_refused(tmp_path: Path, run: Path) -> None:
    path = write_report(tmp_path / "report.html", runs=[run])
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_report(path, runs=[run])
    write_report(path, runs=[run], overwrite=True)


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        write_report(tmp_path / "report.html")
    with pytest.raises(MissingDataError, match="not a run"):
        write_report(tmp_path / "report.html", runs=[tmp_path])
    assert not (tmp_path / "report.html").exists()


def test_a_thousand_images_make_a_small_page(
    tmp_path: Path, predictions: Path, evaluation: Path, read_page: Reader
) -> None:
    """Pictures are of the few that are shown; of the others there are numbers."""
    lines = (evaluation / "per_image.csv").read_text().splitlines()
    others = [
        f"prediction,patient{i:04d},{20 + i / 100},0.9,3.25,20.5,0.75,9.125,0.5,0.25," for i in range(1000)
    ]
    (evaluation / "per_image.csv").write_text("\n".join(lines + others))
    page = read_page(write_report(tmp_path / "report.html", predictions=predictions))
    assert "every image, 1,005" in page.text
    assert len(page.images) == 5 + 3
    assert len(page.html) < 700_000


def test_a_report_is_a_page_of_different_runs(tmp_path: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match=r"report.pdf: expected a name that ends in \.html"):
        write_report(tmp_path / "report.pdf", runs=[run])
    with pytest.raises(ConfigError, match="named twice"):
        write_report(tmp_path / "report.html", runs=[run, run / ".." / run.name])
