from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

from voxloom.errors import (
    CheckpointError,
    ConfigError,
    LoadingError,
    MissingDataError,
    SchemaError,
    UnreadableImageError,
)
from voxloom.loading import Loader, Order
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

SEED = 5


class Numbers(Source):
    """Sample i is an image full of i; some indices raise what they are told to."""

    schema = Schema([Field(name="image")])

    def __init__(self, length, failures=None):
        self._keys = [f"n{i:02}" for i in range(length)]
        self.failures = failures or {}
        self.reads = 0

    @property
    def keys(self):
        return self._keys

    def read(self, index):
        self.reads += 1
        if index in self.failures:
            self.failures[index]()
        return Sample(self._keys[index], self.schema, {"image": np.full((1, 3, 2), index, "float32")})


def double(sample, rng):
    return sample.with_arrays({"image": sample["image"] * 2})


def noise(sample, rng):
    return sample.with_arrays({"image": sample["image"] + rng.random((1, 3, 2))})


class Transforms:
    def __init__(self, deterministic=double, random_part=noise):
        self.deterministic = deterministic
        self.random_part = random_part


TRANSFORMS = Transforms()


def make(
    length=11, batch_size=4, *, shuffle=True, rank=0, world=1, source=None, transform=TRANSFORMS, **options
):
    order = Order(length=length, batch_size=batch_size, seed=SEED, shuffle=shuffle, rank=rank, world=world)
    return Loader(source or Numbers(length), transform, order=order, seed=SEED, **options)


def contents(batches):
    return [(b.epoch, b.indices, b.keys, b.weight, b["image"].numpy().tobytes()) for b in batches]


def two_epochs(loader):
    return contents([*loader, *loader])


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 2},
        {"cache_rate": 0.5},
        {"num_workers": 2, "cache_rate": 1.0},
        {"num_workers": 3, "cache_rate": 0.5, "workers": "thread"},
    ],
)
def test_workers_and_cache_change_nothing(options):
    assert two_epochs(make(**options)) == two_epochs(make())


def test_randomness_differs_between_epochs_and_samples_only():
    loader = make(length=4)
    one, two = next(iter(loader)), next(iter(loader))
    offsets = [b["image"] - 2 * torch.tensor(b.indices).view(-1, 1, 1, 1) for b in (one, two)]
    assert len({value.item() for offset in offsets for value in offset[:, 0, 0, 0]}) == 8


