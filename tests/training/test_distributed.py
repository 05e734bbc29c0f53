"""Two processes that train one model, over gloo: their sums, and their ends."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from voxloom.errors import DistributedError, LoadingError
from voxloom.jobs import train
from voxloom.loading import Order
from voxloom.ranks import Rank
from voxloom.sources import Layout, Parts
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import write_recipe
from voxloom.testing.segmentation import small_segmentation, write_segmentation, write_split
from voxloom.training.distributed import any_rank, mean_over_ranks, process_group, sum_over_ranks, wrap

SCRIPT = Path(__file__).with_name("two_ranks.py")
LIMIT = 100
"""Seconds after which a rank counts as left hanging; starting two takes most of what is used."""


def start(*command):
    """Run a command line to its end; all of its processes are ended with it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        pytest.fail(f"left hanging after {time.monotonic() - began:.0f} s:\n{err[-3000:]}")
    return process.returncode, out, err


def torchrun(*command):
    return start("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *command)


# A generator's gradients differ by rounding where the losses of two halves are added up.
CASES = {
    "vae": ("vae", {"TRAIN__adv_from_epoch": 0, "TRAIN__clip_norm": None, "TRAIN__batch_size": 2}),
    "ldm": ("ldm", {"TRAIN__clip_norm": None, "TRAIN__batch_size": 1, "augment": True}),
    # 3 pairs train in one batch: 2 on one rank and 1 on the other; 7 validate
    "uneven": ("pix2pix", {"TRAIN__clip_norm": None, "TRAIN__batch_size": 2, "train_split": 0.3}),
}


def test_two_ranks_take_the_step_of_one_that_has_all_and_validate_alike(tmp_path, go, vae):
    cases = {name: (task, dict(overrides)) for name, (task, overrides) in CASES.items()}
    cases["ldm"][1]["autoencoder_path"] = str(vae.folder)
    torch.save(cases, tmp_path / "cases.pt")
    (tmp_path / "two").mkdir()
    code, _, err = torchrun(SCRIPT, "step", go.pairs, tmp_path / "two", tmp_path / "cases.pt")
    assert code == 0, err
    first, second = (torch.load(tmp_path / "two" / f"rank{i}.pt") for i in range(2))
    for name, (task, overrides) in cases.items():
        alone = go.trainer(
            task, tmp_path / name, **{**overrides, "TRAIN__batch_size": 2 * overrides["TRAIN__batch_size"]}
        )
        alone._train_step(list(alone.train)[:1])
        for phase in alone.objective.phases:
            for key, parameter in phase.named_parameters():
                shared = first[name]["gradients"][f"{phase.name}.{key}"]
                assert torch.equal(shared, second[name]["gradients"][f"{phase.name}.{key}"])
                torch.testing.assert_close(shared, parameter.grad, rtol=1e-3, atol=3e-6, msg=f"{name} {key}")
        assert first[name]["validation"] == second[name]["validation"]
        assert first[name]["validation"] == pytest.approx(alone._validate(0), rel=1e-4, abs=1e-6)
        assert first[name]["told"] == second[name]["told"]
        if name != "uneven":  # told is the mean over the ranks, whatever their shares
            assert first[name]["told"] == pytest.approx(alone._means.values(), rel=1e-3, abs=1e-5)


def test_gpus_start_the_other_processes_by_themselves(tmp_path, pairs, go, rows):
    recipe = write_recipe(tmp_path / "small.json", pairs, train_split=0.8, run_dir=str(tmp_path / "two"))
    command = ["train", "regression", "-c", recipe, "-g", 2, "--batch-size", 2]
    code, out, err = start("-m", "voxloom", *command)
    assert code == 0, err
    assert out.count("finished:") == 1
    facts = json.loads((tmp_path / "two" / "run.json").read_text())
    assert (facts["processes"], facts["status"], facts["step"]) == (2, "finished", 4)
    alone = go("regression", tmp_path / "one", TRAIN__batch_size=4, TRAIN__max_epochs=2)
    found = [
        json.loads(line)["loss"] for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()
    ]
    assert found == pytest.approx([row["loss"] for row in rows(alone)], rel=1e-4)


def test_no_rank_is_left_when_one_meets_a_bad_file(tmp_path):
    data = write_pairs(tmp_path / "data", 44, size=(6, 5))
    parts = Parts(Layout(data_base_dir=data), "pairs", 42)
    looked_at = {parts.source.keys[i * 44 // 32] for i in range(32)}  # at the start, by rank 0
    order = Order(length=len(parts.train), batch_size=2, seed=42, rank=1, world=2)
    early = [
        parts.train.keys[i] for step in range(order.batches_per_epoch) for i in order.batch(step).indices
    ]
    bad = next(key for key in early if key not in looked_at)
    path = data / "edente" / f"{bad}.tif"
    path.write_bytes(path.read_bytes()[:150])
    recipe = write_recipe(tmp_path / "small.json", data, train_split=0.9, run_dir=str(tmp_path / "run"))
    code, _, err = torchrun("-m", "voxloom", "train", "regression", "-c", recipe)
    assert code != 0
    assert f"error: {path}" in err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] in ("failed", "running")


def test_no_rank_is_left_when_the_one_that_writes_finds_no_room(tmp_path, pairs):
    recipe = write_recipe(tmp_path / "small.json", pairs, run_dir=str(tmp_path / "run"))
    code, _, err = torchrun(SCRIPT, "save", "train", "regression", "-c", recipe)
    assert code != 0
    assert "error: could not write last.pt: No space left on device" in err
    assert "voxloom/jobs/training.py" not in err  # no traceback of ours: torchrun shows its own
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def join(index, error=None):
    with process_group(Rank(index, 2), torch.device("cpu")):
        if error is not None:
            raise error


def test_a_port_in_use_is_told_with_the_cure(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(DistributedError, match=r"rank 0 of 2 .*torchrun --standalone.*--master_port"):
            join(0)


def test_missing_variables_are_told(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(DistributedError, match="Expected MASTER_ADDR and a free MASTER_PORT"):
        join(0)


def test_a_process_that_lost_the_others_says_so(monkeypatch):
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *args, **kwargs: None)
    with pytest.raises(DistributedError, match=r"rank 1 of 2 lost the others .*Its own message"):
        join(1, RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
    for own in (RuntimeError("shapes do not fit"), LoadingError("a worker on gloo died"), ValueError("gloo")):
        with pytest.raises(type(own), match=str(own)):
            join(1, own)


def test_a_lone_process_needs_no_group():
    cpu, module = torch.device("cpu"), torch.nn.Linear(1, 1)
    with process_group(Rank(), cpu):
        assert sum_over_ranks({"a": 1.0}, cpu) == mean_over_ranks({"a": 1.0}, cpu) == {"a": 1.0}
        assert [any_rank(flag, cpu) for flag in (True, False)] == [True, False]
        assert wrap(module, Rank(), cpu) is module


def test_two_ranks_of_a_segmentation_see_the_patches_that_one_sees(tmp_path, rows):
    split = write_split(tmp_path / "volumes")
    recipe = write_segmentation(tmp_path / "small.json", split, run_dir=str(tmp_path / "two"))
    code, _, err = torchrun("-m", "voxloom", "train", "segmentation", "-c", recipe)
    assert code == 0, err
    settings = {"segmentation_train.batch_size": 4}
    alone = train("segmentation", small_segmentation(split, tmp_path / "one", settings))
    lines = (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    expected = rows(alone)
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for name in ("loss", "dice/mito"):
        assert [row.get(name) for row in found] == [
            pytest.approx(row[name], rel=1e-3) if name in row else None for row in expected
        ]
