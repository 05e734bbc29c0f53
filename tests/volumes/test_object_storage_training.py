"""What a person does with volumes in S3 and GCS: write them, train patches from them, pack them, predict."""

from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import MissingDataError, OutputExistsError
from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.jobs.packing import pack
from voxloom.loading import Loader, Order
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patches import PatchSource
from voxloom.sources.volume_split import VolumeSplit
from voxloom.testing.segmentation import small_segmentation, write_split
from voxloom.testing.volumes import phantom
from voxloom.volumes import Classes, Volume, VolumeLayout, create_labels

SHAPE = (16, 20, 24)
SPEC = PatchSpec(shape=(8, 8, 8), spacing=(8, 8, 8))
CLASSES = Classes(names=("mito", "er"))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    write_split(folder, shape=SHAPE)
    return folder


def batches(split, number=0):
    """Return the patches of two epochs' first, as a run reads them."""
    datasets = VolumeSplit.from_csv(split).open(CLASSES).train
    centers = [centers_of(each.raw["raw"].levels[0].grid, SPEC) for each in datasets]
    source = PatchSource(
        datasets,
        inputs={"raw": SPEC},
        targets={"labels": SPEC},
        classes=CLASSES,
        locations=Random(centers, length=8, seed=1),
    )
    order = Order(length=len(source), batch_size=4, shuffle=True)
    return [
        {name: batch[name].numpy().copy() for name in ("raw", "labels", "labels_known")}
        for batch in Loader(source, None, order=order, seed=0, num_workers=number)
    ]


def test_patches_of_a_split_in_a_bucket_are_those_of_the_disk(bucket, local, upload):
    upload(local, bucket)
    expected = batches(local / "split.csv")
    for number in (0, 2):
        found = batches(f"{bucket}/split.csv", number)
        assert len(found) == len(expected) == 2
        for one, other in zip(found, expected, strict=True):
            for name, array in one.items():
                np.testing.assert_array_equal(array, other[name])


def test_a_csv_on_the_disk_names_what_lies_in_a_bucket(bucket, local, upload, tmp_path):
    upload(local, f"{bucket}/data")
    lines = (local / "split.csv").read_text().splitlines()
    rows = [line.replace('"', "").split(",", 2) for line in lines[1:]]
    table = "".join(f'{part},{bucket}/data/{raw},"{bucket}/data/{gt}"\n' for part, raw, gt in rows)
    (tmp_path / "split.csv").write_text(table)
    report = VolumeSplit.from_csv(tmp_path / "split.csv").verify(CLASSES)
    assert not report.problems
    assert [row.inside for row in report.rows] == [1, 1, 1]


def test_a_split_that_is_not_there(bucket):
    with pytest.raises(MissingDataError, match=rf"{bucket}/no\.csv: no such file. Expected a CSV"):
        VolumeSplit.from_csv(f"{bucket}/no.csv")


def test_what_is_written_is_read(bucket):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint16", chunk=(8, 8, 8), shard=(16, 16, 16), levels=2)
    path = f"{bucket}/made.zarr"
    volume = Volume.create(path, shape=SHAPE, layout=layout)
    array = phantom(SHAPE, "uint16")
    volume.write(volume.bounding_box, array)
    volume.downsample()
    ids = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", kind="labels", classes={1: "mito"})
    create_labels(path, "cells", shape=SHAPE, layout=ids)
    found = Volume.open(path)
    np.testing.assert_array_equal(found.read(found.bounding_box)[0], array)
    assert found.array(1)[0, 0, 0, 0].read().result() == round(array[:2, :2, :2].mean())
    assert found.label("cells").classes == {1: "mito"}
    with pytest.raises(OutputExistsError, match=r"made\.zarr: a volume is there already"):
        Volume.create(path, shape=SHAPE, layout=layout)


def test_a_packed_copy_trains_from_where_it_lies(bucket, local):
    report = pack(local / "split.csv", f"{bucket}/packed")
    assert (report.split, report.is_finished) == (f"{bucket}/packed/split.csv", True)
    for one, other in zip(batches(report.split), batches(local / "split.csv"), strict=True):
        np.testing.assert_array_equal(one["raw"], other["raw"])
        np.testing.assert_array_equal(one["labels"], other["labels"])
        np.testing.assert_array_equal(one["labels_known"], other["labels_known"])
    assert pack(local / "split.csv", f"{bucket}/packed").copied == 0
    with pytest.raises(OutputExistsError, match="the copy would replace it"):
        pack(f"{bucket}/packed/split.csv", f"{bucket}/packed")


def test_a_prediction_in_a_bucket(bucket, local, upload, tmp_path):
    upload(local / "3", bucket)
    half = VolumeModel(lambda tiles: tiles / 255, SPEC, ("cell",), digest="as it is")
    options = TiledOptions(unit=(16, 16, 16), write=("probabilities",))
    raw, output = Volume.open(f"{bucket}/em.zarr"), f"{bucket}/pred.zarr"
    report = predict_volume(half, raw, output, options=options)
    assert (report.done, report.is_finished) == (4, True)
    made = Volume.open(output)
    np.testing.assert_array_equal(made.read(made.bounding_box), raw.read(raw.bounding_box))
    assert predict_volume(half, raw, output, options=options).done == 0


def test_a_configuration_names_a_split_by_its_url():
    for text in ("s3://bucket/a//split.csv", "split.csv"):
        found = small_segmentation(text, "run").segmentation_data.split
        assert (str(found), isinstance(found, Path)) == (text, "://" not in text)
