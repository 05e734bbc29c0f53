"""How blocks of crops meet the batches and the processes of a run."""

import logging

import pytest
import torch

from voxloom.jobs.data import Place
from voxloom.jobs.patches import PatchData
from voxloom.ranks import Rank
from voxloom.testing.segmentation import small_segmentation, write_split


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write_split(tmp_path_factory.mktemp("volumes"))


@pytest.fixture
def material(split, tmp_path):
    def make(size, *, world=1, **drawing):
        settings = {
            "segmentation_train.batch_size": size,
            "segmentation_data.drawing": {"length": 4, "crops_per_block": 4, **drawing},
        }
        config = small_segmentation(split, tmp_path / "run", settings)
        place = Place(Rank(0, world, 0), torch.device("cpu"), lambda _: None)
        return PatchData("segmentation", config, None, place).material()

    return make


def test_small_batches_of_a_lone_process_share_a_block(material, caplog):
    assert material(2).train.options.keep_blocks > 1
    made = material(8)
    assert (made.train.options.keep_blocks, made.crops_per_block) == (0, 4)
    assert material(2, crops_per_block=1).train.options.keep_blocks == 0
    assert not caplog.text


@pytest.mark.parametrize("size", [2, 6])
def test_blocks_that_processes_split_are_told(material, caplog, size):
    with caplog.at_level(logging.WARNING):
        assert material(8, world=2).train.options.keep_blocks == 0
        assert not caplog.text
        assert material(size, world=2).train.options.keep_blocks == 0
    assert f"crops_per_block 4 and a batch_size of {size} for each of 2 processes" in caplog.text
    assert "multiple of crops_per_block" in caplog.text
