import itertools

import pytest
import torch

from voxloom.diffusion import DiffusionProcess, FlowProcess
from voxloom.errors import ConfigError, UnknownNameError
from voxloom.inference import TRANSLATORS, Trained
from voxloom.models import DenoiserConfig, LatentScale, UNetConfig, build_model

KEYS = ["a", "b/c", "d", "e"]
DENOISER = DenoiserConfig(
    in_channels=2, out_channels=2, condition_channels=2, channels=(8, 8), attention_levels=(False, False),
    num_head_channels=8, num_res_blocks=1, norm_num_groups=4,
)  # fmt: skip


@pytest.fixture
def images():
    return torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def translator(autoencoder):
    def make(process=None, *, seed=0, solver=None, steps=None, **sampling):
        denoiser = build_model(DENOISER, seed=0).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():  # it begins at zero, which would hide what goes in
            for parameter in denoiser.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        scale = LatentScale(mean=(0.1, -0.1), deviation=(2.0, 0.5))
        process = process or FlowProcess(start_from="noise")
        facts = {"process": process.model_dump(mode="json"), "latent_scale": scale.model_dump(mode="json")}
        trained = Trained(
            "ldm", {"autoencoder": autoencoder, "denoiser": denoiser}, {}, {"sampling": sampling}, facts
        )
        made = TRANSLATORS["ldm"](trained, seed=seed, solver=solver, steps=steps)
        return torch.no_grad()(made), made

    return make


@pytest.mark.parametrize(
    ("process", "solver"),
    [
        (FlowProcess(start_from="noise"), "euler"),
        (FlowProcess(start_noise=0.5), "heun"),
        (DiffusionProcess(), "ddpm"),
        (DiffusionProcess(prediction="v"), "dpmpp_2m"),
        (DiffusionProcess(), "ddim"),
    ],
)
def test_neither_batch_nor_order_nor_company_changes_a_prediction(translator, images, process, solver):
    predict, _ = translator(process, solver=solver, steps=4)
    whole = predict(images, KEYS)
    assert whole.shape == images.shape
    assert whole.dtype == torch.float32
    alone = torch.cat([predict(images[i : i + 1], [KEYS[i]]) for i in range(4)])
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-5)
    order = [2, 0, 3, 1]
    turned = predict(images[order], [KEYS[i] for i in order])
    torch.testing.assert_close(turned, whole[order], atol=1e-5, rtol=1e-5)
    assert torch.equal(predict(images, KEYS), whole)


def test_samples_and_seeds_differ_and_names_decide(translator, images):
    predict, made = translator(steps=2)
    assert made.is_random
    samples = [predict(images, KEYS, sample) for sample in range(3)]
    other_seed, _ = translator(steps=2, seed=1)
    renamed = predict(images, ["x", *KEYS[1:]])
    for a, b in itertools.combinations([*samples, other_seed(images, KEYS)], 2):
        assert not torch.isclose(a, b, atol=1e-4).all()
    assert not torch.allclose(renamed[0], samples[0][0], atol=1e-4)
    torch.testing.assert_close(renamed[1:], samples[0][1:])


def test_a_flow_from_the_condition_has_one_answer(translator, images):
    predict, made = translator(FlowProcess(), steps=2)
    assert not made.is_random
    assert torch.equal(predict(images, KEYS, 0), predict(images, KEYS, 1))


def test_solver_and_steps_come_from_the_training_unless_they_are_said(translator):
    _, made = translator()
    assert made.describe() == {"solver": "euler", "num_steps": 20, "seed": 0}
    denoising = DiffusionProcess()
    assert translator(denoising)[1].describe()["solver"] == "dpmpp_2m"
    assert translator(denoising, solver="ddim", steps=3)[1].describe() == {
        "solver": "ddim", "num_steps": 3, "seed": 0,
    }  # fmt: skip


def test_a_solver_that_does_not_fit_is_refused_before_anything_is_computed(translator):
    with pytest.raises(ConfigError, match="Those that do: euler, heun"):
        translator(solver="ddim")
    with pytest.raises(UnknownNameError, match="Did you mean 'euler'"):
        translator(solver="eular")


def test_the_others_have_one_answer_too(autoencoder, images):
    unet = build_model(UNetConfig(channels=(8, 8), num_res_units=1, norm_num_groups=4), seed=0).eval()
    models = {"autoencoder": autoencoder, "translator": unet}
    for task in ("vae", "regression", "pix2pix"):
        made = TRANSLATORS[task](Trained(task, models, {}, {}), seed=0, solver=None, steps=None)
        with torch.no_grad():
            whole, alone = made(images, KEYS), made(images[2:3], ["other"], 5)
        torch.testing.assert_close(alone, whole[2:3], atol=1e-5, rtol=1e-5)
        assert (made.is_random, made.describe()) == (False, {})
