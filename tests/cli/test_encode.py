import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from voxloom.formats import Store
from voxloom.inference.image_encoder import ImageEncoder
from voxloom.testing.images import write_pairs


@pytest.fixture
def encode(call, trained):
    def run(*arguments, checkpoint="vae"):
        return call("encode", "--checkpoint", trained / checkpoint, *arguments)

    return run


def test_images_are_encoded_and_the_next_step_is_told(encode, pairs, trained, tmp_path):
    out = tmp_path / "my latents"
    done = encode("--input", pairs / "dente", "-o", out, "--batch-size", 3)
    assert done.code == 0, done.err
    assert f"8 samples in {out}: image_mu 2 x 8 x 8" in done.out
    assert f"next: voxloom explore '{out}' --checkpoint {trained / 'vae'}" in done.out
    again = encode("--input", pairs / "dente", "-o", out)
    assert again.code == 0
    assert "latents of 8 samples found" in again.log


def test_pairs_classes_and_a_latent_model(encode, pairs, tmp_path):
    sides = ["--image", f"target={pairs / 'edente'}", "--image", f"condition={pairs / 'dente'}"]
    done = encode(*sides, "-o", tmp_path / "pairs", "--format", "memmap", checkpoint="ldm")
    assert done.code == 0, done.err
    assert "target_mu 2 x 8 x 8, condition_mu 2 x 8 x 8" in done.out
    done = encode("--input", pairs, "--layout", "classes", "-o", tmp_path / "classes")
    assert done.code == 0, done.err
    assert Store(tmp_path / "classes").schema["label"].categories == ("dente", "edente")


def test_bad_images_end_it_or_are_listed(encode, tmp_path):
    folder = write_pairs(tmp_path / "data", 3) / "dente"
    (folder / "p0_01.tif").write_bytes(b"")
    failed = encode("--input", folder, "-o", tmp_path / "out")
    assert failed.code == 1
    assert "p0_01.tif" in failed.err
    assert "--on-error skip" in failed.err
    done = encode("--input", folder, "-o", tmp_path / "out", "--on-error", "skip")
    assert done.code == 0
    assert "1 sample skipped:\n  p0_01.tif: " in done.out
    assert "2 samples in" in done.out


def test_inspect_tells_how_an_unfinished_store_of_latents_goes_on(call, encode, tmp_path):
    folder = write_pairs(tmp_path / "data", 3) / "dente"
    (folder / "p0_01.tif").write_bytes(b"")
    assert encode("--input", folder, "-o", tmp_path / "out").code == 1
    told = call("inspect", tmp_path / "out").err
    assert "again: voxloom encode --checkpoint " in told
    assert f"best.pt ... -o {tmp_path / 'out'}" in told
    assert "--resume" not in told


def test_colour_images_are_refused_with_the_option_that_takes_them(encode, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "cells" / name).mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "cells" / name / "1.png")
    arguments = ["--input", tmp_path / "cells", "-o", tmp_path / "out"]
    failed = encode(*arguments)
    assert failed.code == 1
    assert "give --color luma" in failed.err
    assert "convert again" not in failed.err
    done = encode(*arguments, "--color", "luma")
    assert done.code == 0, done.err
    assert Store(tmp_path / "out").manifest.facts["encoded"]["read"]["color"] == "luma"


@pytest.mark.parametrize(
    "given", [["--checkpoint", "gone", "--input", "."], ["--checkpoint", ".", "--input", "gone"]]
)
def test_a_wrong_path_is_told_before_torch_is_loaded(given, tmp_path):
    script = (
        "import sys; from voxloom.cli import cli\n"
        "try: cli.main(sys.argv[1:], standalone_mode=False)\n"
        "except Exception as error: print(type(error).__name__, 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", script, "encode", *given, "-o", "out"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "MissingDataError False\n"


def test_ctrl_c_says_how_to_go_on(encode, pairs, trained, tmp_path, monkeypatch):
    arguments = ["--input", pairs / "dente", "-o", tmp_path / "out", "--batch-size", 2]

    def interrupted(self, image):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImageEncoder, "__call__", interrupted)
        stopped = encode(*arguments, "--overwrite")
    assert stopped.code == 130
    assert "stopped" in stopped.err
    assert "Go on with: voxloom encode --checkpoint" in stopped.err
    assert "--overwrite" not in stopped.err
    assert encode(*arguments).code == 0


def test_what_cannot_be_meant_is_told(call, encode, pairs, tmp_path):
    out = ["-o", tmp_path / "out"]
    for arguments, code, said in (
        ([], 2, "expected either --input SOURCE, or folders"),
        (["--input", pairs / "dente", "--image", f"a={pairs}"], 2, "expected either --input SOURCE"),
        (["--input", pairs / "dent"], 1, "Did you mean 'dente'?"),
        (["--input", pairs / "dente", "--format", "arow"], 1, "--format: 'arow'"),
        (["--input", pairs / "dente", "--device", "cuda:9"], 1, "usable GPUs"),
    ):
        failed = encode(*arguments, *out)
        assert failed.code == code
        assert said in failed.err
        assert not (tmp_path / "out").exists()
    failed = encode("--input", pairs / "dente", *out, checkpoint="pix2pix")
    assert failed.code == 1
    assert "has no autoencoder" in failed.err
    torch.save({"weight": torch.zeros(1)}, tmp_path / "bare.pt")
    failed = call("encode", "--checkpoint", tmp_path / "bare.pt", "--input", pairs / "dente", *out)
    assert failed.code == 1
    assert "holds weights alone" in failed.err
    failed = encode("--input", pairs / "dente", "-o", pairs / "dente" / "out")
    assert failed.code == 1
    assert "lies inside of the source" in failed.err
