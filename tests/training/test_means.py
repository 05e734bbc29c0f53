import pytest
import torch

from voxloom.training.means import Means


def scalars(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_a_name_is_averaged_over_the_steps_that_tell_it():
    means = Means()
    for step in range(4):
        means.add(scalars(loss=float(step), **({"late": 10.0} if step > 1 else {})))
    assert means.values() == {"loss": 1.5, "late": 10.0}
    assert Means().values() == {}


def test_a_batch_counts_as_often_as_it_knows_samples():
    means = Means()
    means.add(scalars(loss=4.0, late=1.0), torch.tensor(3))
    means.add(scalars(loss=0.0), torch.tensor(0))
    means.add(scalars(loss=8.0), torch.tensor(1))
    assert means.values() == {"loss": 5.0, "late": 1.0}
    unknown = Means()
    unknown.add(scalars(loss=0.0), torch.tensor(0))
    assert unknown.values() == {}


def test_what_is_not_finite_is_not_hidden():
    means = Means()
    means.add(scalars(loss=float("nan")))
    means.add(scalars(loss=1.0))
    assert means.values()["loss"] != means.values()["loss"]


def test_sums_survive_a_checkpoint_bit_for_bit(tmp_path):
    means = Means()
    for value in torch.rand(7, generator=torch.Generator().manual_seed(0)):
        means.add({"loss": value})
    torch.save(means.state_dict(), tmp_path / "means.pt")
    again = Means.from_state(torch.load(tmp_path / "means.pt", weights_only=True))
    for one in (means, again):
        one.add(scalars(loss=0.1))
    assert again.values() == means.values()


def test_ranks_share_their_sums():
    means = Means()
    means.add(scalars(loss=1.0))
    means.add(scalars(loss=3.0))
    other = Means()
    other.add(scalars(loss=6.0), torch.tensor(2))
    told = iter(other.state_dict().values())
    shared = means.shared(
        lambda ours: {n: (v + t) / 2 for (n, v), t in zip(ours.items(), next(told).values(), strict=True)}
    )
    assert shared.values() == {"loss": 4.0}
    assert means.values() == {"loss": 2.0}


def test_precisions_may_mix():
    means = Means()
    means.add({"loss": torch.tensor(1.0, dtype=torch.bfloat16)})
    means.add({"loss": torch.tensor(2.0, dtype=torch.float64)})
    assert means.values()["loss"] == pytest.approx(1.5)
