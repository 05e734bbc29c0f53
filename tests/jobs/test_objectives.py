import pytest

from voxloom.jobs.objectives import build_objective, data_range_of, images_of, pairs_of
from voxloom.sources import Parts
from voxloom.training import AutoencoderObjective, Pix2PixObjective, RegressionObjective


def parts_of(config, kind="pairs"):
    return Parts(config.layout, kind, config.seed)


def test_a_fixed_range_says_itself_and_others_are_looked_up(config):
    fixed = config()
    parts = parts_of(fixed)
    plain = fixed.preparation.transform((16, 16))
    assert data_range_of(parts.train, plain, "target", fixed) == 2.0
    free = config(overrides={"preparation.normalization": {"name": "foreground"}})
    found = data_range_of(parts.train, free.preparation.transform((16, 16)), "target", free)
    assert 2 < found < 10
    assert found == data_range_of(parts.train, free.preparation.transform((16, 16)), "target", free)


@pytest.mark.parametrize(
    ("task", "kind", "expected"),
    [
        ("vae", "images", AutoencoderObjective),
        ("regression", "pairs", RegressionObjective),
        ("pix2pix", "pairs", Pix2PixObjective),
    ],
)
def test_each_task_has_its_objective_with_its_settings(config, task, kind, expected):
    section = {"vae": "autoencoder_train"}.get(task, f"{task}_train")
    key = {"regression": "recon_loss"}.get(task, "adv_loss")
    value = {"recon_loss": "l2", "adv_loss": "hinge"}[key]
    made = config(task=task, overrides={f"{section}.{key}": value, "augment": True})
    parts = parts_of(made, kind)
    material = images_of(made, parts) if task == "vae" else pairs_of(made, task, parts)
    objective = build_objective(task, made, material)
    assert type(objective) is expected
    assert getattr(objective.settings, key) == value
    assert objective.facts()["data_range"] == material.data_range == 2.0
    assert [step.name for step in material.train_transform.transforms] == ["resize", "range", "augment"]
    assert [step.name for step in material.validation_transform.transforms] == ["resize", "range"]
