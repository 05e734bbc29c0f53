import pytest
import torch
from pydantic import ValidationError

from voxloom.transforms import PatchValues, ValueAugment, generators_for

EVERY = ValueAugment(probability=1, blur=(0.5, 1), photons=(50, 100))


def generators(number=3):
    return generators_for(0, epoch=0, indices=range(number))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16, torch.float32])
def test_values_of_any_type_are_scaled(dtype):
    x = torch.tensor([[0, 100], [50, 200]]).to(dtype)
    torch.testing.assert_close(PatchValues(scale=0.01).scaling()(x), torch.tensor([[0, 1.0], [0.5, 2.0]]))
    each = PatchValues(percentiles=(0, 100)).scaling()(x)
    torch.testing.assert_close(each, torch.tensor([[0, 1.0], [0, 1.0]]))


def test_nan_becomes_0():
    assert PatchValues(shift=1, scale=1).scaling()(torch.tensor([torch.nan, 2.0])).tolist() == [1, 3]


@pytest.mark.parametrize("shape", [(3, 1, 6, 8), (3, 2, 4, 6, 8)])
def test_training_changes_what_validation_leaves(shape):
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 255).byte()
    values = PatchValues(augment=EVERY)
    plain, changed = values.scaling()(x), values.training(dims=len(shape) - 2)(x, generators())
    assert changed.shape == plain.shape
    assert all(not torch.equal(a, b) for a, b in zip(plain, changed, strict=True))
    assert len(EVERY.steps(dims=3)) == 5
    assert torch.equal(PatchValues().training(dims=3)(x, generators()), PatchValues().scaling()(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"percentiles": (90, 10)}, "expected the lower one first"),
        ({"augment": {"gamma": (2, 1)}}, r"gamma \[2\.0, 1\.0\]: expected \[low, high\]"),
        ({"augment": {"gamma": (0, 1)}}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PatchValues(**settings)


def test_settings_survive_a_file():
    values = PatchValues(augment=EVERY)
    assert PatchValues.model_validate(values.model_dump(mode="json")) == values
    hash(values)
