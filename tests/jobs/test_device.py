import pytest
import torch

from voxloom.errors import ConfigError
from voxloom.jobs.device import device_name, device_of
from voxloom.ranks import Rank


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that makes believe that there are so many GPUs."""

    def pretend(count):
        chosen = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        return chosen

    return pretend


def test_each_process_takes_a_gpu_of_its_own(gpus):
    chosen = gpus(4)
    assert device_of(None) == torch.device("cuda", 0)
    assert device_of(None, Rank(6, 8, 2)) == torch.device("cuda", 2)
    assert device_of("cuda", Rank(1, 2, 1)) == torch.device("cuda", 1)
    assert device_of("cuda:3") == torch.device("cuda", 3)
    assert device_of("cpu", Rank(1, 2, 1)) == torch.device("cpu")
    assert chosen == [0, 2, 1, 3]


def test_without_gpus_the_cpu_computes(gpus):
    gpus(0)
    assert device_of(None, Rank(1, 2, 1)) == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_told(gpus):
    gpus(2)
    with pytest.raises(ConfigError, match="device 'cuda' for process 2 of this machine: there are 2 usable"):
        device_of(None, Rank(2, 4, 2))
    gpus(0)
    with pytest.raises(ConfigError, match="there are 0 usable GPUs, none of number 0"):
        device_of("cuda")
    with pytest.raises(ConfigError, match="device 'gpu': expected cpu, cuda, or one GPU such as cuda:1"):
        device_of("gpu")


def test_a_device_has_a_name():
    assert device_name(torch.device("cpu")).startswith("cpu (")
