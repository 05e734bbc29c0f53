"""Which translator is best for a given time: latent flow and diffusion, a regression U-Net, pix2pix.

Every method has the same seconds of training on this machine. Those of a latent model pay for the VAE
too: half of the budget trains one VAE that all of them share, the other half the model itself. A short
calibration on the same data turns seconds into epochs, so that the learning rate's course fits; the
seconds that were really taken stand in the table. All train through `voxloom.jobs.train`, predict the
held-out part with their final weights (none is chosen by its held-out score) and are measured by
`voxloom.analysis.evaluate`, at the network's image size and in the units of the files.

    .venv/bin/python benchmarks/translation.py --budget 120 \\
        --data 'brain=DATA/brain:gm:t1:0..255:ax_(\\d+)\\d$' --data 'cells=DATA/cells:tuj1:dapi'

``--data NAME=DIR[:target:condition[:range[:group]]]``: folders ``DIR/target`` and ``DIR/condition``
(these names by default) with images of equal names; range ``LOW..HIGH`` is what becomes -1..1 and the
data range of PSNR and SSIM, by default that of the files' integer type; group is a regular expression
that finds in a name what must not be divided between training and held-out part, such as a patient, a
block of slices or a row of tiles. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pair_data import Data
from patch_distance import sliced_wasserstein
from translation_table import METRIC_NAMES, report

from voxloom.analysis import Bootstrap, evaluate
from voxloom.config import Config, load_config
from voxloom.errors import Interrupted
from voxloom.inference import TRANSLATORS, Trained
from voxloom.jobs import PredictOptions, predict, train
from voxloom.jobs.latents import latents_of
from voxloom.loading import Loader, Order
from voxloom.ranks import Rank
from voxloom.sources import Parts, list_images, read_image, write_image

SEED = 42
VAE_SHARE = 0.5
ADVERSARIAL_SHARE = 0.15

COURSE = {"schedule": "cosine", "warmup_steps": 20, "final_fraction": 0.02}
TRAINING = {"batch_size": 8, "lr": 1e-3, "ema_decay": 0.99, "schedule": COURSE}
SETTINGS: dict[str, Any] = {
    "num_workers": 0,
    "cache_rate": 1.0,
    "trackers": ("jsonl",),
    "seed": SEED,
    "autoencoder_def": {
        "channels": [16, 32],
        "num_res_blocks": 1,
        "norm_num_groups": 8,
        "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False,
    },
    "discriminator_def": {"channels": 16, "num_layers_d": 2},
    "autoencoder_train": {**TRAINING, "batch_size": 4, "kl_weight": 1e-6, "adv_weight": 0.01},
    "diffusion_def": {
        "channels": [32, 48, 64],
        "attention_levels": [False, False, False],
        "num_head_channels": 16,
        "num_res_blocks": 1,
        "norm_num_groups": 8,
    },
    "diffusion_train": TRAINING,
    "translator_def": {"channels": [16, 32, 64, 128], "num_res_units": 1},
    "regression_train": TRAINING,
    "pix2pix_train": TRAINING,
}
SECTIONS = {
    "vae": "autoencoder_train",
    "ldm": "diffusion_train",
    "regression": "regression_train",
    "pix2pix": "pix2pix_train",
}
TINY: dict[str, Any] = {
    "autoencoder_def": {"channels": [8, 8]},
    "discriminator_def": {"channels": 4, "num_layers_d": 1},
    "diffusion_def": {"channels": [8, 16, 16], "num_head_channels": 8},
    "translator_def": {"channels": [8, 8, 16]},
}


@dataclass(frozen=True)
class Model:
    """What is trained: a task and what is special about it."""

    task: str
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A line of the table: a trained model and how it predicts."""

    label: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)


