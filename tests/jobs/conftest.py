import pytest
import torch

from voxloom.jobs import train
from voxloom.testing.images import write_pairs
from voxloom.testing.recipes import small_config


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Eight pairs that no test may change."""
    return write_pairs(tmp_path_factory.mktemp("data"), 8)


@pytest.fixture(scope="session")
def vae(pairs, tmp_path_factory):
    """A run of stage 1."""
    folder = tmp_path_factory.mktemp("stage1") / "vae"
    return train("vae", small_config("vae", pairs, folder, {"autoencoder_train.max_epochs": 1}))


@pytest.fixture
def config(pairs, vae, tmp_path):
    """Return a function that makes the small configuration of stage 2, with other values by dotted key."""

    def make(name="ldm", overrides=None, task="ldm"):
        first = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
        return small_config(task, pairs, tmp_path / name, {**first, **(overrides or {})})

    return make
