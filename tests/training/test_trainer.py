import pytest
import torch

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
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{place}.{i}")]
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
