"""The page in a browser: one point, two, many."""

import csv
import io

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

LOADED = "document.querySelector(arguments[0]).naturalWidth > 1"


@pytest.fixture(scope="module")
def clear():
    """Rows whose points lie clear of all others; filled by the first test that looks."""
    return []


@pytest.fixture
def alone(page, clear):
    clear[:] = clear or page.alone()
    return clear


def test_a_thumbnail_under_the_mouse_costs_one_request_for_the_image(page, alone):
    page.requests()
    page.hover(alone[0])
    page.until(LOADED, "#tip img")
    assert page.text("#tip").split("\n") == [page.explored.session.points.keys[alone[0]], "group: phantoms"]
    asked = [url for url in page.requests() if f"/thumb/{alone[0]}?" not in url]
    assert not [url for url in asked if "/thumb/" not in url]
    page.mouse((5, 5))
    page.until("document.getElementById('tip').hidden")


def test_a_click_tells_of_a_point(page, alone):
    row = alone[1]
    page.click(row)
    page.until(LOADED, "#details .picture")
    facts = page.explored.session.facts(row)
    told = page.text("#details")
    assert facts.key in told
    assert f"site\t{facts.attributes['site']}" in told
    assert f"black {facts.window[0]:.4g}, white {facts.window[1]:.4g}" in told
    assert "1 × 64 × 64 float32" in told
    page.until("document.querySelectorAll('.near img').length === 8")
    page.until("[...document.querySelectorAll('.near img')].every(image => image.naturalWidth > 1)")
    near = page.explored.session.neighbours(row, 8)
    assert page.text(".near") == f"{near[0][1]:.3g}"
    page.press(".near")
    page.until("voxloomPlot.picked[0] === arguments[0]", near[0][0])
    page.says("#details", page.explored.session.points.keys[near[0][0]])
    page.press("#details .picture")
    page.until("document.getElementById('large').open")
    page.press("#large")
    page.until("!document.getElementById('large').open")


def test_an_image_that_is_gone_is_told_in_words(page):
    page.find("#find").send_keys("patient01_slice1", Keys.ENTER)
    page.until(LOADED, "#details .picture")
    page.says("#details .bad", "patient01_slice1")
    page.until("document.querySelectorAll('.near').length === 8")


def test_two_points_are_compared_and_the_third_begins_anew(page, alone):
    a, b, c = alone[:3]
    page.click(a)
    page.click(b, shift=True)
    page.until("document.getElementById('plot').dataset.marks === '2'")
    page.until(LOADED, "#details .panel")
    key = page.js("return document.getElementById('plot').dataset.key")
    found = page.explored.session.compare(a, b, key)
    tiles = [f"{found.latent_distance:.4g}", f"{found.plane_distance:.4g}"]
    tiles.append(f"{found.plane_distance / found.latent_distance:.3g}")
    assert page.js("return [...document.querySelectorAll('.tiles b')].map(b => b.innerText)") == tiles
    shapes = page.js("return [...document.querySelectorAll('#marks > *')].map(shape => shape.tagName)")
    assert shapes == ["line", "circle", "rect", "text", "circle", "rect", "text"]
    page.click(c)
    page.until("document.getElementById('plot').dataset.marks === '1'")
    page.until("!document.querySelector('.tiles')")


def test_marks_stay_on_their_points_when_the_view_moves(page, alone):
    off = """
        const {x, width, y, height} = document.querySelector('#marks circle').getBoundingClientRect();
        const gd = document.getElementById('plot'), [px, py] = voxloomPlot.at(voxloomPlot.picked[0]);
        const {xaxis, yaxis} = gd._fullLayout, box = gd.getBoundingClientRect();
        return Math.hypot(x + width / 2 - box.x - xaxis._offset - xaxis.l2p(px),
                          y + height / 2 - box.y - yaxis._offset - yaxis.l2p(py));
    """
    page.click(alone[0])
    page.until("document.getElementById('plot').dataset.marks === '1'")
    before = page.js("return document.querySelector('#marks circle').getAttribute('cx')")
    assert page.js(off) < 1
    page.press("button[data-tool=out]")
    page.until(f"document.querySelector('#marks circle').getAttribute('cx') !== '{before}'")
    assert page.js(off) < 1


