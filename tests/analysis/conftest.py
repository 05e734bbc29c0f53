"""A run, predictions and an evaluation to report of, and a reader of pages that is strict."""

import base64
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis import evaluate
from voxloom.seeding import rng_for
from voxloom.sources.write import write_image

GLYPH = np.zeros((32, 24), dtype=np.float32)  # an F: no flip, no turn and no transposition of it is itself
GLYPH[4:28, 6] = 1
GLYPH[4, 6:20] = 1
GLYPH[14, 6:14] = 1
EVIL = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """The tags, texts and images of a page; balanced or an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] not in ("style", "script") else ""

    @property
    def images(self) -> list[np.ndarray]:
        urls = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))) for url in urls]


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    """Return what parses a page, and fails where it is not well formed."""
    return Page


@pytest.fixture
def glyph() -> np.ndarray:
    """(32, 24) float32: an F of ones."""
    return GLYPH


@pytest.fixture
def evil() -> str:
    """A name that would be HTML."""
    return EVIL


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "ldm"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.pt").touch()
    facts = {
        "task": "ldm",
        "status": "finished",
        "seconds": 61.4,
        "device": "cpu (2 threads)",
        "versions": {"torch": "2.6.0"},
        "num_parameters": {"denoiser": 1234567},
        "facts": {"ceiling_psnr": 31.25},
    }
    config = {"seed": 42, "process": "flow", "diffusion_train": {"lr": 5e-4}, "odd": EVIL}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "config.json").write_text(json.dumps(config))
    rows = [
        {"step": s, "split": split, "loss": 1 / s} for s in range(1, 9) for split in ("train", "validation")
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder = tmp_path / "translations"
    for i, name in enumerate(["a", "b", "c", "d", EVIL.replace("/", "")]):
        noise = 0.02 * (i + 1) * rng_for(0, name).normal(size=GLYPH.shape)
        write_image(folder / "condition" / f"{name}.tif", 1 - GLYPH)
        write_image(folder / "target" / f"{name}.tif", GLYPH)
        write_image(folder / "prediction" / f"{name}.tif", GLYPH + noise)
    (folder / "predict.json").write_text(json.dumps({"task": "ldm", "solver": "euler", "seed": 3}))
    return folder


@pytest.fixture
def evaluation(predictions: Path) -> Path:
    found = evaluate(
        predictions / "prediction",
        predictions / "target",
        baselines={"copy": predictions / "condition"},
        data_range=1,
    )
    found.save(predictions / "evaluation")
    return predictions / "evaluation"
