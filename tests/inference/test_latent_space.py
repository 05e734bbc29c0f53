import numpy as np
import pytest
import torch

from voxloom.errors import CheckpointError, SchemaError
from voxloom.inference import LatentSpace, Trained, Translation
from voxloom.inference.encode import weights_digest
from voxloom.testing.images import glyph
from voxloom.transforms import Preparation

RANGE = {"normalization": {"name": "range", "low": 0, "high": 200}}


@pytest.fixture
def space(autoencoder):
    config = {"autoencoder_train": {"patch_size": [16, 24]}, "preparation": RANGE}
    return LatentSpace.from_trained(Trained("vae", {"autoencoder": autoencoder}, {}, config), "cpu")


def test_latents_are_decoded_in_the_units_of_the_files(space, autoencoder):
    assert space.shape == (2, 8, 12)
    assert space.weights == weights_digest(autoencoder)
    mu = np.random.default_rng(0).standard_normal((20, 2, 8, 12)).astype(np.float32)  # more than one batch
    images = space.decode(mu)
    assert (images.shape, images.dtype) == ((20, 16, 24), np.float32)
    with torch.no_grad():
        one = autoencoder.decode(torch.from_numpy(mu[17:18])).numpy()[0, 0]
    assert np.allclose(images[17], (one + 1) * 100, atol=1e-3)
    assert np.allclose(space.decode(mu.reshape(20, -1)), images)


def test_a_line_has_both_ends_and_even_steps(space):
    a, b = np.random.default_rng(1).standard_normal((2, 2, 8, 12)).astype(np.float32)
    line = space.along(a, b.ravel(), 5)
    assert line.shape == (5, 16, 24)
    assert np.allclose(line[[0, 4]], space.decode(np.stack([a, b])), atol=1e-3)
    assert np.allclose(line[2], space.decode((a + b)[None] / 2)[0], atol=1e-3)


def test_latents_of_another_shape_are_told(space):
    for mu in (np.zeros((1, 2, 8, 8)), np.zeros((2, 8, 12)), np.zeros((0, 2, 8, 12)), np.zeros(192)):
        with pytest.raises(SchemaError, match=r"expected \(n, 2, 8, 12\) or \(n, 192\)"):
            space.decode(mu)
    with pytest.raises(SchemaError, match="at least 2"):
        space.along(np.zeros((2, 8, 12)), np.zeros((2, 8, 12)), 1)


class Darker(torch.nn.Module):
    """Half as bright, over the black of a range from -1."""

    def __init__(self):
        super().__init__()
        self.share = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, image):
        return (image + 1) * self.share - 1


def direct(task="regression", size=(21, 15)):
    config = {f"{task}_train": {"patch_size": list(size)}, "preparation": RANGE}
    return Trained(task, {"translator": Darker()}, {}, config)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_a_translation_has_size_units_and_orientation_of_the_image(fit):
    trained = direct(size=(56, 80))
    trained.config["preparation"] = {**RANGE, "fit": fit}
    told, image = [], 200 * glyph(28, 20)
    translation = Translation.from_trained(trained, "cpu")
    mean, deviation = translation(image[None], "a", 4, progress=lambda *each: told.append(each))
    assert not translation.is_random
    assert deviation is None
    assert told == [(1, 1)]
    assert mean.shape == (28, 20)
    right = np.abs(mean - image / 2).mean()
    assert right < 4  # enlarged and made smaller again
    assert np.abs(mean[::-1] - image / 2).mean() > 3 * right
    assert np.abs(mean[:, ::-1] - image / 2).mean() > 3 * right


def test_several_predictions_give_mean_and_deviation():
    class Noisy:
        is_random = True

        def __init__(self, trained, *, seed, solver, steps):
            self.seed = seed

        def __call__(self, image, keys, sample=0):
            assert keys == ["a"]
            return image + 0.1 * sample + self.seed

    translation = Translation(direct(size=(28, 20)), Preparation.model_validate(RANGE), (28, 20), True)
    image = 200 * glyph(28, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxloom.inference.latent_space.TRANSLATORS", {"regression": Noisy})
        mean, deviation = translation(image[None], "a", 3, seed=0)
        shifted, none = translation(image[None], "a", seed=1)
    assert np.allclose(mean, image + 10, atol=1e-3)  # of a range of 2, which stands for 200
    assert np.allclose(deviation, np.std([0, 10, 20]), atol=1e-3)
    assert np.allclose(shifted, image + 100, atol=1e-3)
    assert none is None


def test_which_checkpoints_translate(autoencoder):
    for trained, said in (
        (Trained("vae", {"autoencoder": autoencoder}, {}, {}), "task 'vae', which translates nothing"),
        (direct(size=(8, 16, 16)), "translates volumes"),
    ):
        with pytest.raises(CheckpointError, match=said):
            Translation.from_trained(trained)
    with pytest.raises(CheckpointError, match="has no autoencoder"):
        LatentSpace.from_trained(direct())
