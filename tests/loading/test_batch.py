from __future__ import annotations

import numpy as np
import pytest
import torch

from voxloom.errors import SchemaError
from voxloom.loading import Batch, Share, collate
from voxloom.sample import Field, Sample, Schema

SCHEMA = Schema([Field(name="image"), Field(name="mask", kind="mask"), Field(name="label", kind="class")])


def sample(key, value=1, shape=(1, 4, 6), dtype="float32"):
    image = np.full(shape, value, dtype)
    return Sample(key, SCHEMA, {"image": image, "mask": image > 0, "label": np.array(value, "uint8")})


def test_fields_are_stacked_as_float32_and_classes_as_int64():
    batch = collate([sample("a", 1), sample("b", 2)], Share(3, [7, 5], 0.5))
    assert batch["image"].shape == batch["mask"].shape == (2, 1, 4, 6)
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32
    assert batch["label"].tolist() == [1, 2]
    assert batch["label"].dtype == torch.int64
    assert (batch.keys, batch.indices, batch.epoch, batch.weight) == (["a", "b"], [7, 5], 3, 0.5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64", ">f4", ">u2", "float16"])
def test_values_survive_whatever_the_dtype_of_the_file(dtype):
    array = np.arange(24).reshape(1, 4, 6).astype(dtype)
    batch = collate([Sample("a", Schema([Field(name="image")]), {"image": array[:, ::-1]})])
    np.testing.assert_array_equal(batch["image"][0].numpy(), array[:, ::-1].astype("float32"))


def test_the_memory_is_the_batchs_own():
    one = sample("a")
    collate([one])["image"].zero_()
    assert one["image"].all()


def test_shapes_that_differ_are_named_with_their_keys():
    with pytest.raises(SchemaError, match=r"'image' has shapes \(1, 4, 6\) \('a'\), \(1, 5, 6\) \('c'\)"):
        collate([sample("a"), sample("b"), sample("c", shape=(1, 5, 6))])


def test_fields_that_differ_are_named_with_the_key():
    odd = Sample("b", SCHEMA, {"image": np.zeros((1, 4, 6))})
    with pytest.raises(
        SchemaError, match=r"sample 'b' has fields \['image'\], but 'a' has \['image', 'mask'"
    ):
        collate([sample("a"), odd])


def test_no_samples_and_text_are_refused():
    with pytest.raises(SchemaError, match="expected at least one"):
        collate([])
    text = Sample("a", Schema([Field(name="note", kind="text")]), {"note": np.array("x")})
    with pytest.raises(SchemaError, match="'note' is text"):
        collate([text])


def test_an_unknown_field_names_the_known_and_the_nearest():
    with pytest.raises(SchemaError, match=r"Fields: image, mask, label\. Did you mean 'image'\?"):
        collate([sample("a")])["imgae"]


def test_to_moves_all_and_lays_out_only_images():
    batch = collate([sample("a"), sample("b")]).to("cpu", memory_format=torch.channels_last)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["label"].tolist() == [1, 1]
    assert batch.to("meta")["image"].device.type == "meta"
    assert batch.keys == ["a", "b"]


def test_len_counts_samples():
    assert len(Batch({}, ["a", "b", "c"], [0, 1, 2])) == 3


def test_take_gives_the_first_samples_or_all():
    batch = collate([sample("a", 1), sample("b", 2)], Share(3, [7, 5], 0.5))
    first = batch.take(1)
    assert (first.keys, first.indices, first["label"].tolist(), first.epoch) == (["a"], [7], [1], 3)
    assert batch.take(9).keys == batch.keys