def test_the_line_between_two_points_is_decoded(page):
    page.js("voxloomPlot.pick(3); voxloomPlot.pick(7, true)")
    page.press("#decode")
    page.until("document.querySelectorAll('#strip img').length === 9")
    page.until(LOADED, "#along-image")
    shown = page.js("return document.getElementById('along-image').src")
    page.press("#strip button:first-child")
    page.until("document.getElementById('along-image').src !== arguments[0]", shown)
    page.js("voxloomPlot.pick(9)")
    page.until("document.querySelectorAll('#strip img').length === 0")


def test_a_point_is_translated_with_progress(page):
    page.js("voxloomPlot.pick(12)")
    page.explored.translator.may_go.clear()
    page.press("#translate")
    page.says("#task-progress", "translation 1 of 8")
    page.press("#task-cancel")
    page.says("#task-progress", "Cancelled.")
    page.explored.translator.may_go.set()
    page.press("#translate")
    page.says("#translated", "deviation")
    titles = page.js(
        "return [...document.querySelectorAll('#translated figcaption')].map(each => each.innerText)"
    )
    assert titles == ["condition", "mean translation", "deviation"]


def round_points(page, rows):
    """Return a way round some points in the window, closed."""
    places = np.array([page.place(row) for row in rows])
    (left, top), (right, low) = places.min(axis=0) - 7, places.max(axis=0) + 7
    return [(left, top), (right, top), (right, low), (left, low), (left, top + 3)]


def test_a_lasso_selects_and_its_keys_are_exported(page):
    page.press("[data-tool=lasso]")
    heap = range(0, 240, 3)
    way = round_points(page, heap)
    page.mouse(way[0], "down", *way[1:], "up")
    page.says("#selection", "80 points selected")
    page.until("document.getElementById('plot').dataset.selected === '80'")
    assert page.text("#tab") == "Points\nSelection · 80"
    page.choose("colour", "site")  # is kept as it was
    page.until("document.querySelectorAll('#legend .entry').length === 4")
    page.says("#selection", "80 points selected")
    page.press("#export")
    path = page.driver.downloads / "selection-80.csv"
    page.wait(path.exists)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert [row["key"] for row in rows] == [page.explored.session.points.keys[row] for row in heap]
    assert {"group", "site", "age"} <= rows[0].keys()
    page.press("#clear")
    page.says("#selection", "Nothing is selected.")
    assert page.js("return voxloomPlot.lasso.length") == 0


def test_a_lasso_may_begin_beside_the_axes(page):
    page.press("[data-tool=lasso]")
    box = "document.querySelector('.nsewdrag').getBoundingClientRect()"
    left, top, right, low = page.js(f"const b = {box}; return [b.left, b.top, b.right, b.bottom]")
    start = (left - 25, top + 5)
    page.mouse(start, "down", (right - 3, top + 5), (right - 3, low - 3), (left - 25, low - 3), "up")
    page.says("#selection", "240 points selected")


def test_what_was_made_is_there_again_when_the_page_is_opened_again(page):
    page.js("voxloomPlot.pick(3); voxloomPlot.pick(7, true)")
    page.press("#decode")
    page.until("document.querySelectorAll('#strip img').length === 9")
    page.open()
    page.until("document.querySelectorAll('#strip img').length === 9")
    panes = "document.querySelector('.pane.details').getBoundingClientRect().bottom"
    page.until(f"document.getElementById('along').getBoundingClientRect().bottom < {panes}")
    page.js("voxloomPlot.pick(9)")
    page.until("document.querySelectorAll('#strip img').length === 0")


def test_a_box_with_shift_adds_to_the_selection(page):
    page.press("[data-tool=select]")
    for heap, count in ((range(0, 240, 3), 80), (range(1, 240, 3), 160)):
        way = round_points(page, heap)
        page.mouse(way[0])
        with page.shift():
            page.mouse(way[0], "down", way[2], "up")
        page.says("#selection", f"{count} points selected")


def test_keys_go_from_point_to_point(page):
    page.js("document.getElementById('plot').focus()")
    page.keys(Keys.ARROW_RIGHT)
    page.until("voxloomPlot.picked.length === 1")
    with page.shift():
        page.keys(Keys.ARROW_LEFT)
    page.until("voxloomPlot.picked.length === 2")
    page.until("document.querySelector('.tiles')")
    page.keys(Keys.ESCAPE)
    page.says("#details", "Click a point to see its image.")
