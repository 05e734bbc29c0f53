"""What a training step costs: voxloom's trainer beside a plain loop in the style of the MONAI tutorials.

Both train the networks of ``config/vae_config.json`` and ``config/config_train_16g_cond.json`` on one
batch of noise that stays in memory, so that reading images plays no part. The plain loop is fp32, and
its latent model encodes target and condition in every step and attends to the condition's h*w tokens.
Each variant runs in a process of its own, for clean memory, and the variants take turns.

    .venv/bin/python benchmarks/train_step.py --tiny                       # does it run
    .venv/bin/python benchmarks/train_step.py --size 128 --batch-size 2    # a small CPU
    .venv/bin/python benchmarks/train_step.py --device cuda                # 256 x 256, batch 8
    .venv/bin/python benchmarks/train_step.py --count-only                 # arithmetic alone, in seconds
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plain_loop import noise_images, plain_ldm, plain_vae

ROOT = Path(__file__).resolve().parents[1]
FILES = {"vae": "config/vae_config.json", "ldm": "config/config_train_16g_cond.json"}
SECTION = {"vae": "autoencoder_train", "ldm": "diffusion_train"}

Step = Callable[[], object]


@dataclass(frozen=True)
class Variant:
    """One row: who steps (`by`), and what of the shipped configuration is changed."""

    stage: str
    name: str
    by: str = "voxloom"
    overrides: dict[str, Any] = field(default_factory=dict)


def variants(wanted: list[str], *, compiled: bool) -> list[Variant]:
    """Return the rows whose text holds a wanted word, and the plain loop that they are compared with."""
    cross = {"diffusion_def.conditioning": "cross_attention"}
    same_terms = {"autoencoder_train.perceptual_weight": 0, "autoencoder_train.feature_matching_weight": 0}
    unfused_vae = {"autoencoder_def.use_flash_attention": False}
    unfused_ldm = {"diffusion_def.use_flash_attention": False}
    rows = [
        Variant("vae", "plain loop", "plain"),
        Variant("vae", "voxloom, the plain loop's loss terms", overrides=same_terms),
        Variant("vae", "voxloom"),
        Variant("vae", "voxloom, unfused attention", overrides=unfused_vae),
        *(Variant("vae", f"voxloom, {n}", overrides=o) for n, o in _options("vae", compiled).items()),
        Variant("ldm", "plain loop: cross-attention, encoding in the loop", "plain", cross),
        Variant("ldm", "plain loop: concatenation, encoding in the loop", "plain"),
        Variant("ldm", "voxloom: cross-attention, cached latents", overrides=cross),
        Variant("ldm", "voxloom: cross-attention, cached, unfused", overrides=cross | unfused_ldm),
        Variant("ldm", "voxloom: concatenation, cached latents"),
        *(Variant("ldm", f"voxloom: concat, {n}", overrides=o) for n, o in _options("ldm", compiled).items()),
        Variant("ldm", "once for each pair: encoding both images", "encoding"),
    ]  # fmt: skip
    chosen = [row for row in rows if not wanted or any(word in f"{row.stage} {row.name}" for word in wanted)]
    stages = {row.stage for row in chosen}
    plain = [next(row for row in rows if row.stage == stage) for stage in SECTION if stage in stages]
    return [row for row in rows if row in chosen or row in plain]


def _options(stage: str, compiled: bool) -> dict[str, dict[str, Any]]:
    """Return the trainer's options by name; they mean the same to both stages."""
    section = SECTION[stage]
    bf16, last = {f"{section}.precision": "bf16"}, {f"{section}.channels_last": True}
    found = {"bf16": bf16, "channels_last": last, "bf16 + channels_last": bf16 | last}
    if compiled:
        compiling = {f"{section}.compile": True}
        found |= {"compile": compiling, "bf16 + channels_last + compile": bf16 | last | compiling}
    return found


# -- one variant, in a process of its own ---------------------------------------------------------------


def work(job: dict[str, Any]) -> Any:
    """Measure one variant, or count several, and return plain values."""
    import monai.networks.nets  # noqa: F401 - its memory is nobody's
    import torch

    from voxloom.jobs import objectives  # noqa: F401 - likewise

    if "counted" in job:
        return [_counted(Variant(**variant), job) for variant in job["counted"]]
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    before, device = _resident(), torch.device(job["device"])
    step = _step(Variant(**job["variant"]), job, device)
    for _ in range(job["warmup"]):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    return {**_timed(step, job["steps"], device), "bytes": _peak(device, before)}


def _timed(step: Step, steps: int, device: Any) -> dict[str, list[float]]:
    import torch

    seconds, cpu_seconds = [], []
    for _ in range(steps):
        began, cpu_began = time.perf_counter(), time.process_time()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}


