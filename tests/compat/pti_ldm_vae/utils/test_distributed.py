from __future__ import annotations

import socket

import pytest
import torch

from voxloom.compat.pti_ldm_vae.utils import setup_ddp
from voxloom.errors import DistributedError

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)


def test_it_joins_the_group_and_gives_the_device(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    dist, device = setup_ddp(0, 1)
    try:
        assert dist is torch.distributed
        assert (dist.get_rank(), dist.get_world_size()) == (0, 1)
        assert device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    finally:
        dist.destroy_process_group()


def test_without_a_launcher_it_says_what_to_do():
    with pytest.raises(DistributedError, match="torchrun"):
        setup_ddp(0, 2)


def test_what_the_launcher_says_beats_the_arguments(monkeypatch):
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(DistributedError, match="rank 5 of 8"):
        setup_ddp(1, 8)