_NOISE = {"process": "flow", "flow.start_from": "noise"}
# From noise, since a flow from the condition sees it in its start whatever else it is told. Tokens need
# attention somewhere: at the lowest level, beside the middle that always has it.
_TOKENS = {
    "diffusion_def.conditioning": "cross_attention",
    "diffusion_def.attention_levels": [False, False, True],
    "diffusion_def.cross_attention_dim": 64,
    "diffusion_def.use_flash_attention": True,
}
_MULTISTEP = {"solver": "dpmpp_2m", "steps": 20}
_EULER = {"solver": "euler", "steps": 5}
MODELS = {
    "flow": Model("ldm", {"process": "flow", "flow.start_from": "condition"}),
    "flow-noise": Model("ldm", _NOISE),
    "flow-noise-cross": Model("ldm", {**_NOISE, **_TOKENS}),
    "ddpm": Model("ldm", {"process": "ddpm", "NoiseScheduler.prediction": "epsilon"}),
    "ddpm-v": Model("ldm", {"process": "ddpm", "NoiseScheduler.prediction": "v"}),
    "regression": Model("regression"),
    "pix2pix": Model("pix2pix"),
}
ROWS = (
    Row("LDM, flow from the condition, concat (Euler, 2 steps)", "flow", {**_EULER, "steps": 2}),
    Row("LDM, flow from noise, concat (Euler, 5 steps)", "flow-noise", _EULER),
    Row("the same, mean of 8 samples", "flow-noise", {**_EULER, "samples_per_image": 8}),
    Row("LDM, flow from noise, cross-attention (Euler, 5 steps)", "flow-noise-cross", _EULER),
    Row("LDM, DDPM epsilon, concat (DPM-Solver++ 2M, 20 steps)", "ddpm", _MULTISTEP),
    Row("LDM, DDPM v, concat (DPM-Solver++ 2M, 20 steps)", "ddpm-v", _MULTISTEP),
    Row("regression U-Net", "regression"),
    Row("pix2pix", "pix2pix"),
)