@pytest.mark.parametrize(("num_workers", "workers"), [(0, None), (2, "process"), (2, "thread")])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_resume_goes_on_where_it_stopped_despite_prefetching(num_workers, workers, after):
    whole = two_epochs(make())
    loader = make(num_workers=num_workers, workers=workers)
    epochs = (batch for _ in range(2) for batch in loader)
    batches = [next(epochs) for _ in range(after)]
    state = loader.state_dict()
    assert state == {"step": after, "epoch": after // 3, "seen": after % 3 * 4}
    resumed = make()
    resumed.load_state_dict(state)
    rest = [*resumed, *resumed][: 6 - after]
    assert contents(batches + rest) == whole


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_off_epoch_goes_on_in_the_next_iteration(num_workers):
    loader = make(num_workers=num_workers)
    first = next(iter(loader))
    assert contents([first, *loader, *loader]) == two_epochs(make())


def test_the_last_batch_of_an_epoch_leads_to_the_next_epoch():
    loader = make()
    for number, _ in enumerate(loader):
        if number == 2:
            break
    assert loader.state_dict() == {"step": 3, "epoch": 1, "seen": 0}
    assert loader.epoch == 1
    assert [batch.epoch for batch in loader] == [1, 1, 1]


def test_two_ranks_read_what_one_reads_with_twice_the_batch():
    one = list(make(batch_size=4))
    halves = [list(make(batch_size=2, rank=rank, world=2)) for rank in (0, 1)]
    for whole, *parts in zip(one, *halves, strict=True):
        images = dict(zip(whole.keys, whole["image"], strict=True))
        shared = {k: image for part in parts for k, image in zip(part.keys, part["image"], strict=True)}
        assert sorted(images) == sorted(shared)
        assert sum(len(part) for part in parts) == len(whole)
        assert all(torch.equal(images[key], shared[key]) for key in images)


def test_len_is_the_number_of_batches():
    loader = make()
    assert len(loader) == len(list(loader)) == 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_validation_rank_without_a_sample_yields_no_batch(num_workers):
    loaders = [make(3, 1, shuffle=False, rank=rank, world=2, num_workers=num_workers) for rank in (0, 1)]
    for _ in range(2):
        assert [[b.indices for b in loader] for loader in loaders] == [[[0], [2]], [[1]]]
    assert [loader.state_dict()["step"] for loader in loaders] == [4, 4]


def test_a_rank_that_never_has_a_sample_just_ends():
    loader = make(1, 1, shuffle=False, rank=1, world=2)
    assert [list(loader), list(loader), loader.state_dict()["step"]] == [[], [], 2]


def test_an_empty_validation_source_yields_nothing():
    loader = make(0, 4, shuffle=False)
    assert (list(loader), len(loader), loader.epoch) == ([], 0, 0)


def test_what_cannot_be_meant_is_refused_at_once():
    with pytest.raises(ConfigError, match="an order of 3 samples for a source of 2"):
        make(3, source=Numbers(2))
    with pytest.raises(ConfigError, match="0 samples give no batch"):
        make(0)
    with pytest.raises(ConfigError, match="cache rate of 2"):
        make(cache_rate=2)
    with pytest.raises(ConfigError, match="workers='threads': expected 'thread', 'process' or None"):
        make(workers="threads")


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": "3"}])
def test_a_state_without_a_step_is_refused(state):
    with pytest.raises(CheckpointError, match=r"expected \{'step': n\}"):
        make().load_state_dict(state)


def test_the_cache_holds_what_the_deterministic_steps_made():
    calls = []

    def counted(sample, rng):
        calls.append(sample.key)
        return double(sample, rng)

    source = Numbers(10)
    seen = []
    loader = make(
        10,
        source=source,
        transform=Transforms(counted),
        cache_rate=0.6,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (calls, seen) == ([], [])
    for _ in range(3):
        list(loader)
    assert source.reads == len(calls) == 6 + 3 * 4
    assert seen == [(n, 6) for n in range(1, 7)]


def test_the_cache_is_filled_before_the_workers_start():
    source = Numbers(6)
    loader = make(6, source=source, num_workers=2, cache_rate=1.0)
    two_epochs(loader)
    assert source.reads == 6  # in this process, and the workers found all they needed


def test_no_transform_leaves_samples_as_they_are():
    loader = Loader(Numbers(2), None, order=Order(length=2, batch_size=2, shuffle=False), seed=0)
    assert next(iter(loader))["image"][:, 0, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize(("num_workers", "workers"), [(0, None), (2, "process"), (2, "thread")])
@pytest.mark.parametrize(
    "error",
    [
        MissingDataError("no file /data/a.tif: expected the partner of b.tif. Put it back."),
        UnreadableImageError("/data/a.tif is truncated: expected 512 bytes more. Copy it again."),
        SchemaError("'a' has 3 channels"),
    ],
)
def test_an_error_arrives_as_it_was_raised(num_workers, workers, error):
    loader = make(source=Numbers(11, {7: raising(error)}), num_workers=num_workers, workers=workers)
    with pytest.raises(type(error)) as caught:
        list(loader)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


def test_the_loader_lives_on_after_an_error():
    source = Numbers(12, {0: raising(SchemaError("bad"))})
    loader = make(12, 4, shuffle=False, source=source, num_workers=1)
    for _ in range(2):
        with pytest.raises(SchemaError, match="bad"):
            list(loader)
    assert loader.state_dict()["step"] == 0
    loader.load_state_dict({"step": 1})
    assert len(list(loader)) == 2


def test_a_fault_in_a_transform_names_the_sample():
    def broken(sample, rng):
        raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError) as caught:
        list(make(shuffle=False, transform=Transforms(double, broken)))
    assert caught.value.__notes__ == ["while transforming sample 'n00'"]
    with pytest.raises(ZeroDivisionError, match="while transforming sample 'n00'"):
        list(make(shuffle=False, transform=Transforms(double, broken), num_workers=1))


def test_a_worker_that_is_killed_is_explained():
    source = Numbers(4, {2: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    loader = make(4, 1, shuffle=False, source=source, num_workers=1)
    with pytest.raises(LoadingError, match=r"the loading workers failed: .*memory ran out.*num_workers"):
        list(loader)
    source.failures.clear()
    assert len(list(loader)) > 0  # new workers


def test_the_global_generators_are_left_alone():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must not move
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    two_epochs(make(num_workers=1))
    two_epochs(make())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002


def workers():
    return {child.pid for child in multiprocessing.active_children()}


def test_workers_persist_between_epochs_and_end_with_the_loader():
    others = workers()
    loader = make(num_workers=2)
    list(loader)
    started = workers() - others
    assert len(started) == 2
    list(loader)
    assert workers() - others == started
    loader.close()
    assert not workers() - others
    assert len(list(loader)) == 3  # new ones
    del loader
    gc.collect()
    assert not workers() - others


def test_a_loader_left_in_a_reference_cycle_is_collected_without_waiting():
    loader = make(source=Numbers(11, {7: raising(SchemaError("bad"))}), num_workers=1)
    with pytest.raises(SchemaError) as caught:
        list(loader)
    caught.value.cycle = [loader, caught.value]
    del loader, caught
    begin = time.monotonic()
    gc.collect()
    assert time.monotonic() - begin < 3  # torch alone waits 5 s for each worker
    assert not workers()


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux")
def test_forked_workers_share_the_cache_without_a_copy():
    class Large(Numbers):
        def read(self, index):
            return Sample(self._keys[index], self.schema, {"image": np.ones((1, 1024, 1024), "float32")})

    others = workers()
    loader = make(32, 1, source=Large(32), transform=None, num_workers=1, cache_rate=1.0, start_method="fork")
    list(loader)
    (worker,) = workers() - others
    with open(f"/proc/{worker}/smaps_rollup") as lines:
        private = sum(int(line.split()[1]) for line in lines if line.startswith("Private"))
    assert private * 1024 < loader._batches.cache.nbytes / 2 == 2**26


def test_the_workers_outlive_an_interrupt_of_the_group():
    loader = make(num_workers=1)
    batches = iter(loader)
    next(batches)
    for pid in workers():
        os.kill(pid, signal.SIGINT)
    assert len(list(batches)) == 2


def test_more_workers_than_cores_and_pinning_without_cuda_are_silent():
    assert len(list(make(num_workers=os.cpu_count() + 1, pin_memory=True))) == 3


SCRIPT = """
import sys
import numpy as np
from voxloom.loading import Loader, Order
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

class Numbers(Source):
    schema = Schema([Field(name="image")])
    keys = tuple(map(str, range(8)))
    def read(self, index):
        return Sample(self.keys[index], self.schema, {"image": np.full((1, 2, 2), index)})

if __name__ == "__main__":
    order = Order(length=8, batch_size=2, seed=1)
    options = {"num_workers": 1, "cache_rate": 0.5, "start_method": sys.argv[1]}
    loader = Loader(Numbers(), None, order=order, seed=1, **options)
    batches = [batch.indices for batch in loader]
    assert batches == [order.batch(step).indices for step in range(4)], batches
    for batch in loader:
        if "raise" in sys.argv:
            raise SystemExit("the consumer failed")
"""


def run_script(tmp_path, *arguments):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", script, *arguments], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begin


@pytest.mark.slow
def test_spawned_workers_give_the_same_batches_and_leave_in_silence(tmp_path):
    code, output, _ = run_script(tmp_path, "spawn")
    assert (code, output) == (0, "")


def test_an_exception_in_the_consumer_ends_the_process_at_once(tmp_path):
    code, output, _ = run_script(tmp_path, "fork", "raise")
    assert (code, output) == (1, "the consumer failed\n")
