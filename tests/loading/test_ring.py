from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from voxloom.loading.batch import tensor_of
from voxloom.loading.ring import PinnedMemory, Ring
from voxloom.sample import Field


def ring(most=3):
    return Ring(4, (2, 3), "uint8", most=most)


def address(array):
    return array.__array_interface__["data"][0]


def test_a_buffer_goes_round_once_nobody_holds_it():
    buffers = ring()
    assert len({address(buffers.take(4)) for _ in range(9)}) == 1
    assert buffers.take(2).shape == (2, 2, 3)


@pytest.mark.parametrize(
    "held",
    [
        lambda array: array,
        torch.from_numpy,
        lambda array: torch.from_numpy(array)[1:].permute(0, 2, 1),
        lambda array: torch.from_numpy(array).detach().view(-1)[:1],
        lambda array: torch.from_numpy(array).numpy()[1:],
        lambda array: torch.from_numpy(array).untyped_storage(),
        lambda array: np.from_dlpack(torch.from_numpy(array)),
    ],
)
def test_whatever_shares_the_memory_holds_it(held):
    buffers = ring()
    kept = held(buffers.take(4))
    others = {address(buffers.take(4)) for _ in range(9)}
    assert len(others) == 1
    del kept
    both = [buffers.take(4), buffers.take(4)]
    assert {address(array) for array in both} > others


def test_who_keeps_all_gets_a_buffer_for_each_and_the_ring_stays_small():
    buffers = ring(most=3)
    kept = [buffers.take(4) for _ in range(20)]
    assert len({address(array) for array in kept}) == 20
    assert len(buffers._slots) <= 3


def test_a_ring_travels_without_its_buffers():
    buffers = ring()
    kept = buffers.take(4)
    copy = pickle.loads(pickle.dumps(buffers))
    assert (copy.take(3).shape, copy.take(3).dtype, kept.shape) == ((3, 2, 3), np.uint8, (4, 2, 3))


def test_pinned_memory_is_torchs_own_and_held_by_what_is_made_of_it(monkeypatch):
    given, empty = [], torch.empty

    def pinned(*size, pin_memory, **options):
        given.append(pin_memory)
        return empty(*size, **options)  # page-locking needs CUDA

    monkeypatch.setattr(torch, "empty", pinned)
    memory = PinnedMemory((2, 3), "uint16")
    one, two = memory.take(4), memory.take(2)
    assert (one.shape, two.shape, one.dtype, given) == ((4, 2, 3), (2, 2, 3), np.uint16, [True, True])
    assert one.flags.writeable
    tensor = tensor_of(one, Field(name="image", axes="yx"))
    assert tensor is one.base
    one[:] = 7
    del one
    assert tensor.sum() == 7 * 24
