from __future__ import annotations

import pickle
from dataclasses import replace

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


def test_fields_are_stacked_as_what_they_are_and_classes_as_int64():
    batch = collate([sample("a", 1), sample("b", 2)], Share(3, [7, 5], 0.5))
    assert batch["image"].shape == batch["mask"].shape == (2, 1, 4, 6)
    assert (batch["image"].dtype, batch["mask"].dtype) == (torch.float32, torch.bool)
    assert batch["label"].tolist() == [1, 2]
    assert batch["label"].dtype == torch.int64
    assert (batch.keys, batch.indices, batch.epoch, batch.weight) == (["a", "b"], [7, 5], 3, 0.5)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">f4", ">u2", "float16", "bool"]
)
def test_integers_stay_and_fractions_become_float32(dtype):
    array = np.arange(24).reshape(1, 4, 6).astype(dtype)
    batch = collate([Sample("a", Schema([Field(name="image")]), {"image": array[:, ::-1]})])
    given = np.dtype(dtype)
    expected = np.float32 if given.kind == "f" else given.newbyteorder("=")
    assert batch["image"].numpy().dtype == expected
    np.testing.assert_array_equal(batch["image"][0].numpy(), array[:, ::-1].astype(expected))


def test_types_that_differ_in_a_batch_lose_nothing():
    schema = Schema([Field(name="image")])
    arrays = [np.full((1, 2, 2), 255, "uint8"), np.full((1, 2, 2), 65535, "uint16")]
    batch = collate([Sample(str(i), schema, {"image": a}) for i, a in enumerate(arrays)])
    assert batch["image"].dtype == torch.uint16
    assert batch["image"].to(torch.int32)[:, 0, 0, 0].tolist() == [255, 65535]


def test_channels_come_second_without_a_copy_and_other_axes_stay():
    schema = Schema(
        [
            Field(name="image", axes="yxc"),
            Field(name="mask", kind="mask", axes="yx"),
            Field(name="z", axes="c"),
        ]
    )
    image = np.arange(72, dtype="uint8").reshape(4, 6, 3)
    arrays = {"image": image, "mask": image[..., 0], "z": np.arange(5)}
    batch = collate([Sample(key, schema, arrays) for key in "ab"])
    assert batch["image"].shape == (2, 3, 4, 6)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch["image"][1].numpy(), image.transpose(2, 0, 1))
    assert (batch["mask"].shape, batch["z"].shape) == ((2, 4, 6), (2, 5))


def test_float_turns_all_but_classes_or_what_is_named():
    schema = Schema([Field(name="a"), Field(name="m", kind="mask"), Field(name="l", kind="class")])
    arrays = {"a": np.full((1, 1, 1), 51, "uint8"), "m": np.ones((1, 1, 1), "uint8"), "l": np.array(3)}
    batch = collate([Sample("k", schema, arrays)])
    every = batch.float()
    assert [every[n].dtype for n in "aml"] == [torch.float32, torch.float32, torch.int64]
    assert every["a"].item() == 51
    one = batch.float("a", scale=True)
    assert [one[n].dtype for n in "aml"] == [torch.float32, torch.uint8, torch.int64]
    assert one["a"].item() == pytest.approx(0.2)
    assert one.float("a", scale=True)["a"].item() == pytest.approx(0.2)  # floats are not scaled
    with pytest.raises(SchemaError, match="no field 'x'"):
        batch.float("x")


def test_keys_are_read_when_they_are_asked_for_and_once():
    asked = []
    batch = Batch({"image": torch.zeros(2)}, [], [4, 5]).keyed_by(lambda: asked.append(1) or ["e", "f"])
    moved = batch.to("cpu").float()
    assert (len(moved), asked) == (2, [])
    assert (moved.keys, moved.keys, moved.take(1).keys, asked) == (["e", "f"], ["e", "f"], ["e"], [1])
    assert pickle.loads(pickle.dumps(batch)).keys == ["e", "f"]
    assert replace(batch, epoch=2).keys == ["e", "f"]
    with pytest.raises(AttributeError, match="no attribute 'kyes'"):
        _ = batch.kyes


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


def test_no_samples_are_refused():
    with pytest.raises(SchemaError, match="expected at least one"):
        collate([])


def test_text_stands_beside_the_tensors():
    schema = Schema([Field(name="image"), Field(name="note", kind="text", axes="")])
    notes = ["Größe", "x"]
    batch = collate([Sample(n, schema, {"image": np.zeros((1, 2, 2)), "note": np.array(n)}) for n in notes])
    assert (batch.texts, list(batch.fields)) == ({"note": notes}, ["image"])
    assert batch.take(1).texts == batch.to("cpu").take(1).texts == {"note": notes[:1]}
    assert repr(batch) == "Batch(image (2, 1, 2, 2) float32, note)"
    with pytest.raises(SchemaError, match=r"'note' is text.*texts\['note'\]"):
        batch["note"]


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


def test_volumes_take_the_layout_that_is_like_the_one_of_images():
    batch = Batch({"raw": torch.zeros(2, 3, 4, 4, 4), "image": torch.zeros(2, 3, 4, 4)}, ["a", "b"], [0, 1])
    moved = batch.to("cpu", memory_format=torch.channels_last)
    assert moved["raw"].is_contiguous(memory_format=torch.channels_last_3d)
    assert moved["image"].is_contiguous(memory_format=torch.channels_last)
