"""How good the predictions are: metrics with their intervals, beside baselines and other models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from voxloom.analysis.evaluation import MODEL
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.paired import FEWEST_PAIRS, PairedDifference, paired_differences
from voxloom.analysis.records import EvaluationRecord
from voxloom.analysis.results import Result
from voxloom.analysis.summary import METRICS, Bootstrap, Metric
from voxloom.analysis.tables import amount, entries, number_of, remark
from voxloom.errors import ConfigError

__all__ = ["metrics_section"]

_SETTINGS = {"data_range": "data range", "mask": "foreground", "bootstrap": "bootstrap"}


def metrics_section(results: Sequence[Result]) -> Markup:
    """Return the tables of metrics and all that one has to know to read them."""
    title = element("h2", "Results", id="results")
    judged = {result.name: result.evaluation for result in results if result.evaluation is not None}
    if not judged:
        note = "Nothing has been measured yet: voxloom evaluate --pred DIR --target DIR."
        return joined(title, remark(note))
    first = next(iter(judged.values()))
    methods = _methods(judged)
    content = (
        *_remarks(judged),
        _metrics_table(methods)
        if methods
        else remark("The evaluation holds no metrics: summary.json is damaged."),
        _how_measured(first.summary),
        *(_left_out(name if len(judged) > 1 else "", each.summary) for name, each in judged.items()),
        _paired_tables(judged),
    )
    return joined(title, element("div", *content, class_="card"))


def _methods(judged: Mapping[str, EvaluationRecord]) -> dict[str, Mapping[str, Any]]:
    """Return the columns: of one evaluation all methods, of several each one's model and the baselines."""
    tables = {name: entries(each.summary.get("methods")) for name, each in judged.items()}
    if len(tables) == 1:
        return dict(next(iter(tables.values())))
    columns = {name: entries(table.get(MODEL)) for name, table in tables.items() if table.get(MODEL)}
    baselines = {
        f"{method} ({name})": entries(values)
        for name, table in tables.items()
        for method, values in table.items()
        if method != MODEL
    }
    kept: dict[str, Mapping[str, Any]] = {}
    for label, values in baselines.items():  # a baseline on the same images is one column
        if not any(values == other for other in kept.values()):
            kept[label] = values
    shared = len({label.split(" (")[0] for label in kept}) == len(kept)
    return columns | {label.split(" (")[0] if shared else label: values for label, values in kept.items()}


def _remarks(judged: Mapping[str, EvaluationRecord]) -> Iterable[Markup]:
    for name, each in judged.items():
        prefix = f"{name}: " if len(judged) > 1 else ""
        yield from (remark(prefix + text) for text in each.remarks)
        if failed := int(number_of(each.summary.get("failed", 0) or 0)):
            yield remark(f"{prefix}{amount(failed, 'image')} could not be measured: see below.")
    for key, label in _SETTINGS.items():
        if len({str(each.summary.get(key)) for each in judged.values()}) > 1:
            yield remark(
                f"The evaluations were made with different settings of the {label}: {_settings(key, judged)}."
            )


def _settings(key: str, judged: Mapping[str, EvaluationRecord]) -> str:
    return "; ".join(f"{name} {each.summary.get(key)}" for name, each in judged.items())


def _metrics_table(methods: Mapping[str, Mapping[str, Any]]) -> Markup:
    head = element("tr", element("th", "Metric"), *(element("th", method) for method in methods))
    rows = [_metric_row(name, metric, methods) for name, metric in METRICS.items()]
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, class_="scroll")


def _metric_row(name: str, metric: Metric, methods: Mapping[str, Mapping[str, Any]]) -> Markup:
    found = {method: entries(rows[name]) for method, rows in methods.items() if name in entries(rows)}
    known = [mean for row in found.values() if not math.isnan(mean := number_of(row.get("mean")))]
    best = (max if metric.higher_is_better else min)(known) if len(known) > 1 else math.nan
    cells = [_metric_cell(metric, found.get(method), best) for method in methods]
    return element("tr", _metric_head(metric), *cells)


def _metric_head(metric: Metric) -> Markup:
    label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
    return element("th", label, element("span", " ↑" if metric.higher_is_better else " ↓", class_="faint"))


def _metric_cell(metric: Metric, row: Mapping[str, Any] | None, best: float) -> Markup:
    if row is None:
        return element("td", "-")
    mean, low, high, median, std = (
        metric.format(number_of(row.get(key))) for key in ("mean", "ci_low", "ci_high", "median", "std")
    )
    infinite = f" · {row['infinite']} infinite" if row.get("infinite") else ""
    return element(
        "td",
        element("span", mean, class_="best" if number_of(row.get("mean")) == best else "mean"),
        f" [{low}, {high}]" if low != "-" and low != high else None,
        element(
            "div", f"median {median} · SD {std} · n\u00a0=\u00a0{row.get('count')}{infinite}", class_="spread"
        ),
    )


