import numpy as np
import pytest
import torch
from torch import nn

from voxloom.errors import CheckpointError
from voxloom.inference import volume_translation
from voxloom.inference.tiling import predict_volume
from voxloom.inference.trained import Trained
from voxloom.inference.volume_plan import TiledOptions
from voxloom.testing.translation import write_raw
from voxloom.volumes import Volume

RANGE = {"name": "range", "low": -50.0, "high": 4000.0}


class Same(nn.Module):
    """A VAE that keeps all of an image, and notes which sizes it saw."""

    seen: set

    def __init__(self):
        super().__init__()
        self.seen = set()

    def encode(self, image):
        assert image.abs().max() < 40  # scaled
        self.seen.add(tuple(image.shape[1:]))
        return image, image

    def decode(self, latent):
        return latent


def trained(size, normalization=RANGE, task="vae", **data):
    config = {
        "autoencoder_train": {"patch_size": list(size)},
        "preparation": {"normalization": normalization},
        "volume_data": data,
    }
    return Trained(task=task, models={"autoencoder": Same()}, configs={}, config=config)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("size", "axis", "seen"),
    [((8, 12), "z", (1, 8, 12)), ((8, 12), "y", (1, 8, 12)), ((8, 8, 12), "z", (1, 8, 8, 12))],
)
def test_what_keeps_all_gives_the_volume_back_without_seams(tmp_path, dtype, size, axis, seen):
    raw = Volume.open(write_raw(tmp_path / "raw.zarr", dtype=dtype))
    checkpoint = trained(size, axis=axis)
    model = volume_translation.translation_model(checkpoint, (16, 8, 8), device=torch.device("cpu"))
    options = TiledOptions(write=("values",), dtype=dtype, unit=(16, 16, 16))
    made = Volume.open(predict_volume(model, raw, str(tmp_path / "made.zarr"), options=options).output)
    assert made.levels[0].grid == raw.levels[0].grid
    np.testing.assert_array_equal(made.read(raw.bounding_box), raw.read(raw.bounding_box))
    assert checkpoint.models["autoencoder"].seen == {seen}


def test_the_spacing_is_that_of_the_training():
    model = volume_translation.translation_model(
        trained((8, 12), spacing=[32, 8, 8]), (16, 8, 8), device=torch.device("cpu")
    )
    assert model.patch.spacing == (32, 8, 8)
    assert model.identity.endswith("of -50.0 to 4000.0")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (trained((8, 12), {"name": "percentile"}), "normalization 'percentile'.*train it on volumes"),
        (trained((8, 12), task="segmentation"), "voxloom predict segmentation"),
    ],
)
def test_what_leads_to_no_values_is_refused(given, said):
    with pytest.raises(CheckpointError, match=said):
        volume_translation.translation_model(given, (8, 8, 8), device=torch.device("cpu"))
