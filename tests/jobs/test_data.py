from typing import get_args

import pytest

from voxloom.config import Task
from voxloom.jobs.data import DATA, OF_TASK, Data
from voxloom.testing.segmentation import small_segmentation, write_split


@pytest.mark.parametrize("task", get_args(Task))
def test_every_task_has_its_kind_of_data(task):
    assert issubclass(DATA[OF_TASK[task]], Data)


def test_the_folders_of_patches_are_the_volumes_of_the_split(tmp_path):
    split = write_split(tmp_path)
    split.write_text('train,1/em.zarr,"1/gt.zarr/[mito,er]"\nvalidate,s3://bucket/em.zarr,2/gt.zarr/ids\n')
    folders = DATA["patches"].folders(small_segmentation(split, "run"))
    assert folders == [tmp_path / "1/em.zarr", tmp_path / "1/gt.zarr", tmp_path / "2/gt.zarr/ids"]
