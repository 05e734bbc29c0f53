"""The table of `translation.py`, as Markdown."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from voxloom.analysis import METRICS

METRIC_NAMES = ("psnr", "ssim", "mae")


def table(result: dict[str, Any]) -> str:
    """Return the rows as Markdown."""
    heads = [f"{METRICS[name].label} {METRICS[name].unit}".strip() for name in METRIC_NAMES]
    head = ["", *heads, "SWD x 100", "training s (of it VAE)", "steps", "ms an image", "parameters"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for label, row in result["rows"].items():
        model = result["models"].get(row.get("model", ""))
        cells = [label, *(_interval(name, row[name]) for name in METRIC_NAMES), f"{row['swd']:.1f}"]
        cells += [_cost(row), str(model["steps"]) if model else "-"]
        cells += [f"{row['ms_per_image']:.1f}" if "ms_per_image" in row else "-"]
        cells += [_parameters(model) if model else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _interval(name: str, values: dict[str, float]) -> str:
    mean, low, high = (METRICS[name].format(values[key]) for key in ("mean", "ci_low", "ci_high"))
    return f"{mean} [{low}, {high}]"


def _cost(row: dict[str, Any]) -> str:
    if "train_seconds" not in row:
        return "-"
    stage_1 = f" ({row['of_it_vae']:.0f})" if row.get("of_it_vae") else ""
    return f"{row['train_seconds']:.0f}{stage_1}"


def _parameters(model: dict[str, Any]) -> str:
    counts = {k: v for k, v in model["num_parameters"].items() if k != "discriminator"}
    return " + ".join(f"{count / 1e6:.2f} M" for count in counts.values())


def report(result: dict[str, Any], arguments: argparse.Namespace) -> str:
    """Return the table with what a reader must know beside it."""
    images, (low, high) = result["images"], result["range"]
    height, width = arguments.size
    return "\n".join([
        f"### {result['data']}",
        "",
        f"{images['train']} pairs train, {images['held out']} are held out, at {height} x {width} pixels; "
        f"data range {low:g} to {high:g}. Budget {arguments.budget:g} s a method, {_machine()}. Means with "
        "95 % bootstrap intervals over images (neighbours are alike, so they are too narrow).",
        "",
        table(result),
        "",
        f"SWD between training and held-out targets, both real: {result['other_targets_swd']:.1f}.",
        "",
    ])  # fmt: skip


def _machine() -> str:
    threads = f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}, {threads}" if torch.cuda.is_available() else threads
