"""A change that is meant to be neutral leaves the losses of 20 steps as they were.

After a change that is not, look at the difference, and renew the curves with

    VOXLOOM_RENEW_CURVES=1 pytest tests/training/test_curves.py

and commit ``curves.json`` with the change that made it different.
"""

import json
import os
from pathlib import Path

import pytest

CURVES = Path(__file__).with_name("curves.json")
RENEW = "VOXLOOM_RENEW_CURVES"
ONE_SIDE = {"data_source": "dente", "TRAIN__max_epochs": 10}
CASES = {
    "vae": ("vae", {"augment": True, "TRAIN__schedule__schedule": "cosine", "TRAIN__adv_from_epoch": 2}),
    "vae hinge": ("vae", {**ONE_SIDE, "TRAIN__adv_loss": "hinge", "TRAIN__recon_loss": "l2"}),
    "ldm ddpm": ("ldm", {"process": "ddpm", "augment": True}),
    "ldm ddpm v": (
        "ldm", {"NoiseScheduler__prediction": "v", "diffusion_def__conditioning": "cross_attention"},
    ),
    "ldm flow": ("ldm", {"process": "flow", "flow__start_noise": 0.1}),
    "regression": ("regression", {"augment": True, "TRAIN__ms_ssim_weight": 0.5}),
    "pix2pix": ("pix2pix", {"TRAIN__accumulate": 2, "TRAIN__max_epochs": 10}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_give_the_losses_that_they_gave(name, tmp_path, go, rows, vae):
    task, overrides = CASES[name]
    more = {"autoencoder_path": str(vae.folder)} if task == "ldm" else {}
    found = rows(go(task, tmp_path / "run", **overrides, **more))
    curve = {
        split: [round(row["loss"], 7) for row in found if row["split"] == split]
        for split in ("train", "validation")
    }
    kept = json.loads(CURVES.read_text()) if CURVES.is_file() else {}
    if os.environ.get(RENEW):
        CURVES.write_text(json.dumps({**kept, name: curve}, indent=1, sort_keys=True) + "\n")
        return
    assert len(curve["train"]) == 20
    for split, losses in kept[name].items():
        # Machines round differently, and what they round differently grows from step to step.
        assert curve[split] == pytest.approx(losses, rel=1e-4, abs=1e-5), (
            f"{split}: see the head of this file"
        )
