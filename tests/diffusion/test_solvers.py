import math

import pytest
import torch

from voxloom.diffusion import (
    SOLVERS,
    DiffusionProcess,
    FlowProcess,
    ddim,
    ddpm,
    dpmpp_2m,
    euler,
    heun,
    solver_for,
)
from voxloom.diffusion.solvers import _timesteps
from voxloom.errors import ConfigError, UnknownNameError
from voxloom.testing.models import check_solver

MEAN, DEVIATION = 0.5, 0.3  # the toy data: every pixel Gaussian, so that the best network is known


def noises(seed, shape=(2, 4, 32, 32)):
    generator = torch.Generator().manual_seed(seed)
    return lambda step: torch.randn(shape, generator=generator)


def best_z0(z, signal, noise):
    return MEAN + signal * DEVIATION**2 * (z - signal * MEAN) / (signal**2 * DEVIATION**2 + noise**2)


def best_diffusion(process):
    def network(z, t):
        signal, noise = process.levels.at(t, z)
        z0 = best_z0(z, signal, noise)
        epsilon = (z - signal * z0) / noise
        return epsilon if process.prediction == "epsilon" else signal * epsilon - noise * z0

    return network


def best_flow(z, model_time):
    t = (model_time / 1000).view(-1, 1, 1, 1)
    z0 = best_z0(z, 1 - t, t)
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    return t * (z - (1 - t) * MEAN) / variance - z0


def exact_end(process, z1):
    """Where the probability flow takes z1: it keeps the place in the distribution."""
    if isinstance(process, FlowProcess):
        return MEAN + DEVIATION * z1
    signal, noise = process.levels.signal[-1], process.levels.noise[-1]
    return MEAN + DEVIATION * (z1 - signal * MEAN) / math.sqrt(signal**2 * DEVIATION**2 + noise**2)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_keeps_the_contract(name):
    for settings in (
        ({"prediction": "epsilon"}, {"prediction": "v"}) if solves(name, DiffusionProcess) else ({},)
    ):
        check_solver(SOLVERS[name], SOLVERS[name].solves(**settings))


def solves(name, process):
    return issubclass(process, SOLVERS[name].solves)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize(
    ("solver", "num_steps", "tolerance"),
    [(dpmpp_2m, 20, 0.015), (dpmpp_2m, 10, 0.03), (ddim, 50, 0.015), (ddim, 1000, 0.006)],
)
def test_deterministic_solvers_land_near_the_exact_end(solver, num_steps, tolerance, prediction):
    process, z1 = DiffusionProcess(prediction=prediction), noises(0)(0)
    out = solver(best_diffusion(process), z1, process, num_steps=num_steps, noise=noises(1))
    assert (out - exact_end(process, z1)).square().mean().sqrt() < tolerance


def test_the_fast_solver_earns_its_name():
    process, z1 = DiffusionProcess(), noises(0)(0)
    miss = {
        solver: (
            solver(best_diffusion(process), z1, process, num_steps=20, noise=noises(1))
            - exact_end(process, z1)
        )
        .square()
        .mean()
        .sqrt()
        for solver in (ddim, dpmpp_2m)
    }
    assert 1.5 * miss[dpmpp_2m] < miss[ddim]


@pytest.mark.parametrize(("solver", "num_steps", "tolerance"), [(euler, 100, 0.02), (heun, 20, 0.005)])
def test_flow_solvers_land_near_the_exact_end(solver, num_steps, tolerance):
    process, z1 = FlowProcess(start_from="noise"), noises(0)(0)
    out = solver(best_flow, z1, process, num_steps=num_steps, noise=noises(1))
    assert (out - exact_end(process, z1)).square().mean().sqrt() < tolerance


@pytest.mark.parametrize(("num_steps", "tolerance"), [(100, 0.02), (1000, 0.01)])
def test_ancestral_samples_have_the_distribution_of_the_data(num_steps, tolerance):
    process = DiffusionProcess()
    out = ddpm(best_diffusion(process), noises(0)(0), process, num_steps=num_steps, noise=noises(1))
    assert abs(float(out.mean()) - MEAN) < tolerance
    assert abs(float(out.std()) - DEVIATION) < tolerance


def test_ddpm_takes_the_steps_of_the_reference():
    from monai.networks.schedulers import DDPMScheduler

    reference = DDPMScheduler(
        1000, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195, clip_sample=False
    )
    shape, generator = (1, 1, 4, 4), torch.Generator().manual_seed(3)
    z = z1 = noises(0, shape)(0)
    for t in range(999, -1, -1):
        z, _ = reference.step(0.9 * z, t, z, generator=generator)
    ours = ddpm(lambda z, t: 0.9 * z, z1, DiffusionProcess(), num_steps=1000, noise=noises(3, shape))
    torch.testing.assert_close(ours, z, rtol=1e-2, atol=1e-3)  # its table is float32


def test_ddpm_alone_asks_for_noise_and_never_after_the_last_step():
    asked = []
    process = DiffusionProcess()
    draw = noises(0, (1, 1, 2, 2))
    for solver in (ddpm, ddim, dpmpp_2m):
        solver(
            best_diffusion(process), draw(0), process, num_steps=5, noise=lambda i: asked.append(i) or draw(i)
        )
    assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("num_timesteps", [10, 1000])
def test_timesteps_start_at_the_last_and_never_repeat(num_timesteps):
    for num_steps in {1, 2, 3, 7, 10, min(20, num_timesteps), num_timesteps - 1, num_timesteps}:
        steps = _timesteps(num_steps, num_timesteps)
        assert len(steps) == len(set(steps)) == num_steps
        assert steps == sorted(steps, reverse=True)
        assert steps[0] == num_timesteps - 1
        assert steps[-1] == 0 or num_steps == 1


def test_default_solvers():
    assert solver_for(None, DiffusionProcess()) is dpmpp_2m
    assert solver_for(None, FlowProcess()) is euler
    assert solver_for("heun", FlowProcess()) is heun


def test_a_solver_for_the_other_process_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"'euler' does not solve DiffusionProcess.*ddim, ddpm, dpmpp_2m"):
        solver_for("euler", DiffusionProcess())
    with pytest.raises(UnknownNameError, match="Did you mean 'euler'"):
        solver_for("eular", FlowProcess())


def test_one_euler_step_is_the_networks_own_guess():
    process, z1 = FlowProcess(start_from="noise"), noises(0)(0)
    one = euler(best_flow, z1, process, num_steps=1, noise=noises(1))
    t = torch.ones(2)
    torch.testing.assert_close(one, process.to_z0(best_flow(z1, process.model_time(t)), z1, t))
