import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from slow_source import Cut, Deadly, Slow

from voxloom.conversion import convert
from voxloom.errors import ConfigError, LoadingError, UnreadableImageError
from voxloom.sample import Sample
from voxloom.source import Map


class Counted(Slow):
    """Tells how many samples are read at once."""

    def __init__(self, samples):
        super().__init__(0.01, samples)
        self.now, self.most = 0, 0

    def read(self, index):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return super().read(index)
        finally:
            self.now -= 1


def test_workers_write_the_same_store_and_tell_of_progress(tmp_path, same_tree):
    convert(Slow(), tmp_path / "one", samples_per_shard=5)
    told = []
    convert(Slow(), tmp_path / "two", samples_per_shard=5, workers=2, progress=lambda *t: told.append(t))
    assert same_tree(tmp_path / "one", tmp_path / "two")
    assert told[-1][:2] == (24, 24)
    assert told == sorted(told)


def test_one_shard_is_read_by_several_threads(tmp_path, same_tree):
    convert(Slow(), tmp_path / "one")
    source = Counted(24)
    convert(source, tmp_path / "two", workers=4)
    assert same_tree(tmp_path / "one" / "shards", tmp_path / "two" / "shards")
    assert source.most > 1


def test_a_killed_worker_is_told_and_gone_on_from(tmp_path):
    with pytest.raises(LoadingError, match=r"shard 1[\s\S]*memory[\s\S]*--resume"):
        convert(Deadly(), tmp_path / "store", samples_per_shard=2, workers=2)
    assert (tmp_path / "store" / "journal" / "plan.json").exists()


def test_a_script_without_a_main_guard_is_told_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import slow_source, voxloom\n"
        f"voxloom.convert(slow_source.Slow(), {str(tmp_path / 'store')!r}, samples_per_shard=6, workers=2)\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert "LoadingError" in ended.stderr
    assert "__main__" in ended.stderr
    assert "RuntimeError" not in ended.stderr
    assert "OutputExistsError" not in ended.stderr


def test_an_error_of_a_worker_is_raised_with_its_kind(tmp_path):
    with pytest.raises(UnreadableImageError, match="'s/003'"):
        convert(Cut(), tmp_path / "store", samples_per_shard=2, workers=2)


def test_a_source_that_cannot_be_sent_is_refused(tmp_path):
    source = Map(Slow(), lambda sample: Sample(sample.key, sample.schema, sample))
    with pytest.raises(ConfigError, match="workers=0"):
        convert(source, tmp_path / "store", samples_per_shard=2, workers=2)
    assert convert(source, tmp_path / "store", samples_per_shard=2, resume=True).finished


def test_a_dataset_of_others_is_read_by_the_thread_that_made_it(tmp_path):
    class Shy:
        thread = threading.get_ident()

        def __len__(self):
            return 5

        def __getitem__(self, index):
            assert threading.get_ident() == self.thread
            return np.full((200, 200), index, np.uint8), index

    assert convert(Shy(), tmp_path / "store").samples == 5
    assert convert(Shy(), tmp_path / "other", workers=3).samples == 5


def test_large_rows_are_made_while_others_are_written(tmp_path):
    class Large(Slow):
        threads = set()  # noqa: RUF012

        def read(self, index):
            self.threads.add(threading.get_ident())
            sample = super().read(index)
            image = np.full((100, 100), index, np.uint16)
            return Sample(sample.key, sample.schema, {**sample, "image": image})

    store = convert(Large(), tmp_path / "store").store()
    assert [int(sample["image"][0, 0]) for sample in store] == list(range(24))
    assert len(Large.threads) == 2
