"""One point or two: their images, what is known of them, and what lies near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import Input, Output, html

from voxloom.analysis.explorer.gallery import Facts
from voxloom.analysis.explorer.session import Session

__all__ = ["Picking"]

_NEIGHBOURS = 8


@dataclass(frozen=True)
class Picking:
    """The chosen points of a session's page."""

    session: Session

    def connect(self, app: Any) -> None:
        """Connect what is told of the chosen points."""
        app.callback(Output("details", "children"), Input("picked", "data"), Input("job-ready", "data"))(
            self.show
        )
        app.callback(Output("neighbours", "children"), Input("picked", "data"))(self.near)
        app.callback(
            Output("arm", "hidden"), Output("translate-box", "hidden"), Output("along-box", "hidden"),
            Input("picked", "data"),
        )(self.offer)  # fmt: skip

    def show(self, picked: Sequence[int] | None, shown: Any) -> list[Any]:
        """Tell of one point, or of two; of none, tell how to choose one."""
        if picked and len(picked) == 2 and shown:
            return self._two(picked[0], picked[1], shown["id"])
        return self._one(picked[0]) if picked else _hint()

    def near(self, picked: Sequence[int] | None) -> list[Any]:
        """Return the points nearest to the one that is chosen."""
        if not picked or len(picked) != 1:
            return []
        found = self.session.neighbours(picked[0], _NEIGHBOURS)
        near = [self._thumbnail(row, distance) for row, distance in found]
        return [html.H4("Nearest in latent space"), html.Div(near, className="grid")] if near else []

    def offer(self, picked: Sequence[int] | None) -> tuple[bool, bool, bool]:
        """Return what is hidden: comparing, translating, decoding."""
        count = len(picked or [])
        return (
            count != 1,
            count != 1 or not self.session.can_translate,
            count != 2 or not self.session.can_decode,
        )

    def _one(self, row: int) -> list[Any]:
        facts, version = self.session.facts(row), self.session.version
        picture = html.Img(
            src=f"/image/{row}?v={version}", alt=f"Image of {facts.key}", className="picture zoomable"
        )
        problem = [html.P(facts.problem, className="note bad")] if facts.problem else []
        return [_title(facts, 1), *([picture] if self.session.has_images else []), *problem, _table(facts)]

    def _two(self, a: int, b: int, key: str) -> list[Any]:
        found = self.session.compare(a, b, key)
        facts = [self.session.facts(row) for row in (a, b)]
        latent, plane = found.latent_distance, found.plane_distance
        told = {"Latent distance": f"{latent:.4g}", "Distance here": f"{plane:.4g}"}
        told["Ratio"] = f"{plane / latent:.3g}" if latent else "–"
        tiles = [html.Div([html.Span(name), html.B(value)]) for name, value in told.items()]
        titles = [_title(each, number) for number, each in enumerate(facts, 1)]
        shown = _compared(self.session, a, b) if self.session.has_images else []
        return [*titles, html.Div(tiles, className="tiles"), *shown, _both(facts)]

    def _thumbnail(self, row: int, distance: float) -> Any:
        points = self.session.points
        key = points.keys[row] if len(points.parts) == 1 else f"{points.keys[row]}, {points.groups[row]}"
        picture = (
            [html.Img(src=f"/thumb/{row}?v={self.session.version}", alt="")]
            if self.session.has_images
            else []
        )
        return html.Button(
            [*picture, html.Span(f"{distance:.3g}")], className="near", type="button", title=key,
            **{"data-row": str(row), "aria-label": f"{key}, distance {distance:.3g}"},
        )  # fmt: skip


def _compared(session: Session, a: int, b: int) -> list[Any]:
    """Return two images and their difference with what their colours stand for, in letters of the page."""
    pair, version = session.pair(a, b), session.version
    large = {"data-large": f"/panel/{a}/{b}?size=480&v={version}"} if pair else {}
    picture = html.Img(
        src=f"/strip/{a}/{b}?size=384&v={version}", className="panel zoomable",
        alt="First image, second image, and second minus first", **large,
    )  # fmt: skip
    if pair is None:
        return [picture]
    told = [html.B("1"), html.B("2"), html.B("2 − 1")][: len(pair.tiles)]
    scales = []
    if pair.window is not None and pair.limit is not None:
        scales = [_scale("grey", *(f"{value:.4g}" for value in pair.window))]
        scales.append(_scale("signed", f"−{pair.limit:.3g}", f"+{pair.limit:.3g}"))
    return [picture, html.Div([*told, *scales], className=f"parts of-{len(told)}")]


def _scale(kind: str, low: str, high: str) -> Any:
    return html.Span([low, html.I(), high], className=f"scale {kind}")


def _hint() -> list[Any]:
    lines = [
        ("Click", "a point to see its image."),
        ("Shift + click", "a second one to compare the two."),
        ("Arrow keys", "go from point to point."),
        ("Lasso or box", "select many, to export their keys."),
    ]
    told = [html.P([html.B(key), f" {text}"]) for key, text in lines]
    return [html.Div(told, className="hint")]


def _title(facts: Facts, number: int) -> Any:
    return html.H3(
        [
            html.Span(str(number), className="badge"),
            html.Span(facts.key, className="key"),
            html.Span(facts.group, className="faint", title=facts.group),
        ]
    )


def _told(facts: Facts) -> dict[str, str]:
    rows = {name: value or "–" for name, value in facts.attributes.items()}
    if facts.shape:
        rows["image"] = f"{' × '.join(map(str, facts.shape))} {facts.dtype}"
    if facts.window is not None:
        rows["shown as"] = f"black {facts.window[0]:.4g}, white {facts.window[1]:.4g}"
    return rows | {name: value for name, value in (("note", facts.note), ("file", facts.file)) if value}


def _table(facts: Facts) -> Any:
    rows = [html.Tr([html.Th(name, scope="row"), html.Td(value)]) for name, value in _told(facts).items()]
    return html.Table(html.Tbody(rows))


def _both(facts: Sequence[Facts]) -> Any:
    """Return what is known of two points side by side; files are too long for that."""
    told = [{name: value for name, value in _told(each).items() if name != "file"} for each in facts]
    head = html.Thead(html.Tr([html.Td(), html.Th("1", scope="col"), html.Th("2", scope="col")]))
    rows = [
        html.Tr([html.Th(name, scope="row"), *(html.Td(each.get(name, "–")) for each in told)])
        for name in dict.fromkeys([*told[0], *told[1]])
    ]
    return html.Table([head, html.Tbody(rows)], className="both")
