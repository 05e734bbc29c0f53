import numpy as np
import pytest
import torch
from pydantic import ValidationError

from voxloom.diffusion import PROCESSES, DiffusionProcess, FlowProcess, Process, process_from
from voxloom.errors import SchemaError, UnknownNameError

EVERY = [
    DiffusionProcess(),
    DiffusionProcess(prediction="v"),
    DiffusionProcess(schedule="cosine", prediction="v", num_train_timesteps=50),
    FlowProcess(),
    FlowProcess(start_from="noise", time_density="logit_normal"),
]


def latents(seed, *, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 4, 6, 5, generator=generator)


@pytest.mark.parametrize("process", EVERY, ids=lambda p: "-".join(str(v) for v in p.model_dump().values()))
def test_target_leads_back_to_the_data(process):
    z0, z1 = latents(0), latents(1)
    t = process.times(torch.tensor([0.001, 0.5, 0.9]))
    zt = process.noisy(z0, z1, t)
    torch.testing.assert_close(
        process.to_z0(process.target(z0, z1, t), zt, t),
        z0,
        atol=1e-3 if t.dtype == torch.int64 else 1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("process", EVERY, ids=lambda p: "-".join(str(v) for v in p.model_dump().values()))
def test_all_is_float32_whatever_comes_in(process):
    z0, z1 = latents(0).bfloat16(), latents(1).bfloat16()
    t = process.times(np.array([0.1, 0.5, 0.9]))
    for result in (
        process.noisy(z0, z1, t),
        process.target(z0, z1, t),
        process.to_z0(z0, z1, t),
        process.start(z1, z0),
        process.model_time(t),
    ):
        assert result.dtype == torch.float32
    # bf16 has 8 bits: arithmetic in it would miss this by a hundred times
    torch.testing.assert_close(process.noisy(z0, z1, t), process.noisy(z0.float(), z1.float(), t))


@pytest.mark.parametrize("process", EVERY, ids=lambda p: "-".join(str(v) for v in p.model_dump().values()))
def test_ends_of_the_way(process):
    z0, z1 = latents(0), latents(1)
    first, last = (
        process.times(torch.zeros(3)),
        process.times(torch.full((3,), 1 - 1e-9, dtype=torch.float64)),
    )
    assert (process.noisy(z0, z1, first) - z0).abs().max() < 0.2
    assert (process.noisy(z0, z1, last) - z1).abs().max() < 0.1


@pytest.mark.parametrize("process", EVERY, ids=lambda p: "-".join(str(v) for v in p.model_dump().values()))
def test_settings_round_trip(process):
    assert isinstance(process, Process)
    assert process_from(process.model_dump(mode="json")) == process
    assert PROCESSES[process.kind] is type(process)


def test_unknown_settings_are_refused():
    with pytest.raises(UnknownNameError, match=r"unknown process 'folw'.*flow"):
        process_from({"kind": "folw"})
    with pytest.raises(ValidationError, match="scaled_linear_beta"):
        DiffusionProcess(schedule="scaled_linear_betta")
    with pytest.raises(ValidationError):
        FlowProcess(start_noise=-1)
    with pytest.raises(ValidationError):
        DiffusionProcess(predictoin="v")


def test_epsilon_and_v_stand_for_the_same_data():
    z0, z1, t = latents(0), latents(1), torch.tensor([10, 400, 800])
    epsilon, v = DiffusionProcess(), DiffusionProcess(prediction="v")
    zt = epsilon.noisy(z0, z1, t)
    torch.testing.assert_close(zt, v.noisy(z0, z1, t))
    torch.testing.assert_close(
        epsilon.to_z0(epsilon.target(z0, z1, t), zt, t),
        v.to_z0(v.target(z0, z1, t), zt, t),
        atol=1e-4,
        rtol=0,
    )


def test_uniform_draws_reach_every_timestep_alike():
    t = DiffusionProcess(num_train_timesteps=10).times((np.arange(1000) + 0.5) / 1000)
    assert t.dtype == torch.int64
    assert torch.bincount(t).tolist() == [100] * 10


def test_logit_normal_times_crowd_in_the_middle():
    uniform = (np.arange(1000) + 0.5) / 1000
    t = FlowProcess(time_density="logit_normal").times(uniform)
    assert bool((t.diff() > 0).all())
    assert abs(float(t.median()) - 0.5) < 1e-3
    assert ((t > 0.25) & (t < 0.75)).float().mean() > 0.7
    assert FlowProcess(time_density="logit_normal").times(np.zeros(1)).isfinite().all()


def test_flow_starts_at_the_condition_or_at_noise():
    noise, condition = latents(0), latents(1)
    assert torch.equal(FlowProcess().start(noise, condition), condition)
    assert torch.equal(FlowProcess(start_noise=0.5).start(noise, condition), condition + 0.5 * noise)
    assert torch.equal(FlowProcess(start_from="noise").start(noise), noise)


@pytest.mark.parametrize("condition", [None, torch.zeros(3, 1, 6, 5)], ids=["none", "channels"])
def test_flow_without_a_fitting_condition_says_so(condition):
    with pytest.raises(SchemaError, match=r"\(3, 4, 6, 5\).*start_from"):
        FlowProcess().start(latents(0), condition)


def test_model_time_spans_what_the_embedding_is_made_for():
    assert FlowProcess().model_time(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 500, 1000]
    assert DiffusionProcess().model_time(torch.tensor([0, 999])).tolist() == [0, 999]
