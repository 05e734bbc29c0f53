"""Several runs, and several predictions, on one page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxloom.analysis import evaluate, write_report
from voxloom.seeding import rng_for
from voxloom.sources.write import write_image

Reader = Callable[[Path], Any]


@pytest.fixture
def second(run: Path) -> Path:
    """The run again with another learning rate, another split and worse numbers."""
    folder = run.parent / "ldm_slow"
    shutil.copytree(run, folder)
    (folder / "config.json").write_text(
        json.dumps({"seed": 42, "process": "flow", "diffusion_train": {"lr": 1e-5}})
    )
    (folder / "metrics.jsonl").write_text(
        "\n".join(json.dumps({"step": s, "split": "validation", "loss": 2 / s}) for s in range(1, 9))
    )
    (run / "split.json").write_text(json.dumps({"train": ["a", "b"], "validation": ["c"]}))
    (folder / "split.json").write_text(json.dumps({"train": ["a", "c"], "validation": ["b"]}))
    return folder


@pytest.fixture
def others(predictions: Path, glyph: np.ndarray) -> Path:
    """Better predictions of the same images, all but one, with their deviations, measured."""
    folder = predictions.parent / "others"
    shutil.copytree(predictions / "target", folder / "target")
    for path in (path for path in (folder / "target").iterdir() if path.stem != "a"):
        noise = rng_for(1, path.name).normal(size=glyph.shape)
        write_image(folder / "prediction" / path.name, (glyph + 0.01 * noise).astype(np.float32))
        write_image(folder / "deviation" / path.name, np.full_like(glyph, 0.01))
    (folder / "predict.json").write_text(json.dumps({"task": "ldm", "samples_per_image": 8}))
    evaluate(folder / "prediction", folder / "target", data_range=1).save(folder / "evaluation")
    return folder


def test_runs_of_a_kind_are_compared(tmp_path: Path, run: Path, second: Path, read_page: Reader) -> None:
    page = read_page(write_report(tmp_path / "report.html", runs=[run, second]))
    for text in (
        "Translators: 2 runs",
        "loss · validation",
        "0.25, best 0.25 at 8",
        "diffusion_train.lr",
        "1 key that not all of them have",  # "odd"
        "Only 0 of 2 validation samples are validated by all",
        "One run trains on samples that another validates: ldm and ldm_slow (2).",
    ):
        assert text in page.text
    table = page.text[page.text.index("Configuration: what differs") : page.text.index("Data and split")]
    assert "seed" not in table
    assert "process" not in table


def test_keys_that_are_alike_in_other_data_are_no_leak(
    tmp_path: Path, run: Path, second: Path, read_page: Reader
) -> None:
    for folder, data in ((run, "data/first"), (second, "data/second")):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "data_base_dir": data}))
    text = read_page(write_report(tmp_path / "report.html", runs=[run, second])).text
    assert "trains on samples" not in text
    assert "trains on keys that another validates, in other data: ldm and ldm_slow (2)." in text
    assert "Not all of these runs name the same data" in text


def test_splits_of_many_runs_are_told_in_a_few_sentences(
    tmp_path: Path, run: Path, read_page: Reader
) -> None:
    runs = [run]
    for number in range(4):
        runs.append(tmp_path / f"again{number}")
        shutil.copytree(run, runs[-1])
        (runs[-1] / "split.json").write_text(json.dumps({"train": ["a"], "validation": ["b", "c"]}))
    page = read_page(write_report(tmp_path / "report.html", runs=runs))
    assert "Splits that are not known by their keys: ldm." in page.text
    assert "All validate the same 2 samples." in page.text
    for number, path in enumerate(runs[1:]):
        (path / "split.json").write_text(json.dumps({"train": ["b"], "validation": ["b", str(number)]}))
    page = read_page(write_report(tmp_path / "other.html", runs=runs))
    assert "again0 and again1 (2), again0 and again2 (2)" in page.text
    assert "and 2 more pairs. Compare" in page.text


def test_runs_of_other_kinds_are_not(tmp_path: Path, run: Path, read_page: Reader) -> None:
    vae = tmp_path / "vae"
    shutil.copytree(run, vae)
    (vae / "run.json").write_text(json.dumps({"task": "vae", "status": "finished"}))
    assert "Runs compared" not in read_page(write_report(tmp_path / "report.html", runs=[vae, run])).text


def test_an_unread_configuration_is_said(tmp_path: Path, run: Path, second: Path, read_page: Reader) -> None:
    (second / "config.json").unlink()
    page = read_page(write_report(tmp_path / "report.html", runs=[run, second]))
    assert "The configuration of ldm_slow is not known." in page.text


def test_predictions_stand_side_by_side(
    tmp_path: Path, predictions: Path, evaluation: Path, others: Path, read_page: Reader
) -> None:
    page = read_page(
        write_report(tmp_path / "report.html", predictions={"flow": predictions, "sampler": others})
    )
    for text in (
        "Paired differences from flow",
        "better on 100 % of 4 images",
        "Fewer than 6 images or groups say too little for an interval",
        "flow: every image, 5",
        "sampler: every image, 4",
        "sampler 8",  # samples an image
        "Best, median and worst are by PSNR of flow",
        "Was not predicted.",
        "black 0 and white 1: the 0.5 and 99.5 percentiles of 5 targets",
        "flow · 5 images",
    ):
        assert text in page.text
    heads = [attributes.get("id") for tag, attributes in page.tags if tag == "h2"]
    assert heads == ["results", "uncertainty", "images", "errors"]


def test_settings_that_differ_are_said(
    tmp_path: Path, predictions: Path, evaluation: Path, others: Path, read_page: Reader
) -> None:
    judged = tmp_path / "judged"
    evaluate(others / "prediction", others / "target", data_range=2).save(judged)
    page = read_page(
        write_report(
            tmp_path / "report.html", predictions=[predictions, others], evaluation=[evaluation, judged]
        )
    )
    assert "different settings of the data range: translations 1.0; others 2.0" in page.text


def test_images_that_no_other_predicted_have_no_difference(
    tmp_path: Path, predictions: Path, evaluation: Path, read_page: Reader
) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    shutil.copy(evaluation / "summary.json", strange)
    page = read_page(write_report(tmp_path / "report.html", evaluation=[evaluation, strange]))
    assert "evaluation and strange share no image" in page.text


def test_damaged_files_are_said_and_no_error(
    tmp_path: Path, run: Path, predictions: Path, evaluation: Path, read_page: Reader
) -> None:
    for name in ("run.json", "config.json", "split.json"):
        (run / name).write_text('{"a": [')
    (run / "metrics.jsonl").write_bytes(b'\xff\xfe{"step": 1}\n{"step": "x", "split": 3, "loss": {}}\n[1]\n')
    (evaluation / "summary.json").write_text(
        '{"methods": {"prediction": {"psnr": {"mean": [1]}}}, "failures": null}'
    )
    (evaluation / "per_image.csv").write_text(
        "method,name,psnr\nprediction,a,2x\nprediction,b\nprediction,,1\n\0"
    )
    (predictions / "predict.json").write_text("[]")
    page = read_page(write_report(tmp_path / "report.html", runs=[run], predictions=predictions))
    for text in (
        "run.json cannot be read as JSON",
        "config.json cannot be read",
        "cut short and are left out: 2",
    ):
        assert text in page.text
    (evaluation / "summary.json").write_text("{}")
    page = read_page(write_report(tmp_path / "other.html", predictions=predictions))
    assert "summary.json is damaged" in page.text
