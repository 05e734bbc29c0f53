"""The text and tables of a report: its head, each run, and how to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from voxloom.analysis.evaluation import MODEL
from voxloom.analysis.figures import loss_curves
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import EvaluationRecord, RunRecord
from voxloom.analysis.results import Result
from voxloom.analysis.run_state import state_of
from voxloom.analysis.summary import METRICS
from voxloom.analysis.tables import amount, duration, entries, number_of, pairs_table, remark

__all__ = ["contents", "header", "next_section", "run_section"]

_TILES = ("psnr", "ssim", "mae", "dice")
_MOST_KEYS = 500  # of a split that are written out
# Where the main values of a task's configuration stand; others are in the full listing below them.
_SECTIONS = {
    "vae": ("autoencoder_train", "autoencoder_def", "preparation"),
    "ldm": ("diffusion_train", "diffusion_def", "preparation"),
    "regression": ("regression_train", "translator_def", "preparation"),
    "pix2pix": ("pix2pix_train", "translator_def", "preparation"),
}
_MAIN = (
    *("data_base_dir", "target", "condition", "data_source", "train_split", "augment", "seed"),
    *("process", "start", "prediction", "conditioning", "name"),
    *("patch_size", "batch_size", "lr", "max_epochs", "precision", "ema_decay"),
    *("recon_loss", "kl_weight", "perceptual_weight", "adv_weight"),
    *("channels", "num_res_blocks", "attention_levels", "latent_channels"),
)


def header(title: str, written: str, runs: Iterable[RunRecord], results: Sequence[Result]) -> Markup:
    """Return the title and the most important numbers, those of the first result that was measured."""
    judged = [(result.name, result.evaluation) for result in results if result.evaluation]
    tiles = _metric_tiles(judged[0][1], judged[0][0] if len(judged) > 1 else "") if judged else []
    seconds = [s for run in runs if isinstance(s := run.facts.get("seconds"), int | float)]
    if seconds:
        tiles.append(_tile("Training time", duration(sum(seconds)), amount(len(seconds), "run")))
    return joined(
        element("div", "voxloom report", class_="over"),
        element("h1", title),
        element("p", written),
        element("div", *tiles, class_="tiles") if tiles else None,
    )


def contents(sections: Iterable[tuple[str, str]]) -> Markup:
    """Return links to the parts of the page, each an anchor and its title."""
    return element("nav", *(element("a", title, href=f"#{anchor}") for anchor, title in sections))


def run_section(name: str, run: RunRecord) -> Markup:
    """Return one run: what it was, its configuration and its curves."""
    state = state_of(run)
    remarks = list(run.remarks)
    if run.facts.get("error"):
        remarks.append(str(run.facts["error"]))
    if state.name != "finished" and run.status in ("interrupted", "running", "failed"):
        remarks.append(f"The run is marked {run.status}; what it had reported until then is shown.")
    if state.note:
        remarks.append(state.note)
    tables = pairs_table(_facts(run)), pairs_table(_main_values(run), class_="keys")
    return element(
        "section",
        element("div", element("h3", name), element("span", state.name, class_=f"badge {state.style}"),
                element("span", run.task), element("span", str(run.folder), class_="path"), class_="head"),
        *map(remark, remarks),
        element("div", *tables, class_="columns"),
        Markup(loss_curves(run.rows)),
        _split(run),
        _full_config(run),
        class_="card",
    )  # fmt: skip


def next_section(runs: Iterable[RunRecord], results: Iterable[Result]) -> Markup:
    """Return the commands with which to go on."""
    steps = [step for run in runs for step in _steps(run)]
    for result in results:
        if result.predictions is not None and result.evaluation is None:
            pred = shlex.quote(str(result.predictions.folder / "prediction"))
            what = f"Measure {result.name} against your own targets"
            steps.append((what, f"voxloom evaluate --pred {pred} --target YOUR_TARGETS"))
    if not steps:
        return Markup()
    commands = [joined(element("p", what), element("pre", element("code", how))) for what, how in steps]
    return joined(element("h2", "How to go on", id="next"), element("div", *commands, class_="card"))


def _steps(run: RunRecord) -> list[tuple[str, str]]:
    folder, steps = shlex.quote(str(run.folder)), []
    if run.status in ("interrupted", "failed") or state_of(run).is_doubtful:
        steps.append((f"Go on training {run.task}", f"voxloom train {run.task} --resume {folder}"))
    if run.checkpoint is not None:
        checkpoint = shlex.quote(str(run.checkpoint))
        command = f"voxloom predict {run.task} --checkpoint {checkpoint} --input-dir YOUR_IMAGES"
        steps.append((f"Apply {run.task} to your own images", command))
    if (run.folder / "tensorboard").is_dir():
        steps.append((f"Look into the run {run.folder.name}", f"tensorboard --logdir {folder}"))
    return steps


def _metric_tiles(evaluation: EvaluationRecord, name: str) -> list[Markup]:
    methods = entries(evaluation.summary.get("methods"))
    model, copy = (entries(methods.get(method)) for method in (MODEL, "copy"))
    tiles = []
    for metric in _TILES:
        if metric in model:
            shown, beside = METRICS[metric], entries(copy.get(metric))
            copied = f"copying the input: {shown.format(number_of(beside.get('mean')))}" if beside else ""
            value = shown.format(number_of(entries(model[metric]).get("mean")))
            note = " · ".join(text for text in (name, copied) if text)
            tiles.append(_tile(f"{shown.label}, mean", f"{value} {shown.unit}".strip(), note))
    images = entries(evaluation.summary.get("measured")).get(MODEL)
    return [*tiles, _tile("Images measured", str(images), name)] if images is not None else tiles


def _tile(label: str, value: str, note: str) -> Markup:
    return element(
        "div",
        element("div", label, class_="label"),
        element("div", value, class_="value"),
        element("div", note, class_="note") if note else None,
        class_="tile",
    )


def _facts(run: RunRecord) -> dict[str, Any]:
    facts = run.facts
    named = {name: facts.get(name) for name in ("started", "device", "processes", "total_steps")}
    if isinstance(facts.get("seconds"), int | float):
        named["training time"] = duration(facts["seconds"])
    parts = {"parameters": "num_parameters", "samples": "samples"}
    nested = {f"{label}, {k}": v for label, key in parts.items() for k, v in entries(facts.get(key)).items()}
    if run.skipped:
        nested["samples, left out"] = run.skipped
    versions = ", ".join(f"{name} {number}" for name, number in entries(facts.get("versions")).items())
    given = {**named, **nested, **entries(facts.get("facts")), "versions": versions}
    return {name.replace("_", " "): value for name, value in given.items() if value not in (None, "", [], {})}


def _main_values(run: RunRecord) -> dict[str, Any]:
    sections = [("", run.config)]
    sections += [(f"{name}.", entries(run.config.get(name))) for name in _SECTIONS.get(run.task, ())]
    return {
        f"{place}{name}": section[name]
        for place, section in sections
        for name in _MAIN
        if section.get(name) is not None and not isinstance(section[name], dict)
    }


def _split(run: RunRecord) -> Markup | None:
    """Return the keys of each part of the data, folded away."""
    if not run.split:
        return None
    counts = ", ".join(f"{len(keys):,} {part}" for part, keys in run.split.items())
    parts = [joined(element("p", element("b", part)), element("p", _listed(keys), class_="path"))
             for part, keys in run.split.items() if keys]  # fmt: skip
    return element("details", element("summary", f"Split: {counts}"), *parts)


def _listed(keys: Sequence[str]) -> str:
    rest = f" ... and {len(keys) - _MOST_KEYS:,} more in split.json" if len(keys) > _MOST_KEYS else ""
    return ", ".join(keys[:_MOST_KEYS]) + rest


def _full_config(run: RunRecord) -> Markup | None:
    if not run.config:
        return None
    text = json.dumps(run.config, indent=2, ensure_ascii=False)
    return element("details", element("summary", "Full configuration"), element("pre", element("code", text)))
