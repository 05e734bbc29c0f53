"""``voxloom analyze``: what it prints and writes, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest

from voxloom.conversion import convert
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Latents(Source):
    """Latents of patients with four slices each, of one modality."""

    schema = Schema([Field(name="image_mu", kind="latent", axes="cyx", shape=(2, 2, 2))])

    def __init__(self, shift):
        self.shift = shift

    @property
    def keys(self):
        return [f"p{i // 4}_s{i:02d}" for i in range(20)]

    def read(self, index):
        latent = np.random.default_rng(index).normal(size=(2, 2, 2)).astype("f4") + self.shift
        return Sample(self.keys[index], self.schema, {"image_mu": latent})


class LatentsOfFiles(Latents):
    """Latents with keys as those of a folder."""

    @property
    def keys(self):
        return [f"{key}.tif" for key in super().keys]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    for name, shift in (("ct", 0.0), ("mr", 3.0)):
        convert(Latents(shift), folder / name, format="memmap")
    return folder / "ct", folder / "mr"


QUICK = ("--method", "pca", "--formats", "png", "--dpi", "40")


def test_a_figure_and_numbers_of_two_stores(call, stores, tmp_path):
    found = call("analyze", "static", *stores, "-o", tmp_path / "out", *QUICK, "--patient", "key:^p[0-9]+")
    assert found.code == 0, found.err
    assert "ct | mr" in found.out
    assert "40 points, PCA" in found.out
    assert "pca_projection.png" in found.out
    again = call("analyze", "static", *stores, "-o", tmp_path / "out", *QUICK)
    assert (again.code, "--overwrite" in again.err) == (1, True)
    assert call("-q", "analyze", "static", *stores, "-o", tmp_path / "out", *QUICK, "--overwrite").out == ""


def test_groups_have_the_names_that_they_are_given(call, stores, tmp_path):
    named = ("--group", f"real={stores[0]}", "--group", f"made={stores[1]}")
    found = call("analyze", "static", *named, "--fit", "real", "-o", tmp_path / "o", *QUICK)
    assert found.code == 0, found.err
    facts = json.loads((tmp_path / "o" / "analysis.json").read_text())
    assert facts["fitted_on"] == "fitted on real; made transformed"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "expected stores of latents"),
        (("nowhere",), "nowhere: no such store"),
        (("--group", "a"), "expected NAME=STORE"),
        (("--images", "a=b"), "name a VAE with --checkpoint"),
        (("--images", "a=b", "--checkpoint", "gone.pt"), "checkpoint gone.pt does not exist"),
        (("CT", "--formats", "pdf"), "pdf: expected some of png, svg, html"),
        (("CT", "--color-by", "sex"), "no attribute 'sex'. Known: group"),
        (("CT", "--color-by", "key:"), "finds nothing"),
        (("CT", "--color-by", "key:("), "Expected a regular expression"),
        (("CT", "--method", "pca", "--perplexity", "3"), "no such setting"),
        (("CT", "--dims", "4"), "4 is not in the range 2<=x<=3"),
        (("CT", "--checkpoint", "vae"), "--checkpoint goes with --images"),
    ],
)
def test_what_cannot_be_meant(call, stores, tmp_path, words, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = call("analyze", "static", *(stores[0] if w == "CT" else w for w in words), "-o", tmp_path / "o")
    assert found.code in (1, 2)
    assert text in " ".join(found.err.replace("\n", " ").split())
    assert not (tmp_path / "o").exists()


def test_a_missing_package_is_said_and_nothing_written(call, stores, tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = call("analyze", "static", *stores, "-o", tmp_path / "o", *QUICK)
    assert found.code == 1
    assert 'pip install "voxloom[analysis]"' in found.err
    assert not list(tmp_path.iterdir())


def test_distances(call, stores, tmp_path):
    found = call("analyze", "distances", *stores, "-o", tmp_path / "d")
    assert found.code == 0, found.err
    assert "ct (20) and mr (20)" in found.out
    assert "MMD, squared" in found.out
    assert (tmp_path / "d" / "nearest.csv").read_text().count("\n") == 21
    assert call("analyze", "distances", *stores, "-o", tmp_path / "d").code == 1
    assert "expected two" in call("analyze", "distances", stores[0]).err


def test_the_distance_of_two_keys(call, stores):
    found = call(
        "analyze", "distances", stores[0], "--keys", "p0_s00", "p0_s01", "--keys", "p0_s00", "p0_s00"
    )
    a, b = Latents(0)[0]["image_mu"], Latents(0)[1]["image_mu"]
    words = found.out.split()
    assert words[:2] == ["p0_s00", "p0_s01"]
    assert float(words[2]) == pytest.approx(float(np.linalg.norm(a - b)), rel=1e-5)
    assert words[5] == "0"
    assert "Did you mean" in call("analyze", "distances", *stores, "--keys", "p0_s00", "p0_s0").err


def test_keys_of_folders_are_named_without_the_ending_of_their_files(call, tmp_path):
    convert(LatentsOfFiles(0.0), tmp_path / "store", format="memmap")
    keys = ("--keys", "p0_s00", "p0_s01.tif")
    assert call("analyze", "distances", tmp_path / "store", *keys).out.startswith("p0_s00  p0_s01.tif  ")
    given = (*QUICK, "--patient", "key:_s0?([0-9]+)$", "--color-by", "key:_s0?([0-9]+)$")
    done = call("analyze", "static", tmp_path / "store", "-o", tmp_path / "o", *given)
    assert done.code == 0, done.err
    assert "patient,19,1," in (tmp_path / "o" / "legend.csv").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["static", "gone", "-o", "o"],
        ["static", ".", "--train", "gone", "-o", "o"],
        ["distances", "--images", "a=gone", "--checkpoint", "."],
    ],
)
def test_a_wrong_path_is_told_before_torch_is_loaded(words, tmp_path):
    script = (
        "import sys; from voxloom.cli import cli\n"
        "try: cli.main(sys.argv[1:], standalone_mode=False)\n"
        "except Exception as error: print(type(error).__name__, 'torch' in sys.modules)"
    )
    line = [sys.executable, "-c", script, "analyze", *words]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "MissingDataError False\n"


def test_help_is_fast_and_says_what_there_is(call):
    assert "distances" in call("analyze", "--help").out
    assert "--color-by" in call("analyze", "static", "--help").out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--group", "a={0}", "--group", "a={1}"], "'a' is named twice"),
        (["{0}", "--device", "cpu"], "--device goes with --images"),
        (["{0}", "--patch-size", "8", "8"], "--patch-size goes with --images"),
        (["{0}", "--formats", ""], "expected some of png"),
    ],
)
def test_nothing_is_dropped_or_ignored_in_silence(call, stores, tmp_path, more, said):
    done = call("analyze", "static", *(each.format(*stores) for each in more), "-o", tmp_path / "o")
    assert (done.code, said in done.err) == (2, True), done.err