def _resident(key: str = "VmRSS") -> int:
    """Return bytes of memory in use now, or at most so far (`VmHWM`)."""
    status = Path("/proc/self/status")
    if not status.is_file():  # not Linux: the highest so far is all there is
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    line = next(line for line in status.read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024


def _peak(device: Any, before: int) -> int:
    import torch

    return torch.cuda.max_memory_allocated() if device.type == "cuda" else _resident("VmHWM") - before


def _counted(variant: Variant, job: dict[str, Any]) -> float:
    """Return GFLOP of one step, counted on tensors without content: no time, no memory, any size."""
    from unittest import mock

    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    with ExitStack() as context:
        context.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        # Adam looks at the content of its step count, and has no matrix products to count.
        context.enter_context(mock.patch.object(torch.optim.Adam, "step", mock.Mock()))
        # Weights without content cannot be moved, and are where they should be.
        context.enter_context(mock.patch.object(torch.nn.Module, "to", _itself))
        step = _step(variant, job, torch.device("cpu"))
        counter = context.enter_context(FlopCounterMode(display=False))
        step()
    return counter.get_total_flops() / 1e9


def _itself(module: Any, *_arguments: Any, **_settings: Any) -> Any:
    return module


def _step(variant: Variant, job: dict[str, Any], device: Any) -> Step:
    """Build everything and return the function of one step."""
    from voxloom.config import load_config

    settings = {f"{SECTION[variant.stage]}.batch_size": job["batch_size"], **variant.overrides}
    settings |= {f"{SECTION[variant.stage]}.patch_size": [job["size"], job["size"]]}
    settings |= {"autoencoder_train.adv_from_epoch": 0} if variant.stage == "vae" else {}
    settings |= TINY if job["tiny"] else {}
    config = load_config(variant.stage, [ROOT / FILES[variant.stage]], overrides=settings)
    build = {"plain": {"vae": plain_vae, "ldm": plain_ldm}[variant.stage], "voxloom": _ours}
    build["encoding"] = _encoding
    return build[variant.by](variant.stage, config, device)


TINY = {
    "autoencoder_def.channels": [8, 16],
    "autoencoder_def.num_res_blocks": 1,
    "autoencoder_def.attention_levels": [False, False],
    "autoencoder_def.norm_num_groups": 4,
    "discriminator_def.channels": 4,
    "discriminator_def.num_layers_d": 2,
    "diffusion_def.channels": [8, 16],
    "diffusion_def.attention_levels": [False, True],
    "diffusion_def.num_head_channels": [0, 8],
    "diffusion_def.num_res_blocks": 1,
    "diffusion_def.norm_num_groups": 4,
}


# -- voxloom --------------------------------------------------------------------------------------------


def _ours(stage: str, config: Any, device: Any) -> Step:
    """Return a step of the library's trainer."""
    from voxloom.jobs.objectives import Material, build_objective
    from voxloom.loading import Loader, Order, collate
    from voxloom.models import LatentScale
    from voxloom.ranks import Rank
    from voxloom.training import Job, Run, Trainer
    from voxloom.transforms import Compose

    settings = config.settings(stage)
    first_stage = config.autoencoder_def.build().to(device) if stage == "ldm" else None
    source = _noise(stage, config)
    material = Material(
        train=source,
        validation=source,
        train_transform=Compose(transforms=()),
        validation_transform=Compose(transforms=()),
        data_range=2.0,
        first_stage=first_stage,
        scale=LatentScale.from_factor(1.0, config.latent_channels),
    )
    order = Order(length=len(source), batch_size=len(source))
    loader = Loader(source, None, order=order, seed=0)
    # Nothing is written: the folder of the run is only a name.
    job = Job(Run(Path(tempfile.gettempdir()) / "voxloom-no-run"), Rank(), device, 0, {"task": stage})
    trainer = Trainer(build_objective(stage, config, material), loader, loader, settings, job, [])
    batch = collate([source[i] for i in range(len(source))])
    return lambda: trainer._train_step([batch])


def _noise(stage: str, config: Any) -> Any:
    """Return a source of one batch of normal noise, as images or as cached latents."""
    import numpy as np

    from voxloom.sample import Field, Sample, Schema
    from voxloom.source import Source

    settings = config.settings(stage)
    shape = (config.image_channels, *settings.patch_size)
    names, kind = ("image",), "image"
    if stage == "ldm":
        down = config.autoencoder_def.downsampling
        shape = (config.latent_channels, *(length // down for length in settings.patch_size))
        names, kind = ("target_mu", "target_sigma", "condition_mu"), "latent"
    made = Schema([Field(name=name, kind=kind) for name in names])
    rng = np.random.default_rng(0)
    arrays = [
        {name: rng.standard_normal(shape, np.float32) for name in names} for _ in range(settings.batch_size)
    ]

    class Noise(Source):
        schema = made
        keys = tuple(str(i) for i in range(len(arrays)))

        def read(self, index: int) -> Sample:
            return Sample(self.keys[index], made, arrays[index])

    return Noise()


def _encoding(stage: str, config: Any, device: Any) -> Step:
    """Return the encoding of a batch of pairs: what a cache saves every later epoch."""
    import torch

    model = config.autoencoder_def.build().to(device).eval()
    target, condition = (noise_images(stage, config, device) for _ in range(2))

    @torch.no_grad()
    def step() -> None:
        model.encode(target)
        model.encode(condition)

    return step


# -- all variants in turn, and the table ------------------------------------------------------------------


def run(job: dict[str, Any]) -> Any:
    """Run a job in a fresh process; a failure becomes a value, since other variants may still work."""
    command = [sys.executable, __file__, "--worker", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}, out of memory?"]
        return {"error": lines[-1][:160]}
    return json.loads(done.stdout.splitlines()[-1])


def measured(rows: list[Variant], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Count each row once, then time all rows in turn, `repeats` times."""
    names = ("size", "batch_size", "steps", "warmup", "device", "tiny", "threads")
    shared = {name: getattr(arguments, name) for name in names}
    counts = run({**shared, "counted": [_arithmetic(row) for row in rows]})
    records = [
        {**asdict(row), "seconds": [], "cpu_seconds": [], "bytes": [], "gflop": count, "error": None}
        for row, count in zip(rows, counts, strict=True)
    ]
    for turn in range(0 if arguments.count_only else arguments.repeats):
        for row, record in zip(rows, records, strict=True):
            print(f"turn {turn + 1}: {row.stage}, {row.name}", file=sys.stderr)
            found = run({**shared, "variant": asdict(row)})
            if "error" in found:
                record["error"] = found["error"]
                continue
            record["seconds"] += found["seconds"]
            record["cpu_seconds"] += found["cpu_seconds"]
            record["bytes"].append(found["bytes"])
    return records


def _arithmetic(row: Variant) -> dict[str, Any]:
    """Return the row without the options that change how numbers are computed, but not how many."""
    ways = (".compile", ".precision", ".use_flash_attention")
    return {**asdict(row), "overrides": {k: v for k, v in row.overrides.items() if not k.endswith(ways)}}


def table(records: list[dict[str, Any]], batch_size: int) -> str:
    """Return a Markdown table for each stage."""
    head = "| step | images/s | x plain | CPU s a step | peak MiB | GFLOP a step |"
    lines: list[str] = []
    for stage in dict.fromkeys(record["stage"] for record in records):
        chosen = [record for record in records if record["stage"] == stage]
        lines += ["", f"**{stage}**", "", head, "|---|---:|---:|---:|---:|---:|"]
        lines += [_line(record, _rate(chosen[0], batch_size), batch_size) for record in chosen]
    return "\n".join(lines[1:])


def _rate(record: dict[str, Any], batch_size: int) -> float | None:
    return batch_size / statistics.median(record["seconds"]) if record["seconds"] else None


def _line(record: dict[str, Any], plain: float | None, batch_size: int) -> str:
    rate = _rate(record, batch_size)
    cells = [
        record["name"],
        f"{rate:.3g}" if rate else "-",
        f"{rate / plain:.2f}" if rate and plain else "-",
        f"{statistics.median(record['cpu_seconds']):.3g}" if record["cpu_seconds"] else "-",
        f"{statistics.median(record['bytes']) / 2**20:.0f}" if record["bytes"] else "-",
        f"{record['gflop']:.4g}",
    ]
    failed = f"\n|  failed: {record['error']} | | | | | |" if record["error"] else ""
    return "| " + " | ".join(cells) + " |" + failed


def machine(device: str) -> str:
    """Return where this ran, in words."""
    import torch

    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--worker":
        print(json.dumps(work(json.loads(sys.argv[2]))))
        return
    arguments = _arguments()
    # Compiling for a CPU takes minutes and a C++ compiler: there it is asked for.
    rows = variants(arguments.only, compiled=arguments.compile or arguments.device != "cpu")
    records = measured(rows, arguments)
    where, size = machine(arguments.device), arguments.size
    print(f"{size} x {size}, batch {arguments.batch_size}; {where}")
    print(f"median of {arguments.repeats} x {arguments.steps} steps\n")
    print(table(records, arguments.batch_size))
    if arguments.json:
        facts = {"machine": where, "arguments": vars(arguments), "variants": records}
        Path(arguments.json).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, help="height and width in pixels (256; 32 with --tiny)")
    parser.add_argument("--batch-size", type=int, help="images in a step (8; 2 with --tiny)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each variant in a turn (3)")
    parser.add_argument("--warmup", type=int, help="steps before them (1 on a CPU, 5 on a GPU)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (3)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="of torch on a CPU (its own default)")
    parser.add_argument("--tiny", action="store_true", help="small networks and images, to try it out")
    parser.add_argument("--compile", action="store_true", help="torch.compile on a CPU too")
    parser.add_argument("--count-only", action="store_true", help="count GFLOP, time nothing")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="variants with it, e.g. vae"
    )
    parser.add_argument("--json", metavar="FILE", help="write every measurement to a file")
    arguments = parser.parse_args()
    arguments.size = arguments.size or (32 if arguments.tiny else 256)
    arguments.batch_size = arguments.batch_size or (2 if arguments.tiny else 8)
    if arguments.warmup is None:
        arguments.warmup = 1 if arguments.device == "cpu" else 5
    return arguments


if __name__ == "__main__":
    main()
