"""The text and tables of a report, section by section."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from voxloom.analysis.figures import loss_curves
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import EvaluationRecord, PredictionRecord, RunRecord
from voxloom.analysis.summary import METRICS, Metric

__all__ = ["header", "next_section", "results_section", "run_section"]

_MODEL = "prediction"
_TILES = ("psnr", "ssim", "mae", "dice")
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


def header(
    title: str, written: str, runs: Iterable[RunRecord], evaluation: EvaluationRecord | None
) -> Markup:
    """Return the title and the most important numbers."""
    tiles = _metric_tiles(evaluation) if evaluation else []
    seconds = [s for run in runs if isinstance(s := run.facts.get("seconds"), int | float)]
    if seconds:
        tiles.append(_tile("Training time", _duration(sum(seconds)), _count(len(seconds), "run")))
    return joined(
        element("div", "voxloom report", class_="over"),
        element("h1", title),
        element("p", written),
        element("div", *tiles, class_="tiles") if tiles else None,
    )


def results_section(evaluation: EvaluationRecord | None) -> Markup:
    """Return the table of metrics and all that one has to know to read it."""
    title = element("h2", "Results")
    if evaluation is None:
        note = "Nothing has been measured yet: voxloom evaluate --pred DIR --target DIR."
        return joined(title, element("p", note, class_="remark"))
    summary = evaluation.summary
    remarks = [element("p", remark, class_="remark") for remark in evaluation.remarks]
    if failed := summary.get("failed"):
        remarks.append(
            element("p", f"{_count(failed, 'image')} could not be measured: see below.", class_="remark")
        )
    content = (_metrics_table(summary), _how_measured(summary), _left_out(summary))
    return joined(title, element("div", *remarks, *content, class_="card"))


def run_section(run: RunRecord) -> Markup:
    """Return one run: what it was, its configuration and its curves."""
    status = str(run.facts.get("status", "unknown"))
    remarks = list(run.remarks)
    if run.facts.get("error"):
        remarks.append(str(run.facts["error"]))
    if status in ("interrupted", "running", "failed"):
        remarks.append(f"The run is marked {status}; what it had reported until then is shown.")
    return element(
        "section",
        element("div", element("h3", run.task), element("span", status, class_=f"badge {status}"),
                element("span", str(run.folder), class_="path"), class_="head"),
        *(element("p", remark, class_="remark") for remark in remarks),
        element("div", _table(_facts(run)), _table(_main_values(run), class_="keys"), class_="columns"),
        Markup(loss_curves(run.rows)),
        _full_config(run),
        class_="card",
    )  # fmt: skip


def next_section(runs: Iterable[RunRecord], predictions: PredictionRecord | None) -> Markup:
    """Return the commands with which to go on."""
    steps = [step for run in runs for step in _steps(run)]
    if predictions is not None:
        pred = shlex.quote(str(predictions.folder / "prediction"))
        steps.append(
            ("Measure against your own targets", f"voxloom evaluate --pred {pred} --target YOUR_TARGETS")
        )
    if not steps:
        return Markup()
    commands = [joined(element("p", what), element("pre", element("code", how))) for what, how in steps]
    return joined(element("h2", "How to go on"), element("div", *commands, class_="card"))


def _steps(run: RunRecord) -> list[tuple[str, str]]:
    folder, steps = shlex.quote(str(run.folder)), []
    if run.facts.get("status") in ("interrupted", "failed"):
        steps.append((f"Go on training {run.task}", f"voxloom train {run.task} --resume {folder}"))
    if run.checkpoint is not None:
        checkpoint = shlex.quote(str(run.checkpoint))
        command = f"voxloom predict {run.task} --checkpoint {checkpoint} --input-dir YOUR_IMAGES"
        steps.append((f"Apply {run.task} to your own images", command))
    if (run.folder / "tensorboard").is_dir():
        steps.append((f"Look into the run {run.folder.name}", f"tensorboard --logdir {folder}"))
    return steps


def _metric_tiles(evaluation: EvaluationRecord) -> list[Markup]:
    methods = evaluation.summary.get("methods", {})
    model, copy = methods.get(_MODEL, {}), methods.get("copy", {})
    tiles = []
    for name in _TILES:
        if name in model:
            metric, beside = METRICS[name], copy.get(name)
            note = f"copying the input: {metric.format(_number(beside['mean']))}" if beside else ""
            value = metric.format(_number(model[name]["mean"]))
            tiles.append(_tile(f"{metric.label}, mean", f"{value} {metric.unit}".strip(), note))
    images = evaluation.summary.get("measured", {}).get(_MODEL)
    return [*tiles, _tile("Images measured", str(images), "")] if images is not None else tiles


def _tile(label: str, value: str, note: str) -> Markup:
    return element(
        "div",
        element("div", label, class_="label"),
        element("div", value, class_="value"),
        element("div", note, class_="note") if note else None,
        class_="tile",
    )


def _metrics_table(summary: Mapping[str, Any]) -> Markup:
    methods: Mapping[str, Mapping[str, Any]] = summary.get("methods", {})
    head = element("tr", element("th", "Metric"), *(element("th", method) for method in methods))
    rows = [_metric_row(name, metric, methods) for name, metric in METRICS.items()]
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, class_="scroll")


def _metric_row(name: str, metric: Metric, methods: Mapping[str, Mapping[str, Any]]) -> Markup:
    found = {method: rows[name] for method, rows in methods.items() if name in rows}
    means = [_number(row.get("mean")) for row in found.values()]
    known = [mean for mean in means if not math.isnan(mean)]
    best = (max if metric.higher_is_better else min)(known) if len(known) > 1 else math.nan
    label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
    arrow = " ↑" if metric.higher_is_better else " ↓"
    cells = [_metric_cell(metric, found.get(method), best) for method in methods]
    return element("tr", element("th", label, element("span", arrow, class_="faint")), *cells)


def _metric_cell(metric: Metric, row: Mapping[str, Any] | None, best: float) -> Markup:
    if row is None:
        return element("td", "-")
    mean, low, high, median, std = (
        metric.format(_number(row.get(key))) for key in ("mean", "ci_low", "ci_high", "median", "std")
    )
    infinite = f" · {row['infinite']} infinite" if row.get("infinite") else ""
    return element(
        "td",
        element("span", mean, class_="best" if _number(row.get("mean")) == best else "mean"),
        f" [{low}, {high}]" if low != "-" and low != high else None,
        element(
            "div", f"median {median} · deviation {std} · {row.get('count')} images{infinite}", class_="spread"
        ),
    )


def _how_measured(summary: Mapping[str, Any]) -> Markup:
    bootstrap = summary.get("bootstrap", {})
    drawn = "groups" if bootstrap.get("group") else "images"
    share = 100 * bootstrap.get("confidence", 0.95)
    return element(
        "p",
        f"Mean over the images, with its {share:g} % bootstrap interval over {drawn} "
        f"({bootstrap.get('resamples')} draws, seed {bootstrap.get('seed')}). "
        f"Data range {_number(summary.get('data_range')):g}: {summary.get('data_range_origin')}. "
        f"Foreground: {summary.get('mask')}, for predictions and targets alike; metrics in the foreground "
        "count the pixels of the target's. Infinite values (a prediction that equals its target) are "
        "counted and left out of the other numbers. Two empty foregrounds have Dice and IoU 1. Slices of "
        "one volume are not independent: without groups their interval is too narrow.",
        class_="faint",
    )


def _left_out(summary: Mapping[str, Any]) -> Markup | None:
    failures = [f"{f['name']} ({f['method']}): {f['reason']}" for f in summary.get("failures", [])]
    unmatched = [
        f"{name}: {where}" for where, names in summary.get("unmatched", {}).items() for name in names
    ]
    if not (failures or unmatched):
        return None
    items = [element("li", text) for text in failures + unmatched]
    said = (
        f"{_count(len(failures), 'image')} not measured, {_count(len(unmatched), 'name')} without a partner"
    )
    return element("details", element("summary", said), element("ul", *items))


def _facts(run: RunRecord) -> dict[str, Any]:
    facts = run.facts
    named = {name: facts.get(name) for name in ("started", "device", "processes", "total_steps")}
    if isinstance(facts.get("seconds"), int | float):
        named["training time"] = _duration(facts["seconds"])
    parts = {"parameters": "num_parameters", "samples": "samples"}
    nested = {f"{label}, {k}": v for label, key in parts.items() for k, v in _dict(facts.get(key)).items()}
    versions = ", ".join(f"{name} {number}" for name, number in _dict(facts.get("versions")).items())
    given = {**named, **nested, **_dict(facts.get("facts")), "versions": versions}
    return {name.replace("_", " "): value for name, value in given.items() if value not in (None, "", [], {})}


def _main_values(run: RunRecord) -> dict[str, Any]:
    sections = [("", run.config)]
    sections += [(f"{name}.", _dict(run.config.get(name))) for name in _SECTIONS.get(run.task, ())]
    return {
        f"{place}{name}": section[name]
        for place, section in sections
        for name in _MAIN
        if section.get(name) is not None and not isinstance(section[name], dict)
    }


def _full_config(run: RunRecord) -> Markup | None:
    if not run.config:
        return None
    text = json.dumps(run.config, indent=2, ensure_ascii=False)
    return element("details", element("summary", "Full configuration"), element("pre", element("code", text)))


def _table(values: Mapping[str, Any], **attributes: str) -> Markup | None:
    rows = [element("tr", element("th", name), element("td", _text(value))) for name, value in values.items()]
    return element("table", *rows, **attributes) if rows else None


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value[:8]) + (" ..." if len(value) > 8 else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in list(value.items())[:8])
    return str(value)


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    """Read a number of a summary: null is none, and infinity is a string."""
    return math.nan if value is None else float(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
