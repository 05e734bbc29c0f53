import numpy as np
import pytest
import tifffile
import torch

from voxloom.errors import CheckpointError, ConfigError
from voxloom.inference import Trained
from voxloom.jobs import PredictOptions, predict
from voxloom.jobs.bare import trained_from_weights
from voxloom.jobs.latents import first_stage


@pytest.fixture
def bare(vae, tmp_path):
    """The autoencoder's weights as MONAI names them, and nothing else."""
    weights = Trained.load(vae.folder).models["autoencoder"].net.state_dict()
    torch.save(weights, tmp_path / "bare.pt")
    return tmp_path / "bare.pt"


def test_bare_weights_predict_as_the_run_that_they_are_of(config, bare, vae, pairs, tmp_path):
    options = PredictOptions(device="cpu")
    predict("vae", vae.folder, tmp_path / "run", input_dir=pairs / "dente", options=options)
    predict(
        "vae", bare, tmp_path / "bare", input_dir=pairs / "dente", config=config(task="vae"), options=options
    )  # fmt: skip
    for path in (tmp_path / "run" / "prediction").iterdir():
        assert np.array_equal(
            tifffile.imread(path), tifffile.imread(tmp_path / "bare" / "prediction" / path.name)
        )


def test_stage_2_takes_bare_weights_too(config, bare, vae):
    ours = first_stage(config(), torch.device("cpu")).state_dict()
    theirs = first_stage(config(overrides={"autoencoder_path": str(bare)}), torch.device("cpu")).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_they_do_not_tell_has_to_be_said(config, bare, tmp_path):
    with pytest.raises(CheckpointError, match=r"name the configuration .*\(-c\)"):
        predict("vae", bare, tmp_path / "out", options=PredictOptions(device="cpu"))
    with pytest.raises(CheckpointError, match="does not fit Autoencoder"):
        trained_from_weights("vae", bare, config(task="vae", overrides={"autoencoder_def.channels": [4, 8]}))
    with pytest.raises(ConfigError, match="expected autoencoder_path and scale_factor"):
        trained_from_weights("ldm", bare, config())
    assert not (tmp_path / "out").exists()
