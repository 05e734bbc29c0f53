"""The older command of the latent analysis: its flags, its defaults, and the files that it leaves."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import voxloom.cli
from voxloom.models import AutoencoderConfig
from voxloom.sources import write_image

SCRIPT = Path(__file__).parents[1] / "scripts" / "analyze_static.py"
DEFAULTS = ["--output", "projections", "--max-images", "1000", "--method"]
PATIENT = r"key:([^_/]+?)(?:\.\w+)?$"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the script in a folder of its own, and return what it says to the command line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["analyze_static.py", *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return sys.argv[1:]

    return run


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (
            ["--vae-weights", "w.pt", "--config-file", "c.json", "--folder-edente", "e"],
            [
                *("--checkpoint", "w.pt", "--config-file", "c.json", "--images", "edente=e", *DEFAULTS),
                *("umap", "--n-neighbors", "40", "--min-dist", "0.5", "--fit", "edente"),
                *("--dpi", "600", "--texts", "--overwrite"),
            ],
        ),
        (
            ["--folder-edente", "e", "--folder-dente", "d", "--method", "tsne", "--color-by-patient", "--dpi",
             "100", "--seed", "7", "--subtitle", "two words"],
            [
                *("--images", "edente=e", "--images", "dente=d", *DEFAULTS, "tsne", "--perplexity", "30"),
                *("--patient", PATIENT, "--color-by", PATIENT, "--dpi", "200", "--texts", "--overwrite"),
                *("--seed", "7", "--subtitle", "two words"),
            ],
        ),
    ],
)  # fmt: skip
def test_the_older_flags_and_defaults(run, monkeypatch, given, asked):
    monkeypatch.setattr(voxloom.cli, "main", lambda: None)
    assert run(*given) == ["analyze", "static", *asked]


@pytest.mark.parametrize("script", ["analyze_static.py", "analyze_interactive.py"])
def test_help_tells_the_older_flags_and_where_the_others_are(monkeypatch, capsys, script):
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT.parent / script), run_name="__main__")
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for flag in ("--vae-weights", "--folder-edente", "--color-by-patient", "--n-neighbors", "(default: 40)"):
        assert flag in told
    assert "Every other option of `voxloom" in told


def test_a_size_that_is_given_is_taken(run, monkeypatch):
    monkeypatch.setattr(voxloom.cli, "main", lambda: None)
    asked = run("--folder-edente", "e", "--patch-size", "128", "112")
    assert asked[asked.index("--patch-size") :][:3] == ["--patch-size", "128", "112"]


def test_two_folders_and_bare_weights_give_the_older_files(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for group in ("edente", "dente"):
        for number in range(6):
            path = tmp_path / group / f"image_{number // 2:03d}{'ab'[number % 2]}_{number // 2:03d}.tif"
            write_image(path, rng.random((32, 32), np.float32))
    network = {"channels": [4, 8], "num_res_blocks": 1, "norm_num_groups": 4}
    settings = {
        "latent_channels": 2,
        "autoencoder_def": network,
        "autoencoder_train": {"batch_size": 2, "patch_size": [32, 32]},
    }
    (tmp_path / "c.json").write_text(json.dumps(settings))
    model = AutoencoderConfig(
        spatial_dims=2, in_channels=1, out_channels=1, latent_channels=2, **network
    ).build()
    torch.save(model.net.state_dict(), tmp_path / "w.pt")
    both = ["--folder-edente", tmp_path / "edente", "--folder-dente", tmp_path / "dente"]
    weights = ["--vae-weights", "w.pt", "--config-file", "c.json"]
    line = [*weights, *both, "--patch-size", 16, 16, "--method", "pca", "--color-by-patient", "--dpi", 30]
    run(*line)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "latents").glob("encoded-*")}
    assert len(kept) == 2
    run(*line)  # what was there is replaced, as it was, but the latents
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    with pytest.raises(SystemExit):
        run("--vae-weights", "w.pt", *both)
    assert "name the configuration" in capsys.readouterr().err
    found = {path.name for path in (tmp_path / "projections").iterdir()}
    texts = {"color_legend.txt", "distance_metrics.txt", "exams_sorted_by_distance.txt"}
    assert {"pca_projection.png", *texts} < found
    legend = (tmp_path / "projections" / "color_legend.txt").read_text(encoding="utf-8")
    assert [line.split()[1] for line in legend.splitlines()] == ["000", "001", "002"]
    order = (tmp_path / "projections" / "exams_sorted_by_distance.txt").read_text()
    assert len(order.splitlines()) == 3
