"""Every image with its metrics, folded away, and sorted where the reader clicks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from voxloom.analysis.markup import Markup, element
from voxloom.analysis.results import Result
from voxloom.analysis.summary import METRICS

__all__ = ["MOST_ROWS", "SORTING", "image_tables"]

MOST_ROWS = 2000
"""Images in a table; of more, those with the lowest PSNR are listed."""

SORTING = """
for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const column = head.cellIndex, falls = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const value = (row) => {
      const text = row.cells[column].textContent;
      return column ? (text === "-" ? NaN : text === "inf" ? Infinity : Number(text)) : text;
    };
    const keyed = Array.from(body.rows, (row) => [value(row), row]);
    keyed.sort(([a], [b]) => {
      if (!column) return a.localeCompare(b, undefined, { numeric: true }) * (falls ? -1 : 1);
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
      return a === b ? 0 : (a < b ? -1 : 1) * (falls ? -1 : 1);
    });
    body.append(...keyed.map(([, row]) => row));
  });
}
"""
"""The page's only script."""

_ORDER = "psnr"


def image_tables(results: Sequence[Result]) -> list[Markup]:
    """Return a folded table for each result that has been measured, image by image."""
    judged = [result for result in results if result.values]
    return [_folded(result, is_named=len(judged) > 1) for result in judged]


def _folded(result: Result, *, is_named: bool) -> Markup:
    rows, total = _worst(result.values), len(result.values)
    name = f"{result.name}: " if is_named else ""
    said = f"{name}every image, {total:,}" if total == len(rows) else (
        f"{name}the {len(rows):,} images of {total:,} with the lowest {METRICS[_ORDER].label}; "
        "the others are in per_image.csv"
    )  # fmt: skip
    metrics = [metric for metric in METRICS if any(metric in values for values in rows.values())]
    labels = ["Image", *(METRICS[metric].label for metric in metrics)]
    head = element("tr", *(element("th", element("button", label, type="button")) for label in labels))
    body = [
        element("tr", element("td", each), *(element("td", _text(metric, values)) for metric in metrics))
        for each, values in rows.items()
    ]
    table = element("table", element("thead", head), element("tbody", *body), class_="sortable")
    return element("details", element("summary", said), element("div", table, class_="scroll"), class_="rows")


def _worst(values: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    if len(values) <= MOST_ROWS:
        return dict(values)
    order = sorted(values, key=lambda name: (_key(values[name].get(_ORDER, math.nan)), name))
    return {name: values[name] for name in order[:MOST_ROWS]}


def _key(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _text(metric: str, values: Mapping[str, float]) -> str:
    return METRICS[metric].format(values.get(metric, math.nan))
