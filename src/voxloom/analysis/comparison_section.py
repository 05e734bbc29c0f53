"""Runs side by side on the page: curves over each other, values, and what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from voxloom.analysis.comparison import (
    SCORES,
    Family,
    Reached,
    config_differences,
    families,
    has_validated,
    higher_is_better,
    leaked_between,
    reached,
    share_data,
)
from voxloom.analysis.figures import run_curves
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import RunRecord
from voxloom.analysis.run_state import state_of
from voxloom.analysis.tables import amount, duration, entries, remark, text_of

__all__ = ["comparison_section"]

_LOSSES = "Losses can be compared only where runs minimise the same one: see what differs."
_ELSEWHERE = "Not all of these runs name the same data (data_base_dir, val_dir): keys that are alike"
_MOST_PAIRS = 4  # of runs that are named in a sentence


def comparison_section(runs: Mapping[str, RunRecord]) -> Markup:
    """Return a card for each group of runs that can be compared; nothing where there is none.

    Parameters
    ----------
    runs
        Run by the name that the reader sees, in order.
    """
    groups = families(runs)
    if not groups:
        return Markup()
    return joined(element("h2", "Runs compared", id="compared"), *map(_card, groups))


def _card(family: Family) -> Markup:
    only = SCORES if family.is_mixed else None
    curves = run_curves({name: run.rows for name, run in family.runs.items()}, only=only)
    mixed = "The losses of different tasks are not comparable, so only shared scores are drawn."
    return element(
        "section",
        element("h3", f"{family.title}: {amount(len(family.runs), 'run')}"),
        element("p", mixed, class_="faint") if family.is_mixed else None,
        Markup(curves) if curves else element("p", "No value was reported by two of them.", class_="faint"),
        _values(family),
        None if family.is_mixed else _plain(_LOSSES),
        *_differences(family),
        *_data(family),
        class_="card",
    )


def _values(family: Family) -> Markup:
    # Numbers of training and of validation never stand in one row.
    split = "validation" if any(map(has_validated, family.runs.values())) else "train"
    found = {name: reached(run, split) for name, run in family.runs.items()}
    terms = dict.fromkeys(term for values in found.values() for term in values)
    if family.is_mixed:
        terms = {term: None for term in terms if term in SCORES}
    rows = [
        ("status", [state_of(run).name for run in family.runs.values()]),
        ("step", [_step(run) for run in family.runs.values()]),
        ("training time", [_seconds(run) for run in family.runs.values()]),
        ("device", [str(run.facts.get("device", "-")) for run in family.runs.values()]),
    ]
    versions = config_differences([{"versions": run.facts.get("versions")} for run in family.runs.values()])
    rows += [(key.replace("versions.", ""), list(map(text_of, values))) for key, values in versions.items()]
    body = [
        element("tr", element("th", name), *(element("td", cell) for cell in cells)) for name, cells in rows
    ]
    body += [_term(term, [values.get(term) for values in found.values()]) for term in terms]
    head = element(
        "tr", element("th", f"Last, and best ({split})"), *(element("th", name) for name in family.runs)
    )
    return element(
        "div", element("table", element("thead", head), element("tbody", *body)), class_="scroll side"
    )


def _term(term: str, values: Sequence[Reached | None]) -> Markup:
    direction = higher_is_better(term)
    bests = [value.best for value in values if value is not None and not math.isnan(value.best)]
    top = None if len(bests) < 2 or direction is None else (max if direction else min)(bests)
    arrow = {True: " ↑", False: " ↓", None: ""}[direction]
    head = element("th", term.replace("_", " "), element("span", arrow, class_="faint") if arrow else None)
    return element("tr", head, *(_cell(value, top) for value in values))


def _cell(value: Reached | None, top: float | None) -> Markup:
    if value is None:
        return element("td", "-")
    if math.isnan(value.best):
        return element("td", f"{value.last:.4g}")
    style = "best" if value.best == top else "mean"
    best = element("span", f"{value.best:.4g}", class_=style)
    return element(
        "td", f"{value.last:.4g}, best ", best, element("span", f" at {value.step:,}", class_="faint")
    )


def _step(run: RunRecord) -> str:
    steps = [row["step"] for row in run.rows if isinstance(row.get("step"), int)]
    total = run.facts.get("total_steps")
    last = max(steps, default=0)
    return f"{last:,} of {total:,}" if isinstance(total, int) else f"{last:,}"


def _seconds(run: RunRecord) -> str:
    seconds = run.facts.get("seconds")
    return duration(seconds) if isinstance(seconds, int | float) else "-"


def _differences(family: Family) -> list[Markup]:
    """Return the keys that differ: those that all have first, those of one task alone folded away."""
    title = element("h4", "Configuration: what differs")
    unread = [name for name, run in family.runs.items() if not run.config]
    told = [remark(f"The configuration of {name} is not known.") for name in unread]
    known = {name: run for name, run in family.runs.items() if run.config}
    differing = config_differences([run.config for run in known.values()])
    if len(known) < 2:
        return [title, *told]
    if not differing:
        return [title, *told, element("p", "Nothing but where they lie.", class_="faint")]
    shared = {
        key: values for key, values in differing.items() if all(_has(run, key) for run in known.values())
    }
    alone = {key: values for key, values in differing.items() if key not in shared}
    parts = [_keys_table(list(known), shared)] if shared else []
    if alone:
        said = f"{amount(len(alone), 'key')} that not all of them have"
        parts.append(element("details", element("summary", said), _keys_table(list(known), alone)))
    return [title, *told, *parts]


def _has(run: RunRecord, key: str) -> bool:
    place: Any = run.config
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return False
        place = place[part]
    return True


def _keys_table(names: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> Markup:
    head = element("tr", element("th", "Key"), *(element("th", name) for name in names))
    body = [
        element("tr", element("th", key), *(element("td", text_of(value)) for value in values))
        for key, values in rows.items()
    ]
    table = element("table", element("thead", head), element("tbody", *body), class_="keys")
    return element("div", table, class_="scroll side")


def _data(family: Family) -> list[Markup]:
    head = element("tr", *(element("th", text) for text in ("Run", "Training", "Validation", "Left out")))
    body = [
        element("tr", element("th", name), *(element("td", text) for text in _counts(run)))
        for name, run in family.runs.items()
    ]
    table = element(
        "div", element("table", element("thead", head), element("tbody", *body)), class_="scroll side"
    )
    return [element("h4", "Data and split"), table, *_shared(family.runs)]


def _counts(run: RunRecord) -> list[str]:
    samples = entries(run.facts.get("samples"))
    told = [
        samples.get(part, len(run.split[part]) if part in run.split else None)
        for part in ("train", "validation")
    ]
    return [*map(text_of, told), text_of(run.skipped)]


def _shared(runs: Mapping[str, RunRecord]) -> list[Markup]:
    """Tell whether runs validate the same samples, and which train on what another validates."""
    known = {name: run for name, run in runs.items() if any(run.split.values())}
    unknown = [name for name in runs if name not in known]
    told = [_plain(f"Splits that are not known by their keys: {', '.join(unknown)}.")] if unknown else []
    if len(known) < 2:
        return told
    held = [set(run.split.get("validation", ())) for run in known.values()]
    common, either = len(set.intersection(*held)), len(set.union(*held))
    if common == either:
        told.append(
            _plain(f"{'Both' if len(held) == 2 else 'All'} validate the same {amount(either, 'sample')}.")
        )
    else:
        text = f"Only {common:,} of {amount(either, 'validation sample')} are validated by all of them"
        told.append(remark(f"{text}: the means of their validations are over different samples."))
    elsewhere = [run for run in known.values() if not share_data(next(iter(known.values())), run)]
    if elsewhere:
        told.append(remark(f"{_ELSEWHERE} need not be the same samples; the counts here are of keys."))
    return [*told, *_leaks(known)]


def _leaks(runs: Mapping[str, RunRecord]) -> list[Markup]:
    """Tell which runs train on what others validate; of other data only that the keys are alike."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for (first, a), (second, b) in combinations(runs.items(), 2):
        if leaked := leaked_between(a, b):
            found[share_data(a, b)].append(f"{first} and {second} ({leaked:,})")
    cure = "Compare them on images that neither has seen."
    said = {
        True: f"One run trains on samples that another validates: {{}}. {cure}",
        False: "One run trains on keys that another validates, in other data: {}. They may be other images.",
    }
    return [remark(said[same].format(_listed(pairs))) for same, pairs in found.items() if pairs]


def _listed(pairs: Sequence[str]) -> str:
    rest = f", and {amount(len(pairs) - _MOST_PAIRS, 'more pair')}" if len(pairs) > _MOST_PAIRS else ""
    return ", ".join(pairs[:_MOST_PAIRS]) + rest


def _plain(text: str) -> Markup:
    return element("p", text, class_="faint")
