"""Several ranks as real processes: no process group, only the variables of a launcher."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slow_source import Slow

from voxloom.conversion import Conversion, convert, start, verify
from voxloom.conversion.journal import Journal, Made
from voxloom.conversion.planning import planned
from voxloom.conversion.start import job_name
from voxloom.conversion.target import clear
from voxloom.errors import DistributedError, OutputExistsError
from voxloom.ranks import Rank, even_split

SCRIPT = Path(__file__).with_name("slow_source.py")
LAUNCHERS = {
    "torchrun": lambda rank, world: {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank},
    "slurm": lambda rank, world: {
        "SLURM_PROCID": rank, "SLURM_NTASKS": world, "SLURM_JOB_ID": 9, "SLURM_STEP_ID": 0,
    },
    "mpich": lambda rank, world: {"PMI_RANK": rank, "PMI_SIZE": world},
}  # fmt: skip
FOREIGN = ("RANK", "SLURM_", "PMI", "OMPI_", "TORCHELASTIC", "VOXLOOM_")


def launch(store, variables, *settings, seconds=0.0):
    environment = {name: v for name, v in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT), str(store), str(seconds), *settings],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip


def ended(processes):
    return [(process.communicate(timeout=60)[0], process.returncode) for process in processes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return convert(Slow(), tmp_path_factory.mktemp("whole") / "store", samples_per_shard=2).path


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ranks_write_one_store(tmp_path, whole, same_tree, launcher):
    store = tmp_path / "store"
    results = ended([launch(store, LAUNCHERS[launcher](rank, 3)) for rank in range(3)])
    assert [code for _, code in results] == [0, 0, 0], results
    last = [text for text, _ in results if "24 samples" in text]  # who completes it speaks of all
    assert last
    assert all("8 samples" in text and "not finished yet" in text for text, _ in results if text not in last)
    assert same_tree(whole, store)


def test_a_rank_that_was_given_twice_does_no_harm(tmp_path, whole, same_tree):
    store = tmp_path / "store"
    twice = [LAUNCHERS["torchrun"](rank, 2) for rank in (0, 0, 1)]
    results = ended([launch(store, each, seconds=0.01) for each in twice])
    assert all(code == 0 or "already holds" in text for text, code in results), results
    assert same_tree(whole, store)


def test_a_dead_rank_is_made_up_for(tmp_path, whole, same_tree):
    store = tmp_path / "store"
    first = convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 3))
    assert not first.finished
    assert "not finished yet" in str(first)
    again = convert(Slow(), store, samples_per_shard=2, resume=True)  # one process for the rest
    assert (again.finished, again.samples, again.converted) == (True, 24, 16)
    assert same_tree(whole, store)


def test_overwrite_by_ranks_of_one_job(tmp_path, whole, same_tree):
    store = tmp_path / "store"
    convert(Slow(samples=9), store, samples_per_shard=1)
    late = [launch(store, LAUNCHERS["slurm"](rank, 3), "overwrite=True") for rank in (1, 2)]
    time.sleep(0.5)
    results = ended([launch(store, LAUNCHERS["slurm"](0, 3), "overwrite=True"), *late])
    assert [code for _, code in results] == [0, 0, 0], results
    assert same_tree(whole, store)


def test_a_second_rank_0_of_a_job_clears_nothing(tmp_path, monkeypatch, whole, same_tree):
    monkeypatch.setenv("VOXLOOM_JOB", "17")
    store = tmp_path / "store"
    convert(Slow(samples=9), store, samples_per_shard=1)
    convert(Slow(), store, samples_per_shard=2, overwrite=True, rank=Rank(0, 2))
    report = convert(Slow(), store, samples_per_shard=2, overwrite=True, rank=Rank(0, 2))
    assert report.converted == 0
    convert(Slow(), store, samples_per_shard=2, overwrite=True, rank=Rank(1, 2))
    assert same_tree(whole, store)


def test_overwrite_by_ranks_needs_a_job_and_a_rank_0(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "WAIT", 0.1)
    store = tmp_path / "store"
    convert(Slow(samples=9), store, samples_per_shard=1)
    with pytest.raises(DistributedError, match="VOXLOOM_JOB"):
        convert(Slow(), store, samples_per_shard=2, overwrite=True, rank=Rank(0, 2))
    monkeypatch.setenv("VOXLOOM_JOB", "17")
    with pytest.raises(DistributedError, match="rank 0 has not cleared"):
        convert(Slow(), store, samples_per_shard=2, overwrite=True, rank=Rank(1, 2))
    assert verify(store, against=Slow(samples=9)).ok


def test_more_ranks_than_shards(tmp_path, whole, same_tree):
    store = tmp_path / "store"
    reports = [convert(Slow(), store, samples_per_shard=2, rank=Rank(i, 30)) for i in range(30)]
    assert sum(report.converted for report in reports) == 24
    assert sum(report.finished for report in reports) == 1
    assert same_tree(whole, store)


def test_an_idle_rank_touches_nothing(tmp_path):
    idle = next(i for i in range(1, 30) if not even_split(12, Rank(i, 30)))
    report = convert(Slow(), tmp_path / "store", samples_per_shard=2, rank=Rank(idle, 30), overwrite=True)
    assert (report.samples, report.finished) == (0, False)
    assert not (tmp_path / "store").exists()


def test_shares_differ_by_one_shard():
    assert {len(even_split(129, Rank(i, 48))) for i in range(48)} == {2, 3}


def test_another_job_is_refused_and_a_late_rank_is_not(tmp_path, monkeypatch, whole, same_tree):
    store = tmp_path / "store"
    monkeypatch.setenv("VOXLOOM_JOB", "1")
    convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 2))
    monkeypatch.setenv("VOXLOOM_JOB", "2")
    with pytest.raises(OutputExistsError, match="--resume"):
        convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2))
    monkeypatch.setenv("VOXLOOM_JOB", "1")
    assert convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2)).finished
    assert "nothing to do" in str(convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2)))
    assert same_tree(whole, store)


def test_a_start_without_a_name_joins_what_was_begun_just_now(tmp_path, whole, same_tree):
    store = tmp_path / "store"
    assert not convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2)).finished
    os.utime(store / "journal" / "plan.json", (1e9, 1e9))
    with pytest.raises(OutputExistsError, match="--resume"):
        convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 2))
    os.utime(store / "journal" / "plan.json")
    report = convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 2))
    assert (report.finished, report.samples, report.converted) == (True, 24, 12)
    assert "24 samples" in str(report)
    assert "12 of them come from other ranks" in str(report)
    assert same_tree(whole, store)


def test_a_finished_store_is_refused_by_rank_0_and_no_matter_to_late_ranks(tmp_path):
    store = tmp_path / "store"
    for index in (0, 1):
        convert(Slow(), store, samples_per_shard=2, rank=Rank(index, 2))
    assert convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2)).converted == 0
    with pytest.raises(OutputExistsError, match="already holds"):
        convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 2))
    assert not even_split(12, Rank(0, 30))
    assert convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 30)).converted == 0
    os.utime(store / "manifest.json", (1e9, 1e9))
    with pytest.raises(OutputExistsError, match="already holds"):
        convert(Slow(), store, samples_per_shard=2, rank=Rank(0, 30))


class Overtaken(Slow):
    """While it is read, another conversion clears its folder and begins anew."""

    def __init__(self, store):
        super().__init__()
        self.store = store

    def read(self, index):
        if index == 20:
            clear(self.store)
            convert(Slow(samples=9), self.store, samples_per_shard=2, rank=Rank(0, 2))
        return super().read(index)


def test_a_late_writer_of_an_earlier_plan_records_nothing(tmp_path, same_tree):
    store = tmp_path / "store"
    convert(Slow(samples=9), tmp_path / "fresh", samples_per_shard=2)
    with pytest.raises(OutputExistsError, match="another conversion"):
        convert(Overtaken(store), store)
    assert Journal(store).record("00000") is not None
    assert Journal(store).record("00000", planned(Slow(), Conversion(samples_per_shard=2))) is None
    convert(Slow(samples=9), store, samples_per_shard=2, rank=Rank(1, 2))
    assert same_tree(tmp_path / "fresh", store)


def test_what_is_moved_at_the_last_moment_is_taken_back(tmp_path, monkeypatch):
    store = tmp_path / "store"
    convert(Slow(), store, samples_per_shard=2, rank=Rank(1, 2))
    plan, journal = planned(Slow(), Conversion(samples_per_shard=2)), Journal(store)
    answers = iter([True, True, True, False, False])
    monkeypatch.setattr(Journal, "is_under", lambda journal, plan: next(answers))
    with journal.writing("00000", plan) as folder:
        (folder / "00000.arrow").touch()
        with pytest.raises(OutputExistsError, match="another conversion"):
            journal.take_over(folder, Made("00000", ["00000.arrow"], 2), plan)
    assert not (store / "shards" / "00000.arrow").exists()
    assert journal.record("00000") is None


def test_jobs_have_the_names_that_launchers_give():
    assert job_name({"VOXLOOM_JOB": "mine", "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "2"}) == "mine"
    assert job_name({"SLURM_JOB_ID": "1"}) == ""
    assert job_name({"PMIX_NAMESPACE": "prterun-7@1"}) == "prterun-7@1"
    here = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    error_file = "/tmp/torchelastic_1/none_x/attempt_{}/{}/error.json"
    ranks = [job_name(here | {"TORCHELASTIC_ERROR_FILE": error_file.format(i, i)}) for i in range(2)]
    assert ranks == ["torchelastic_1/none_x"] * 2
    assert job_name(here | {"WORLD_SIZE": "4"}) == ""  # other machines have another file
