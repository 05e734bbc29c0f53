import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import get_args

import numpy as np
import pytest
from PIL import Image

import voxloom
from voxloom.cli.convert import command
from voxloom.cli.naming import LAYOUTS
from voxloom.conversion import Conversion
from voxloom.formats.store import Store
from voxloom.sources.opening import OpenAs
from voxloom.testing.images import snapshot


@pytest.fixture
def pets(tmp_path):
    """Six photographs in two classes, with names that need care."""
    rng = np.random.default_rng(0)
    root = tmp_path / "haus tiere"
    for i, name in enumerate(
        ("hund/ä 1.jpg", "hund/2.png", "katze/3.jpg", "katze/4.jpg", "katze/5.png", "katze/断.png")
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20 + i, 30 - i, 3), dtype=np.uint8)).save(root / name)
    return root


@pytest.fixture
def masked(tmp_path):
    """Two folders that belong together."""
    for i in range(3):
        for name, value in (("raw data", 200 + i), ("labels", i)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((12, 10), value, np.uint8)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_files_are_copied_and_the_next_step_is_named(call, pets, tmp_path):
    before = snapshot(pets)
    done = call("convert", pets, tmp_path / "my store")
    assert done.code == 0, done.err
    assert "6 samples" in done.out
    assert f"1 shard; next: voxloom inspect '{tmp_path / 'my store'}'" in done.out
    assert "%|" not in done.err  # no bar where nobody watches
    store = Store(tmp_path / "my store")
    assert list(store.keys) == [
        "hund/2.png",
        "hund/ä 1.jpg",
        "katze/3.jpg",
        "katze/4.jpg",
        "katze/5.png",
        "katze/断.png",
    ]
    assert bytes(store.get(1, "image", "bytes")) == (pets / "hund" / "ä 1.jpg").read_bytes()
    assert snapshot(pets) == before


def test_every_setting_arrives(call, pets, tmp_path):
    done = call(
        "convert", pets, tmp_path / "s", "--format", "memmap", "--size", 8, 16, "--mode", "L",
        "--interpolation", "nearest", "--samples-per-shard", 4, "--layout", "classes", "--workers", 0,
    )  # fmt: skip
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["format"] == "memmap"
    assert [shard["samples"] for shard in manifest["shards"]] == [4, 2]
    assert Store(tmp_path / "s").schema["image"].shape == (8, 16, 1)
    assert manifest["facts"]["conversion"]["interpolation"] == "nearest"
    other = call(
        "convert", pets, tmp_path / "t", "--encoding", "jpeg", "--quality", 50, "--shard-bytes", "4KiB",
        "--compression", "none", "--on-error", "skip", "--format", "tar",
    )  # fmt: skip
    assert other.code == 0, other.err
    settings = json.loads((tmp_path / "t" / "manifest.json").read_text())["facts"]["conversion"]
    assert (settings["quality"], settings["shard_bytes"], settings["on_error"]) == (50, 4096, "skip")


def test_folders_of_images_and_masks(call, masked, tmp_path):
    done = call(
        "convert",
        tmp_path / "s",
        "--image",
        f"ct={masked / 'raw data'}",
        "--mask",
        f"organ={masked / 'labels'}",
    )
    assert done.code == 0, done.err
    schema = Store(tmp_path / "s").schema
    assert {field.name: field.kind for field in schema.values()} == {"ct": "image", "organ": "mask"}


def test_a_store_becomes_one_of_another_format(call, pets, tmp_path):
    assert call("convert", pets, tmp_path / "a", "--format", "memmap").code == 0
    done = call("convert", tmp_path / "a", tmp_path / "b", "--format", "hdf5")
    assert done.code == 0, done.err
    assert [bytes(Store(tmp_path / "b").get(i, "image", "bytes")) for i in range(6)] == [
        bytes(Store(tmp_path / "a").get(i, "image", "bytes")) for i in range(6)
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{src}"], 2, "expected SRC and DST"),
        ([], 2, "got nothing; expected SRC and DST"),
        (["{src}", "{dst}", "--image", "a=b"], 2, "expected DST alone, since --image and --mask"),
        (["{dst}", "--image", "a"], 2, "'a': expected NAME=FOLDER"),
        (["{dst}", "--image", "a=b", "--image", "a=c"], 2, "'a' is named twice"),
        (["{dst}", "--image", "a={src}", "--mask", "a={src}"], 2, "'a' is named as an image and as a mask"),
        (["{dst}", "--image", "a={src}", "--layout", "flat"], 2, "with --image there is no SRC"),
        (["{src}", "{dst}", "--size", "224"], 2, "Option '--size' requires 2 arguments"),
        (["{src}", "{dst}", "--size", "224", "--mode", "RGB"], 2, "'--mode' is no number of pixels"),
        (["--size", "224", "{src}", "{dst}"], 2, "is no number of pixels. Expected two, the height and then"),
        (["{src}", "{dst}", "--size", "0", "5"], 2, "'0' is no number of pixels"),
        (["{src}", "{dst}", "--encoding", "pgn"], 2, "'pgn' is not one of"),
        (["{src}", "{dst}", "--layout", "clases"], 2, "'clases' is not one of"),
        (["{src}", "{dst}", "--on-eror", "skip"], 2, "--on-error"),
        (["{dst}", "--image", "a={src}", "--images", "b"], 2, "name columns of SRC, a table; with --image"),
        (["{src}", "{dst}", "--images", "b", "--masks", "b"], 2, "column 'b' is named as images and"),
        (["{src}", "{dst}", "--images", "b", "--layout", "flat"], 1, "columns are those of a table"),
        (["{src}", "{dst}", "--layout", "pairs"], 1, "in the place of it: --image NAME=FOLDER --mask NAME="),
        (["{src}", "{dst}", "--encoding", "file", "--mode", "L"], 1, "--encoding file copies files as they"),
        (["{src}", "{dst}", "--quality", "8"], 1, "--quality 8 is that of JPEG"),
        (["{src}s", "{dst}"], 1, "no such file or folder. Did you mean 'haus tiere'?"),
        (["{src}s/hund", "{dst}"], 1, "no such file or folder. Did you mean 'haus tiere'?"),
        (["{dst}", "--image", "a={src}s"], 1, "Did you mean 'haus tiere'?"),
        (["{src}", "{dst}", "--format", "arow"], 1, "hdf5, memmap, parquet, tar. Did you mean 'arrow'?"),
        (["{src}", "{dst}", "--shard-bytes", "256MX"], 1, "--shard-bytes: '256MX': expected a number"),
        (["{src}", "{dst}", "--mode", "RBG"], 1, "--mode: 'RBG'"),
        (["{src}", "{dst}", "--compression", "gzpi", "--format", "hdf5"], 1, "Did you mean 'gzip'?"),
        (["{src}", "{dst}", "--resume", "--overwrite"], 1, "exclude each other"),
        (["{src}/nothing", "{dst}"], 1, "no such file or folder"),
        (["{src}/hund/2.png", "{dst}"], 1, "Expected a folder"),
        (["{src}", "{src}/store"], 1, "lies inside of the source"),
        (["{src}", "{src}/.."], 1, "holds the source"),
        (["{src}", "{src}/hund/2.png"], 1, "2.png"),
    ],
)  # fmt: skip
def test_slips_are_told_and_nothing_is_written(call, pets, tmp_path, arguments, code, said):
    before = snapshot(tmp_path)
    failed = call("convert", *(a.format(src=pets, dst=tmp_path / "dst") for a in arguments))
    assert failed.code == code, failed.err
    assert said in failed.err, failed.err
    assert "Traceback" not in failed.err
    assert snapshot(tmp_path) == before


