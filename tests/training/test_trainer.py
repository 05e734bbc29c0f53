import random

import numpy as np
import pytest
import torch

from voxloom.errors import CheckpointError, DivergedError
from voxloom.inference import Trained
from voxloom.models.checkpoint import read_checkpoint
from voxloom.training import RegressionObjective, Run

FLOW = {"process": "flow", "flow__start_from": "condition", "flow__start_noise": 0.1}


def differences(a, b, place="state"):
    """Name all places at which two trees of tensors and plain values are not bit for bit the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{place}: keys {a.keys() ^ b.keys()}"]
        return [d for key in a for d in differences(a[key], b[key], f"{place}.{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{place}: length"]
        return [
            d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{place}.{i}")
        ]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    return [] if same else [place]


@pytest.mark.parametrize(
    ("task", "steps", "settings"),
    [
        ("vae", 10, {"augment": True, "TRAIN__schedule__schedule": "cosine", "TRAIN__ema_decay": 0.9}),
        ("vae", 8, {"augment": True, "TRAIN__adv_from_epoch": 0, "TRAIN__accumulate": 2}),
        ("ldm", 10, {"process": "ddpm", "augment": True, "TRAIN__ema_decay": 0.9}),
        ("ldm", 10, FLOW),
        ("regression", 10, {"augment": True}),
        ("pix2pix", 10, {"augment": True, "TRAIN__log_every": 3}),
        ("pix2pix", 4, {}),  # between two epochs
    ],
)
def test_twenty_steps_are_ten_a_resume_and_ten_more(
    task, steps, settings, tmp_path, go, interrupted, rows, final, vae
):
    if task == "ldm":
        settings = {**settings, "autoencoder_path": str(vae.folder)}
    whole = go(task, tmp_path / "whole", **settings)
    parts = interrupted(task, tmp_path / "parts", steps=steps, **settings)
    assert differences(final(whole), final(parts)) == []
    assert differences(final(whole, "best"), final(parts, "best")) == []
    assert rows(whole) == rows(parts)
    assert final(whole)["step"] == (10 if "TRAIN__accumulate" in settings else 20)


@pytest.mark.parametrize("task", ["vae", "ldm", "regression", "pix2pix"])
def test_the_global_generators_are_left_as_they_are(task, tmp_path, go, vae):
    def states():
        name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the old global one is what is watched
        return [torch.get_rng_state().tolist(), name, keys.tolist(), rest, random.getstate()]

    torch.manual_seed(7)
    before = states()
    more = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
    go(task, tmp_path / "run", augment=True, TRAIN__max_epochs=2, **more)
    assert states() == before


def gradients(trainer):
    return {
        f"{phase.name}.{name}": parameter.grad.clone()
        for phase in trainer.objective.phases
        for name, parameter in phase.named_parameters()
    }


@pytest.mark.parametrize("task", ["vae", "ldm", "regression", "pix2pix"])
def test_accumulating_batches_equals_one_that_is_as_large(task, tmp_path, go, vae):
    # 5 of 10 pairs train: the batches of the last group differ in size, 2 and 1.
    more = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
    common = {"train_split": 0.5, "TRAIN__clip_norm": None, "TRAIN__adv_from_epoch": 0, **more}
    if task != "vae":
        del common["TRAIN__adv_from_epoch"]
    found = []
    for size, accumulate in ((3, 1), (1, 3), (2, 2)):
        trainer = go.trainer(
            task, tmp_path / f"{size}", TRAIN__batch_size=size, TRAIN__accumulate=accumulate, **common
        )
        batches = list(trainer.train)
        if accumulate * size == 4:
            batches = [batches[0].take(2), batches[1].take(1)]
        trainer._train_step(batches[:accumulate])
        found.append(gradients(trainer))
    whole, thirds, ragged = found
    for name, gradient in whole.items():
        torch.testing.assert_close(thirds[name], gradient, rtol=1e-3, atol=2e-6, msg=name)
        torch.testing.assert_close(ragged[name], gradient, rtol=1e-3, atol=2e-6, msg=name)


def test_gradients_are_clipped_and_told_as_they_were(tmp_path, go):
    trainer = go.trainer("regression", tmp_path / "run", TRAIN__clip_norm=1e-3)
    trainer._train_step(list(trainer.train)[:1])
    norm = torch.stack([g.norm() for g in gradients(trainer).values()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)
    assert trainer._means.values()["gradient_norm_translator"] > 1e-2


def test_averaged_weights_validate_and_predict(tmp_path, go, final, rows):
    run = go("regression", tmp_path / "run", TRAIN__ema_decay=0.9, TRAIN__max_epochs=2)
    state = final(run)
    live, mean = state["models"]["translator"], state["ema"]
    assert mean["__updates__"] == 8
    assert any(not torch.equal(live[name], mean[name]) for name in live)
    trained = Trained.load(run.folder / "checkpoints" / "final.pt")
    assert all(torch.equal(mean[name], p) for name, p in trained.models["translator"].state_dict().items())
    told = [row["loss"] for row in rows(run) if row["split"] == "validation"][-1]
    for weights, is_told in ((live, False), (mean, True)):
        trainer = go.trainer("regression", tmp_path / f"{is_told}", TRAIN__ema_decay=0.0)
        trainer.objective.models["translator"].load_state_dict(
            {name: tensor for name, tensor in weights.items() if name != "__updates__"}
        )
        assert (trainer._validate(0)["loss"] == pytest.approx(told, rel=1e-6)) is is_told


def test_a_run_without_an_average_can_go_on_with_one(tmp_path, go, final):
    go("regression", tmp_path / "run", TRAIN__max_epochs=1)
    before = final(Run(tmp_path / "run"))["models"]["translator"]
    trainer = go.trainer("regression", tmp_path / "again", TRAIN__ema_decay=0.9)
    trainer.load_state(read_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt"))
    assert all(
        torch.equal(before[name], m) for name, m in trainer.average.state_dict().items() if name in before
    )


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(tmp_path, go, monkeypatch, final):
    terms = RegressionObjective.image_terms

    def poisoned(self, prediction, target):
        found = terms(self, prediction, target)
        poisoned.calls += 1
        return {n: v * float("nan") for n, v in found.items()} if poisoned.calls > 7 else found

    poisoned.calls = 0  # 4 steps and a validation of 1 batch make an epoch: the second one fails
    monkeypatch.setattr(RegressionObjective, "image_terms", poisoned)
    with pytest.raises(DivergedError, match=r"train .*loss.* not finite at step \d.*last\.pt.*Lower lr"):
        go("regression", tmp_path / "run", TRAIN__log_every=100)
    run = Run(tmp_path / "run")
    assert sorted(p.stem for p in run.checkpoints.iterdir()) == ["best", "last"]
    for name in ("best", "last"):
        state = final(run, name)
        assert state["step"] == 4
        assert all(t.isfinite().all() for t in state["models"]["translator"].values())
    assert run.read("run.json")["status"] == "failed"
    assert "not finite" in run.read("run.json")["error"]


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path, go):
    with pytest.raises(DivergedError, match="not finite"):
        go("regression", tmp_path / "run", TRAIN__lr=1e25, TRAIN__clip_norm=None)
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_best_last_final_and_the_newest_epochs_are_kept(tmp_path, go, final, rows):
    run = go("regression", tmp_path / "run", TRAIN__keep=2, TRAIN__lr=0.05)
    assert sorted(p.stem for p in run.checkpoints.iterdir()) == [
        "best", "epoch_0003", "epoch_0004", "final", "last",
    ]  # fmt: skip
    losses = [row["loss"] for row in rows(run) if row["split"] == "validation"]
    assert final(run, "best")["epoch"] == losses.index(min(losses)) + 1
    assert final(run, "best")["best"] == min(losses) == final(run)["best"]
    assert final(run)["epoch"] == 5 == final(run, "epoch_0004")["epoch"]
    assert run.read("run.json")["status"] == "finished"


def test_validations_come_every_few_epochs_and_at_the_end(tmp_path, go, rows):
    run = go("regression", tmp_path / "run", TRAIN__val_interval=2)
    assert [row["epoch"] for row in rows(run) if row["split"] == "validation"] == [1, 3, 4]


def test_everything_that_watches_is_told_the_losses_by_term(tmp_path, go, rows):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = go(
        "vae", tmp_path / "run", trackers=["jsonl", "previews", "tensorboard"], TRAIN__max_epochs=2,
        TRAIN__preview_samples=2,
    )  # fmt: skip
    events = EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    training = [row for row in rows(run) if row["split"] == "train"]
    assert {"loss", "reconstruction", "kl", "kl_per_element", "lr", "ms_ssim"} <= set(training[0])
    assert "adversarial" not in training[0]  # the warm-up
    assert {"adversarial", "feature_matching", "loss_discriminator", "logits_real"} <= set(training[-1])
    for name in ("loss", "reconstruction", "kl", "lr", "adversarial"):
        told = [row[name] for row in training if name in row]
        drawn = [event.value for event in events.Scalars(f"train/{name}")]
        assert drawn == pytest.approx(told, rel=1e-6)
    assert [e.step for e in events.Scalars("validation/psnr")] == [4, 8]
    assert [e.step for e in events.Images("preview")] == [4, 8]
    assert sorted(p.name for p in (run.folder / "previews").iterdir()) == [
        "epoch_0000_preview.png", "epoch_0001_preview.png",
    ]  # fmt: skip


@pytest.mark.parametrize("task", ["vae", "ldm", "pix2pix"])
def test_bf16_and_channels_last_train_as_well(task, tmp_path, go, vae, rows):
    more = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
    plain, changed = (
        go(task, tmp_path / precision, TRAIN__precision=precision, TRAIN__channels_last=layout,
           TRAIN__max_epochs=2, **more)
        for precision, layout in (("fp32", False), ("bf16", True))
    )  # fmt: skip
    expected, found = ([r["loss"] for r in rows(run)] for run in (plain, changed))
    assert found == pytest.approx(expected, rel=0.1)
    assert found != expected


def test_a_checkpoint_of_another_architecture_or_task_is_refused(tmp_path, go):
    state = read_checkpoint(go("regression", tmp_path / "run", TRAIN__max_epochs=1).checkpoints / "last.pt")
    wider = go.trainer("regression", tmp_path / "wider", translator_def__channels=[8, 16])
    with pytest.raises(CheckpointError, match=r"another architecture: \d+ of \d+ tensors.*config\.json"):
        wider.load_state(state)
    with pytest.raises(CheckpointError, match=r"checkpoint of task 'regression'.*'pix2pix'"):
        go.trainer("pix2pix", tmp_path / "other").load_state(state)


def test_previews_of_narrow_images_fit_under_each_other(tmp_path, go):
    run = go(
        "regression", tmp_path / "run", TRAIN__patch_size=[128, 12], TRAIN__max_epochs=1,
        trackers=["previews"], **{"preparation": {"normalization": {"name": "foreground"}}},
    )  # fmt: skip
    assert (run.folder / "previews" / "epoch_0000_preview.png").is_file()
