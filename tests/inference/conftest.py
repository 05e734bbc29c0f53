import sys
from pathlib import Path

import pytest
import torch

from voxloom.models import AutoencoderConfig, build_model
from voxloom.testing.images import write_pairs

sys.path.insert(0, str(Path(__file__).parent))  # slow_network, for other processes too


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Five pairs that no test may change."""
    return write_pairs(tmp_path_factory.mktemp("data"), 5)


@pytest.fixture
def data(tmp_path):
    return write_pairs(tmp_path / "data", 5)


VAE = AutoencoderConfig(
    channels=(8, 8), num_res_blocks=1, norm_num_groups=4, latent_channels=2,
    with_encoder_nonlocal_attn=False, with_decoder_nonlocal_attn=False,
)  # fmt: skip


@pytest.fixture
def autoencoder():
    return build_model(VAE, seed=0).eval()


@pytest.fixture
def another():
    return build_model(VAE, seed=1).eval()