def test_a_file_where_the_store_should_be(call, pets, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for more in ([], ["--resume"], ["--overwrite"]):
        failed = call("convert", pets, tmp_path / "notes.txt", *more)
        assert failed.code == 1
        assert "notes.txt" in failed.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_store_that_is_there_is_refused_kept_or_replaced(call, pets, tmp_path):
    store = tmp_path / "s"
    assert call("convert", pets, store).code == 0
    before = snapshot(store)
    refused = call("convert", pets, store)
    assert refused.code == 1
    assert "--overwrite" in refused.err
    again = call("convert", pets, store, "--resume")
    assert (again.code, snapshot(store)) == (0, before)
    other = call("convert", pets, store, "--resume", "--mode", "L")
    assert other.code == 1
    assert "mode" in other.err
    assert call("convert", pets, store, "--overwrite", "--format", "memmap").code == 0
    assert Store(store).manifest.format == "memmap"


def test_what_cannot_be_read_ends_it_or_is_left_out_and_shown(call, pets, tmp_path):
    broken = pets / "katze" / "4.jpg"
    broken.write_bytes(broken.read_bytes()[:100])
    given = ["convert", pets, tmp_path / "s", "--size", 8, 8]
    failed = call(*given)
    assert failed.code == 1
    assert "4.jpg" in failed.err
    done = call(*given, "--overwrite", "--on-error", "skip")
    assert done.code == 0, done.err
    assert "5 samples" in done.out
    assert re.search(r"1 samples? .*\n +katze/4\.jpg: ", done.out + done.err)


def test_only_the_main_rank_speaks(call, pets, tmp_path, monkeypatch):
    given = ["convert", pets, tmp_path / "s", "--samples-per-shard", 2]
    for rank in (1, 0):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one job")
        done = call(*given)
        assert done.code == 0, done.err
        assert bool(done.out) is (rank == 0)
    assert len(Store(tmp_path / "s")) == 6


def test_ctrl_c_keeps_what_is_done_and_names_the_command_that_goes_on(call, tmp_path):
    root, store = tmp_path / "viele bilder", tmp_path / "s"
    root.mkdir()
    for i in range(40):
        Image.fromarray(np.full((64, 64, 3), i, np.uint8)).save(root / f"{i:02}.png")
    size = ["--size", "700", "700", "--encoding", "png", "--samples-per-shard", "1"]
    given = ["convert", str(root), str(store), *size]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "voxloom", *given, "--overwrite"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list(store.glob("journal/[0-9]*.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    told = re.search(rf"stopped: \d+ of 40 shards of {store} are finished and kept. Go on with: (.*)", err)
    assert told, err
    words = shlex.split(told[1])
    assert words == ["voxloom", *given, "--resume"]
    seen = call("inspect", store)
    assert seen.code == 1
    assert re.search(r"\d+ of 40 shards are finished", seen.err)
    with pytest.raises(voxloom.VoxloomError, match="has not ended"):
        Store(store)
    done = call(*words[1:])
    assert done.code == 0, done.err
    assert call("verify", store, "--against", root).code == 0


def test_sigterm_is_taken_as_ctrl_c(call, pets, tmp_path, monkeypatch):
    def told(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("voxloom.jobs.reading.open_source", told)
    done = call("convert", pets, tmp_path / "s", "--workers", 2)
    assert done.code == 130
    assert "stopped before anything was written. Go on with: voxloom convert" in done.err
    assert "--workers 2 --resume" in done.err
    assert signal.getsignal(signal.SIGTERM) is before


def test_masks_alone_make_a_store(call, masked, tmp_path):
    done = call("convert", tmp_path / "s", "--mask", f"organ={masked / 'labels'}")
    assert done.code == 0, done.err
    assert {f.name: f.kind for f in Store(tmp_path / "s").schema.values()} == {"organ": "mask"}


def test_columns_of_a_table_are_named(call, masked, tmp_path):
    rows = "".join(f"raw data/{i}.png,labels/{i}.png,labels/{i}.png\n" for i in range(3))
    (tmp_path / "t.csv").write_text(f"a,b,c\n{rows}")
    done = call("convert", tmp_path / "t.csv", tmp_path / "s", "--images", "a", "--masks", "b")
    assert done.code == 0, done.err
    kinds = {f.name: f.kind for f in Store(tmp_path / "s").schema.values()}
    assert kinds == {"a": "image", "b": "mask", "c": "text"}
    assert call("verify", tmp_path / "s", "--against", tmp_path / "t.csv").code == 1
    given = ["--against", tmp_path / "t.csv", "--images", "a", "--masks", "b"]
    assert call("verify", tmp_path / "s", *given).code == 0
    wrong = call("convert", tmp_path / "t.csv", tmp_path / "u", "--images", "aa")
    assert (wrong.code, "no column 'aa'" in wrong.err) == (1, True)


@pytest.mark.parametrize("folders", [("a", "b"), ("t1", "t2", "seg")])
def test_classes_that_look_like_pairs_are_told(call, tmp_path, folders):
    for name in folders:
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.full((4, 5), i, np.uint8)).save(tmp_path / "d" / name / f"{i}.png")
    done = call("convert", tmp_path / "d", tmp_path / "s")
    assert done.code == 0, done.err
    assert "the same names" in done.log
    for name in folders:
        assert f"={tmp_path / 'd' / name}" in done.log
    assert "fields=" not in done.log
    assert ("--mask seg=" in done.log) is ("seg" in folders)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "d" / folders[0] / "more.png")
    assert "the same names" not in call("convert", tmp_path / "d", tmp_path / "u").log


def test_quiet_says_only_what_went_wrong(call, pets, tmp_path):
    assert call("-q", "convert", pets, tmp_path / "s").out == ""
    assert call("-q", "verify", tmp_path / "s").out == ""
    (pets / "katze" / "4.jpg").write_bytes(b"\xff\xd8 cut")
    done = call("-q", "convert", pets, tmp_path / "t", "--on-error", "skip", "--size", 4, 4)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "1 sample skipped:"
    assert done.out.splitlines()[1].startswith("  katze/4.jpg: ")
    next((tmp_path / "s" / "shards").iterdir()).write_bytes(b"")
    assert "1 problem" in call("-q", "verify", tmp_path / "s").out


def test_the_rank_that_ends_the_store_sums_it_up(call, pets, tmp_path, monkeypatch):
    (pets / "notes.txt").touch()
    (pets / "hund" / "2.png").write_bytes(b"no image")
    given = ["convert", pets, tmp_path / "s", "--samples-per-shard", 2, "--on-error", "skip", "--size", 4, 4]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one job")
    monkeypatch.setenv("RANK", "0")
    first = call(*given)
    assert (first.code, "part is done" in first.out) == (0, True), first.err
    assert "hund/2.png" in first.out
    assert "left out" in first.log
    monkeypatch.setenv("RANK", "1")
    last = call(*given)
    assert last.code == 0, last.err
    assert "3 shards; next: voxloom inspect" in last.out
    assert "left out" not in last.log


def test_a_rank_that_is_not_the_last_names_what_it_has_skipped(call, pets, tmp_path, monkeypatch):
    (pets / "katze" / "断.png").write_bytes(b"no image")
    given = ["convert", pets, tmp_path / "s", "--samples-per-shard", 2, "--on-error", "skip", "--size", 4, 4]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one job")
    monkeypatch.setenv("RANK", "1")
    first = call(*given)
    assert first.out.splitlines()[0] == "rank 1: 1 sample skipped:"
    assert "katze/断.png" in first.out
    monkeypatch.setenv("RANK", "0")
    assert "3 shards; next:" in call(*given).out


def test_ctrl_c_before_anything_was_written(call, pets, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("voxloom.jobs.reading.open_source", stopped)
    done = call("convert", pets, tmp_path / "s")
    assert done.code == 130
    assert "stopped before anything was written. Go on with: voxloom convert" in done.err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("name", "module"), [("arrow", "pyarrow"), ("hdf5", "h5py")])
def test_a_library_that_is_missing_is_named_with_its_command(call, pets, tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    failed = call("convert", pets, tmp_path / "s", "--format", name)
    assert failed.code == 1
    assert f'pip install "voxloom[{name}]"' in failed.err


def test_the_choices_are_those_of_the_rooms_behind():
    offered = {param.name: getattr(param.type, "choices", ()) for param in command.params}
    settings = Conversion.model_fields
    for name in ("interpolation", "encoding", "on_error", "check"):
        assert list(offered[name]) == list(get_args(settings[name].annotation))
    assert set(LAYOUTS) == set(get_args(OpenAs))


def test_the_help_has_examples_and_the_order_of_a_size(call):
    shown = " ".join(call("convert", "--help").out.split())
    assert "voxloom convert photos photos_store" in shown
    assert "--size H W" in shown
    assert "height and width" in shown
