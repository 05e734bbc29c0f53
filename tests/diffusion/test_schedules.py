import numpy as np
import pytest
import torch

from voxloom.diffusion import SCHEDULES, Schedule
from voxloom.errors import ConfigError


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_loses_its_signal_step_by_step(name):
    schedule = Schedule.from_betas(SCHEDULES[name](1000, 0.0015, 0.0195))
    assert schedule.alphas_cumprod.dtype == np.float64
    assert np.all(np.diff(schedule.alphas_cumprod) < 0)
    assert 0 < schedule.alphas_cumprod[-1] < 1e-3 < 0.99 < schedule.alphas_cumprod[0] < 1
    np.testing.assert_allclose(schedule.signal**2 + schedule.noise**2, 1)
    assert np.all(np.diff(schedule.log_snr) < 0)


@pytest.mark.parametrize("name", ["linear_beta", "scaled_linear_beta"])
def test_tables_are_those_of_the_reference(name):
    from monai.networks.schedulers import DDPMScheduler

    reference = DDPMScheduler(num_train_timesteps=1000, schedule=name, beta_start=0.0015, beta_end=0.0195)
    ours = Schedule.from_betas(SCHEDULES[name](1000, 0.0015, 0.0195))
    np.testing.assert_allclose(ours.alphas_cumprod, reference.alphas_cumprod.double().numpy(), rtol=2e-4)


def test_factors_are_float32_and_shaped_to_multiply():
    schedule = Schedule.from_betas(np.array([0.1, 0.2, 0.3]))
    signal, noise = schedule.at(torch.tensor([2, 0]), torch.zeros(2, 4, 8, 8, dtype=torch.bfloat16))
    assert signal.dtype == noise.dtype == torch.float32
    assert signal.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(signal.flatten() ** 2, schedule.alphas_cumprod[[2, 0]], rtol=1e-6)


@pytest.mark.parametrize("betas", [[0.0, 0.1], [0.1, 1.0], [0.1, -0.1]])
def test_impossible_betas_are_refused(betas):
    with pytest.raises(ConfigError, match="beta_start and beta_end"):
        Schedule.from_betas(np.array(betas))


def test_a_table_first_used_in_inference_serves_training_too():
    schedule = Schedule.from_betas(np.array([0.1, 0.2, 0.3]))
    with torch.inference_mode():
        schedule.at(torch.tensor([0]), torch.zeros(1, 1, 2, 2))
    output = torch.ones(1, 1, 2, 2, requires_grad=True)
    signal, _ = schedule.at(torch.tensor([1]), output)
    (signal * output).sum().backward()
    assert output.grad is not None