# -- training for a number of seconds ---------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """One data set, and where everything about it is written."""

    data: Data
    output: Path
    arguments: argparse.Namespace

    def config(self, task: str, name: str, overrides: dict[str, Any]) -> Config:
        """Return the configuration of one run."""
        settings = {**SETTINGS, **self.data.settings(self.arguments.size)}
        settings |= {"run_dir": self.output / "runs" / name, "latent_cache_dir": self.output / "latents"}
        for part, values in TINY.items() if self.arguments.tiny else ():
            settings |= {f"{part}.{key}": value for key, value in values.items()}
        return load_config(task, overrides={**settings, **overrides})

    def trained(self, name: str, model: Model, seconds: float, **extra: Any) -> dict[str, Any]:
        """Train for about so many seconds and return checkpoint and costs."""
        overrides = {**model.overrides, **extra}
        course = self._course(name, model.task, seconds, overrides)
        config = self.config(model.task, name, {**overrides, **course})
        _say(f"{self.data.name}: training {name} for {seconds:.0f} s, {course}")
        cpu_began = time.process_time()
        run = train(model.task, config, overwrite=self.arguments.overwrite)
        facts = run.read("run.json")
        return {
            "task": model.task,
            "checkpoint": str(run.checkpoints / "final.pt"),
            "seconds": _rows(run.folder)[-1]["time"],
            "cpu_seconds": time.process_time() - cpu_began,
            "steps": facts["step"],
            "num_parameters": facts["num_parameters"],
        }

    def _course(self, name: str, task: str, seconds: float, overrides: dict[str, Any]) -> dict[str, Any]:
        """Return the epochs that fit into so many seconds, from a short run of the same settings."""
        section = SECTIONS[task]
        # One epoch, and for the VAE another with its discriminator; a report at each step tells its time.
        short: dict[str, Any] = {f"{section}.log_every": 1, "autoencoder_train.adv_from_epoch": 1}
        short[f"{section}.max_epochs"] = short[f"{section}.val_interval"] = 2 if task == "vae" else 1
        # Latents are cheap, and a part of them would be encoded anew: they take all of the data.
        short |= {} if task == "ldm" else {"subset_size": 64}
        config = self.config(task, f"{name}-calibration", {**overrides, **short})
        rows = _rows(train(task, config, overwrite=True).folder)
        plain, last = _step_seconds(rows, 0), _step_seconds(rows, rows[-1]["epoch"])
        step = (1 - ADVERSARIAL_SHARE) * plain + ADVERSARIAL_SHARE * last
        batch = config.settings(task).batch_size
        images = len(self.parts().train) * (2 if task == "vae" else 1)
        epochs = max(1, round(seconds / (step * -(-images // batch))))
        course = {f"{section}.max_epochs": epochs, f"{section}.val_interval": epochs}
        return course | {"autoencoder_train.adv_from_epoch": round((1 - ADVERSARIAL_SHARE) * epochs)}

    def parts(self) -> Parts:
        """Return the pairs that train and those that are held out."""
        return Parts(self.config("ldm", "none", {}).layout, "pairs", SEED)

    # -- stage 1 ------------------------------------------------------------------------------------

    def first_stage(self) -> dict[str, Any]:
        """Train the VAE, encode all pairs, and return what both cost."""
        vae = self.trained("vae", Model("vae"), VAE_SHARE * self.arguments.budget)
        held_out = json.loads((self.output / "runs" / "vae" / "split.json").read_text())["validation"]
        if {Path(key).name for key in held_out} != set(self.parts().validation.keys):
            raise SystemExit("the VAE was trained on held-out images: its split is not that of the pairs.")
        config = self.config("ldm", "none", {"autoencoder_path": vae["checkpoint"]})
        began = time.perf_counter()
        latents_of(config, self.parts(), Rank(), _device(config), _no_bar)
        return {**vae, "encoding_seconds": time.perf_counter() - began}

    # -- measuring ----------------------------------------------------------------------------------

    def references(self) -> dict[str, Path]:
        """Write held-out targets and conditions, and the mean training target under each of their names."""
        folder, parts = self.output / "held-out", self.parts()
        others = [image for image, _ in self._prepared(parts.train, "target")]
        mean = np.mean(others, axis=0)
        for side in ("target", "condition"):
            for image, key in self._prepared(parts.validation, side):
                write_image(folder / side / f"{key}.tif", image)
                write_image(folder / "mean" / f"{key}.tif", mean)
        for i, image in enumerate(others):
            write_image(folder / "other" / f"{i:05d}.tif", image)
        return {name: folder / name for name in ("target", "condition", "mean", "other")}

    def _prepared(self, source: Any, side: str) -> list[tuple[np.ndarray[Any, Any], str]]:
        """Return images at the network's size, in the units of the files, with their names."""
        preparation = self.config("ldm", "none", {}).preparation
        order = Order(length=len(source), batch_size=8, shuffle=False)
        batches = Loader(source, preparation.transform(tuple(self.arguments.size)), order=order, seed=0)
        return [
            (preparation.restore(image)[0], key)
            for batch in batches
            for image, key in zip(batch[side].numpy(), batch.keys, strict=True)
        ]

    def measured(self, pred_dir: Path, target_dir: Path) -> dict[str, Any]:
        """Return the metrics' means with intervals over images, and the distribution's distance."""
        found = evaluate(pred_dir, target_dir, data_range=self.data.high - self.data.low)
        if found.failures or found.unmatched["only in target"]:
            raise SystemExit(f"{pred_dir}: not every held-out image was predicted and measured.")
        summary = found.summary(Bootstrap(seed=SEED))["methods"]["prediction"]
        chosen = {name: summary[name] for name in METRIC_NAMES}
        return {**chosen, "swd": sliced_wasserstein(_stack(pred_dir), _stack(target_dir))}

    def predicted(self, row: Row, model: dict[str, Any], target_dir: Path) -> dict[str, Any]:
        """Predict the held-out part with a model and measure it."""
        options = PredictOptions(**row.options, seed=SEED, overwrite=self.arguments.overwrite)
        folder = self.output / "predictions" / re.sub(r"\W+", "-", row.label)
        predict(model["task"], model["checkpoint"], folder, options=options)
        latency = self._latency(model, options)
        return {**self.measured(folder / "prediction", target_dir), "ms_per_image": latency}

    def _latency(self, model: dict[str, Any], options: PredictOptions) -> float:
        """Return milliseconds an image in batches of 8, without reading and writing."""
        config = self.config(model["task"], "none", {})
        trained = Trained.load(model["checkpoint"], device=_device(config))
        build = TRANSLATORS[model["task"]]
        made = build(trained, seed=SEED, solver=options.solver, steps=options.steps)
        source = self.parts().validation[:8]
        transform = config.preparation.transform(tuple(self.arguments.size))
        order = Order(length=len(source), batch_size=8, shuffle=False)
        (batch,) = Loader(source, transform, order=order, seed=0)
        image = batch["condition"].to(_device(config))
        with torch.no_grad():
            seconds = [_seconds(lambda: made(image, batch.keys).sum().item()) for _ in range(3)]
        return 1e3 * float(np.median(seconds)) * options.samples_per_image / len(batch)

    def ceiling(self, vae: dict[str, Any], target_dir: Path) -> dict[str, Any]:
        """Measure the VAE's own reconstruction of the held-out targets."""
        folder = self.output / "predictions" / "autoencoder"
        options = PredictOptions(seed=SEED, overwrite=self.arguments.overwrite)
        predict("vae", vae["checkpoint"], folder, options=options)
        return self.measured(folder / "prediction" / self.data.target, target_dir)


def _rows(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["split"] == "train"]


def _step_seconds(rows: list[dict[str, Any]], epoch: int) -> float:
    """Return the median time between two reports of an epoch; the first steps still warm up."""
    times = [row["time"] for row in rows if row["epoch"] == epoch]
    gaps = [b - a for a, b in pairwise(times)]
    return float(np.median(gaps[1:] or gaps))


def _no_bar(_what: str) -> None:
    """Show no progress."""


def _device(config: Config) -> torch.device:
    return torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _stack(folder: Path) -> np.ndarray[Any, Any]:
    return np.stack([read_image(path)[0] for path in list_images(folder)])


# -- all of it, and the table -------------------------------------------------------------------------------


def benchmark(data: Data, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, predict and measure every row on one data set."""
    bench = Bench(data, arguments.output / data.name, arguments)
    rows = [row for row in ROWS if not arguments.only or row.model in arguments.only]
    folders = bench.references()
    parts, target = bench.parts(), folders["target"]
    result: dict[str, Any] = {
        "data": data.name,
        "images": {"train": len(parts.train), "held out": len(parts.validation)},
        "held_out": list(parts.validation.keys),
        "range": [data.low, data.high],
        "other_targets_swd": sliced_wasserstein(_stack(folders["other"]), _stack(target)),
        "models": {},
        "rows": {
            "copy the condition": bench.measured(folders["condition"], target),
            "mean target": bench.measured(folders["mean"], target),
        },
    }
    if any(MODELS[row.model].task == "ldm" for row in rows):
        vae = result["models"]["vae"] = bench.first_stage()
        result["rows"]["autoencoder ceiling"] = bench.ceiling(vae, target)
        result["rows"]["autoencoder ceiling"] |= {"train_seconds": vae["seconds"], "model": "vae"}
    for row in rows:
        result["rows"][row.label] = _one(bench, row, result["models"], target)
        _write(arguments.output / f"{data.name}.json", result)
    return result


def _one(bench: Bench, row: Row, models: dict[str, Any], target: Path) -> dict[str, Any]:
    model, budget = MODELS[row.model], bench.arguments.budget
    vae = models["vae"] if model.task == "ldm" else None
    if row.model not in models:
        seconds = budget * (1 - VAE_SHARE) if vae else budget
        extra = {"autoencoder_path": vae["checkpoint"]} if vae else {}
        models[row.model] = bench.trained(row.model, model, seconds, **extra)
    trained = models[row.model]
    before = vae["seconds"] + vae["encoding_seconds"] if vae else 0.0
    costs = {"train_seconds": before + trained["seconds"], "of_it_vae": before}
    return {**bench.predicted(row, trained, target), **costs, "model": row.model}


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", action="append", required=True, help="NAME=DIR:target:condition:range:group"
    )
    parser.add_argument("--budget", type=float, default=120, help="seconds of training a method (120)")
    parser.add_argument("--size", type=int, nargs=2, default=[128, 128], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--only", action="append", choices=list(MODELS), help="this model alone; repeatable")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark_translation"))
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier benchmark there")
    parser.add_argument("--threads", type=int, help="of torch on a CPU; 1 where others compute too")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try it out")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    logging.getLogger("voxloom").setLevel(logging.ERROR)  # each latent model warns of the same ceiling
    try:
        results = [benchmark(Data.parse(text), arguments) for text in arguments.data]
    except Interrupted as stop:
        raise SystemExit(f"{stop} Rows that were complete stand in {arguments.output}/*.json.") from None
    text = "\n".join(report(result, arguments) for result in results)
    (arguments.output / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
