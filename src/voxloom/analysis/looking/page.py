"""A page in one file: what a data set holds, its pictures, and what will hurt later."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from voxloom.analysis.looking.drawing import Picture
from voxloom.analysis.looking.finding import Finding
from voxloom.analysis.looking.histogram import Histogram, as_svg
from voxloom.analysis.looking.sheet import Tile
from voxloom.analysis.markup import Markup, element, joined
from voxloom.atomic import replacing

__all__ = [
    "classes_section",
    "facts_section",
    "findings_section",
    "histograms_section",
    "legend_section",
    "picture_uri",
    "sheet_section",
    "table_section",
    "write_page",
]

_MOST = 640  # pixels along the longer side of a picture in a page
_SMALL = 128  # below, pixels are shown as squares, and nothing is lost to JPEG
_QUALITY = 88
_CLASSES = 60


def write_page(path: str | Path, title: str, sections: Iterable[Markup | None]) -> Path:
    """Write sections into one self-contained HTML file, whole or not at all.

    Raises
    ------
    SaveError
        If it could not be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> page = write_page(Path(mkdtemp()) / "page.html", "a < b", [element("h1", "a < b")])
    >>> "<title>a &lt; b</title>" in page.read_text()
    True
    """
    path = Path(path)
    template = files("voxloom.analysis.looking").joinpath("page_template.html").read_text(encoding="utf-8")
    page = Template(template).substitute(title=joined(title), body=joined(*sections))
    with replacing(path) as file:
        file.write(page.encode())
    return path


def facts_section(facts: Sequence[tuple[str, str, str]]) -> Markup:
    """Return boxes of label, value and note."""
    boxes = [
        element(
            "div",
            element("div", label, class_="label"),
            element("div", value, class_="value"),
            element("div", note, class_="note") if note else None,
            class_="fact",
        )
        for label, value, note in facts
    ]
    return element("div", *boxes, class_="facts")


def findings_section(findings: Sequence[Finding]) -> Markup:
    """Return what will hurt later: what, why, and the cure of each."""
    if not findings:
        return element("p", "Nothing was found that would hurt later.", class_="card faint")
    return joined(*map(_finding, findings))


def _finding(finding: Finding) -> Markup:
    left = finding.number - len(finding.keys)
    named = ", ".join(finding.keys) + (f" and {left} more" if finding.keys and left > 0 else "")
    about = f"{finding.field}: {finding.what}" if finding.field else finding.what
    return element(
        "div",
        element("span", finding.severity, class_=f"badge {finding.severity}"),
        element("b", about),
        element("p", named, class_="keys") if named else None,
        element("p", f"{finding.why} ", element("span", finding.cure, class_="faint")),
        class_="card finding",
    )


def table_section(rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table; the first row is its head, and the first cell of each its name."""
    head, *body = rows
    lines = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
        for row in body
    ]
    top = element("thead", element("tr", *(element("th", cell, scope="col") for cell in head)))
    return element("div", element("table", top, element("tbody", *lines)), class_="card scroll")


def histograms_section(histograms: Sequence[Histogram]) -> Markup:
    """Return a card with the histogram of each field."""
    cards = []
    for histogram in histograms:
        beyond = f"{histogram.beyond:.2%} of the values lie outside. " if histogram.beyond else ""
        note = element("p", f"{beyond}Heights are square roots of the counts.", class_="faint ends")
        title = element("h3", histogram.field)
        cards.append(element("div", title, as_svg(histogram), note, class_="card"))
    return element("div", *cards, class_="histograms")


def classes_section(counts: Mapping[str, int]) -> Markup:
    """Return bars of the samples of each class, the largest first where they are many."""
    shown = list(counts.items())
    if len(shown) > _CLASSES:
        shown = sorted(shown, key=lambda item: -item[1])[:_CLASSES]
    most = max((count for _, count in shown), default=1) or 1
    rows = [
        joined(
            element("span", name),
            element("span", str(count), class_="count"),
            element("span", element("i", style=f"width:{100 * count / most:.1f}%")),
        )
        for name, count in shown
    ]
    left = len(counts) - len(shown)
    more = element("p", f"and {left} smaller classes", class_="faint") if left else None
    return element("div", element("div", *rows, class_="classes"), more, class_="card")


def legend_section(names: Sequence[tuple[str, tuple[int, int, int]]]) -> Markup | None:
    """Return the colour of each class beside its name; None without any."""
    if not names:
        return None
    entries = [
        element("span", element("i", style=f"background:rgb({red},{green},{blue})"), name)
        for name, (red, green, blue) in names
    ]
    return element("div", *entries, class_="legend")


def sheet_section(tiles: Sequence[Tile], *, kind: str = "") -> Markup:
    """Return the samples, each with its pictures side by side; a click enlarges one.

    Parameters
    ----------
    tiles
        The samples.
    kind
        ``slices`` for pictures whose sizes are to be compared: they are not brought to one height.
    """
    return element("div", *map(_sample, tiles), class_=f"sheet {kind}".strip())


def _sample(tile: Tile) -> Markup:
    images = [
        element("button", _image(picture, f"{tile.key}: {title}", is_label=labels), type="button")
        for title, picture, labels in tile.pictures
    ]
    caption = element("figcaption", tile.key, element("span", tile.said) if tile.said else None)
    return element(
        "figure",
        element("div", *images) if images else None,
        caption,
        class_="sample unread" if tile.is_bad else "sample",
    )


def _image(picture: Picture, text: str, *, is_label: bool) -> Markup:
    height, width = picture.shape[:2]
    return element(
        "img", src=picture_uri(picture, is_label=is_label), alt=text, title=text, width=str(width),
        height=str(height), loading="lazy", decoding="async",
        class_="small" if max(width, height) <= _SMALL else "large",
    )  # fmt: skip


def picture_uri(picture: Picture, *, is_label: bool = False) -> str:
    """Return a picture (H, W, 3) as a data URI: PNG for small ones, else JPEG; at most 640 pixels.

    Of labels the nearest pixels are kept where it is reduced, and no colours are mixed.

    Examples
    --------
    >>> picture_uri(np.zeros((2, 2, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    if max(image.size) > _MOST:
        share = _MOST / max(image.size)
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        image = image.resize(size, Image.Resampling.NEAREST if is_label else Image.Resampling.BOX)
    file = io.BytesIO()
    if max(image.size) <= _SMALL:
        image.save(file, "PNG")
        return _uri("png", file)
    image.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return _uri("jpeg", file)


def _uri(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
