from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from voxloom.errors import ConfigError, SchemaError
from voxloom.loading import Order
from voxloom.loading.worker import Batches, Failure
from voxloom.sample import Field, Sample, Schema
from voxloom.seeding import rng_for
from voxloom.source import Source
from voxloom.transforms import build


class Numbers(Source):
    schema = Schema([Field(name="image")])
    keys = tuple("abcdef")

    def read(self, index):
        return Sample(self.keys[index], self.schema, {"image": np.full((1, 2, 2), index, "float32")})


def double(sample, rng):
    return sample.with_arrays({"image": sample["image"] * 2})


def noise(sample, rng):
    return sample.with_arrays({"image": sample["image"] + rng.random((1, 2, 2))})


@dataclass
class Transforms:
    deterministic: object = double
    random_part: object = noise


ORDER = Order(length=6, batch_size=4, seed=3)


def batches(transform, cache_rate=0.0):
    return Batches(Numbers(), transform, ORDER, seed=3, cache_rate=cache_rate)


FIRST = ORDER.place(0)


def test_a_batch_is_what_the_transforms_make_with_the_generator_of_each_sample():
    batch = batches(Transforms())[ORDER.place(3)]
    assert batch.epoch == 1
    for index, image in zip(batch.indices, batch["image"], strict=True):
        drawn = rng_for(3, "transform", 1, index).random((1, 2, 2))
        np.testing.assert_array_equal(image.numpy(), (2 * index + drawn).astype("float32"))


def test_a_sample_that_is_drawn_again_does_not_look_the_same_on_any_rank():
    def order(**more):
        return Order(length=6, seed=3, weights=[0, 0, 1, 0, 0, 0], **more)

    def seen(order):
        made = Batches(Numbers(), Transforms(), order, seed=3, cache_rate=0)
        steps = range(order.batches_per_epoch)
        return [image[0, 0, 0].item() for step in steps for image in made[order.place(step)]["image"]]

    whole = seen(order(batch_size=4))
    assert len(set(whole)) == 6
    ranks = [seen(order(batch_size=1, world=2, rank=rank)) for rank in (0, 1)]
    assert [ranks[0], ranks[1]] == [whole[0::2], whole[1::2]]


def test_what_workers_get_can_be_pickled_with_its_cache():
    filled = batches(Transforms(), cache_rate=0.5)
    filled.cache.fill()
    copy = pickle.loads(pickle.dumps(filled))
    assert copy.cache.nbytes == filled.cache.nbytes == 3 * 16
    assert torch.equal(copy[FIRST]["image"], filled[FIRST]["image"])


def test_an_error_on_purpose_travels_as_a_value():
    def refuse(sample, rng):
        raise SchemaError(f"{sample.key} does not fit")

    failure = batches(Transforms(double, refuse))[FIRST]
    assert isinstance(failure, Failure)
    assert "does not fit" in str(failure.error)


def test_a_draw_in_a_deterministic_step_is_an_error_and_no_frozen_accident():
    failure = batches(Transforms(noise, double))[FIRST]
    assert isinstance(failure.error, ConfigError)
    assert "asked its generator for 'random'" in str(failure.error)


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
def test_the_sample_is_named_in_a_note_on_any_other_fault(cache_rate):
    def broken(sample, rng):
        raise ZeroDivisionError("oh")

    for transforms in (Transforms(broken, noise), Transforms(double, broken)):
        with pytest.raises(ZeroDivisionError) as caught:
            batches(transforms, cache_rate).read(FIRST)
        assert caught.value.__notes__[0].startswith("while transforming sample ")


def test_a_pipeline_of_the_package_fits_and_costs_no_generator_where_nothing_is_random(monkeypatch):
    made = []
    monkeypatch.setattr("voxloom.loading.worker.rng_for", lambda *key: made.append(key) or rng_for(*key))
    resize = {"name": "resize", "size": [4, 4]}
    assert batches(build([resize]))[FIRST]["image"].shape == (4, 1, 4, 4)
    assert not made
    assert batches(build([resize, {"name": "augment"}]))[FIRST]["image"].shape == (4, 1, 4, 4)
    assert len(made) == 4