def _how_measured(summary: Mapping[str, Any]) -> Markup:
    bootstrap = entries(summary.get("bootstrap"))
    drawn = "groups" if bootstrap.get("group") else "images"
    share = 100 * number_of(bootstrap.get("confidence", 0.95))
    return element(
        "p",
        f"Mean over the images, with its {share:g} % bootstrap interval over {drawn} "
        f"({bootstrap.get('resamples')} draws, seed {bootstrap.get('seed')}). "
        f"Data range {number_of(summary.get('data_range')):g}: {summary.get('data_range_origin')}. "
        f"Foreground: {summary.get('mask')}, for predictions and targets alike; metrics in the foreground "
        "count the pixels of the target's. Infinite values (a prediction that equals its target) are "
        "counted and left out of the other numbers. Two empty foregrounds have Dice and IoU 1. Slices of "
        "one volume are not independent: without groups their interval is too narrow.",
        class_="faint",
    )


def _left_out(name: str, summary: Mapping[str, Any]) -> Markup | None:
    failures = [
        f"{f.get('name')} ({f.get('method')}): {f.get('reason')}" for f in summary.get("failures") or []
    ]
    unmatched = [
        f"{each}: {where}" for where, names in entries(summary.get("unmatched")).items() for each in names
    ]
    if not (failures or unmatched):
        return None
    items = [element("li", text) for text in failures + unmatched]
    said = (
        f"{amount(len(failures), 'image')} not measured, {amount(len(unmatched), 'name')} without a partner"
    )
    return element("details", element("summary", f"{name}: {said}" if name else said), element("ul", *items))


def _paired_tables(judged: Mapping[str, EvaluationRecord]) -> Markup | None:
    """Return the differences of each other model from the first, on the images that both predicted."""
    (first, reference), *others = judged.items()
    if not others:
        return None
    told: list[Markup] = []
    columns: dict[str, Mapping[str, PairedDifference]] = {}
    for name, other in others:
        found = _paired(reference, other)
        if found:
            columns[name] = found
        else:
            told.append(
                remark(
                    f"{first} and {name} share no image that both measured: there is no paired difference."
                )
            )
    parts = [element("h3", f"Paired differences from {first}"), *told]
    return joined(*parts, *_paired_table(columns)) if columns else joined(*parts)


def _paired(first: EvaluationRecord, second: EvaluationRecord) -> dict[str, PairedDifference]:
    try:
        bootstrap = Bootstrap.model_validate(entries(first.summary.get("bootstrap")))
        return paired_differences(first.images, second.images, bootstrap)
    except (ValidationError, ConfigError):  # a damaged summary, or names that its groups do not fit
        return paired_differences(first.images, second.images)


def _paired_table(columns: Mapping[str, Mapping[str, PairedDifference]]) -> list[Markup]:
    head = element("tr", element("th", "Metric"), *(element("th", name) for name in columns))
    rows = [
        element(
            "tr", _metric_head(metric), *(_paired_cell(metric, found.get(name)) for found in columns.values())
        )
        for name, metric in METRICS.items()
        if any(name in found for found in columns.values())
    ]
    note = (
        "Mean of the other's value minus the first's, image by image, on the images that both predicted, "
        "with the bootstrap interval of that mean. Bold: the interval holds no zero. " + _chance(columns)
    )
    table = element("table", element("thead", head), element("tbody", *rows))
    return [element("div", table, class_="scroll"), element("p", note, class_="faint")]


def _chance(columns: Mapping[str, Mapping[str, PairedDifference]]) -> str:
    """Tell what cannot be said of few images, and how often chance alone looks clear."""
    found = [each for differences in columns.values() for each in differences.values()]
    told = [each for each in found if each.units >= FEWEST_PAIRS]
    few = f"Fewer than {FEWEST_PAIRS} images or groups say too little for an interval, so none is told. "
    many = (
        f"{len(told)} intervals are compared at once: if the models did not differ at all, about one in 20 "
        "would be bold by chance, and related metrics together."
    )
    return (few if len(told) < len(found) else "") + (many if len(told) > 1 else "")


def _paired_cell(metric: Metric, found: PairedDifference | None) -> Markup:
    if found is None:
        return element("td", "-")
    mean, low, high = (_signed(metric, value) for value in (found.mean, found.low, found.high))
    return element(
        "td",
        element("span", mean, class_="best" if found.is_clear else "mean"),
        f" [{low}, {high}]" if low != "-" else None,
        element(
            "div", f"better on {100 * found.better:.0f} % of {amount(found.count, 'image')}", class_="spread"
        ),
    )


def _signed(metric: Metric, value: float) -> str:
    text = metric.format(value)
    return f"+{text}" if value > 0 else text
