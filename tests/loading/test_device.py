import pytest
import torch

from voxloom.errors import DataError
from voxloom.loading import Batch, Loader, Order
from voxloom.loading.device import DeviceCopies
from voxloom.loading.worker import Failure
from voxloom.testing.stores import Counting

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def batches(number):
    return [Batch({"image": torch.full((2, 3), n)}, ["a", "b"], [0, 1]) for n in range(number)]


@pytest.mark.parametrize("device", DEVICES)
def test_all_come_in_order(device):
    moved = list(DeviceCopies(device).of(batches(5)))
    assert [int(batch["image"].max()) for batch in moved] == list(range(5))
    assert {batch["image"].device.type for batch in moved} == {device}


@pytest.mark.parametrize("device", DEVICES)
def test_a_failure_comes_in_its_place(device):
    failure = Failure(DataError("broken"))
    first, third = batches(3)[::2]
    got = list(DeviceCopies(device).of([first, failure, third]))
    assert got[1] is failure
    assert int(got[2]["image"].max()) == 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_loader_counts_what_it_handed_out(device, num_workers):
    order = Order(length=12, batch_size=4, shuffle=False)
    loader = Loader(
        Counting(12), None, order=order, seed=0, num_workers=num_workers, workers="thread", device=device
    )
    for batch in loader:
        assert batch["image"].device.type == device
        break
    assert loader.state_dict()["seen"] == 4
    loader.close()


class FakeStream:
    """What a CUDA stream is asked for, without a GPU."""

    def __init__(self, *_):
        self.log = []

    def record_event(self):
        return "event"

    def wait_event(self, event):
        self.log.append(event)


def test_on_a_gpu_the_next_copy_begins_before_a_batch_is_handed_out(monkeypatch):
    """The order of things alone: no GPU is here to copy to."""
    begun, using = [], FakeStream()
    copies = DeviceCopies("cpu")
    copies._stream = FakeStream()
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: torch.no_grad())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: using)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(Batch, "to", lambda batch, *_, **__: begun.append(int(batch["image"].max())) or batch)
    seen = [(int(batch["image"].max()), list(begun)) for batch in copies.of(batches(3))]
    assert seen == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    assert using.log == ["event"] * 3
