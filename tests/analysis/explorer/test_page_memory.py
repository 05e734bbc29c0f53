"""The page in a browser: what it remembers, and what two of them do not share."""

import json

STATE = (
    "({picked: voxloomPlot.picked, lasso: voxloomPlot.lasso,"
    " legend: document.getElementById('legend').innerText,"
    " status: document.getElementById('status').innerText})"
)


def kept(page):
    """Return what the browser keeps, by name."""
    return page.js("return Object.fromEntries(Object.entries(localStorage))")


def arrange(page):
    """Change all that is remembered."""
    page.method(2)
    page.says("#status", "t-SNE · perplexity 30")
    page.choose("colour", "age")
    page.until("document.querySelector('#legend .ramp')")
    page.choose("filter-field", "site")
    page.choose("filter-names", "Cork")
    page.says("#status", "60 of 240 points pass the filter")
    page.js("voxloomPlot.pick(2); voxloomPlot.pick(6, true)")
    page.js("dash_clientside.set_props('lasso', {data: [10, 14, 18]})")
    page.until("Object.values(sessionStorage).some(text => text.includes('[10,14,18]'))")


def test_a_page_that_is_opened_again_is_as_it_was(page):
    arrange(page)
    page.until("document.querySelector('.tiles')")
    before = page.js(f"return JSON.stringify({STATE})")
    page.open()
    page.says("#status", "t-SNE")
    page.until("document.querySelector('.tiles')")
    page.until(f"JSON.stringify({STATE}) === arguments[0]", before)
    page.says("#chips", "site: Cork")
    page.says("#selection-tab", "3 points selected")


def test_a_second_page_begins_there_and_goes_its_own_way(page):
    arrange(page)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open()
        page.says("#status", "t-SNE · perplexity 30")
        page.method(0)
        page.says("#status", "PCA")
        page.js("voxloomPlot.pick(30)")
        page.until("document.getElementById('details').innerText.includes('patient07_slice2')")
        page.driver.switch_to.window(first)
        page.says("#status", "t-SNE · perplexity 30")
        assert page.js("return voxloomPlot.picked") == [2, 6]
        page.open()
        page.says("#status", "t-SNE · perplexity 30")
        assert page.js("return voxloomPlot.picked") == [2, 6]
    finally:
        for handle in set(page.driver.window_handles) - {first}:
            page.driver.switch_to.window(handle)
            page.driver.close()
        page.driver.switch_to.window(first)


def test_the_part_of_the_plot_and_hidden_names_are_kept(page):
    page.choose("colour", "site")
    page.press("#legend .entry:nth-child(2)")
    page.press("[data-tool=lasso]")
    page.press("[data-tool=in]")
    view = "JSON.stringify([document.getElementById('plot')._fullLayout.xaxis.range, voxloomPlot.tool])"
    page.until("Object.keys(sessionStorage).some(name => name.includes('-view-'))")
    zoomed = page.js(f"return {view}")
    page.open()
    page.until(f"{view} === arguments[0]", zoomed)
    pressed = "[...document.querySelectorAll('#legend .entry')].map(e => e.ariaPressed).join()"
    page.until(f"{pressed} === 'true,false,true,true'")
    page.press("[data-tool=reset]")
    page.until(f"{view} !== arguments[0]", zoomed)


def test_a_view_that_is_nonsense_is_passed_over(page):
    page.press("[data-tool=in]")
    name = page.until("Object.keys(sessionStorage).find(name => name.includes('-view-'))")
    key = page.js("return document.getElementById('plot').dataset.key")
    ranges = [["a", None], [1]]
    for view in ({"key": key, "ranges": ranges}, {"key": key, "hidden": [1, ["x"]], "tool": "x"}, [1], 7):
        page.js("sessionStorage.setItem(arguments[0], arguments[1])", name, json.dumps(view))
        page.open()
        page.says("#status", "PCA · fitted on phantoms · 240 points")


def test_nonsense_that_is_kept_is_passed_over(page):
    (name,) = (each for each in kept(page) if "-view-" not in each)
    assert page.explored.session.points.digest in name
    nonsense = {
        "method": "magic", "dims": 7, "parameters": {"tsne": {"perplexity": -3}}, "colour": "shoe size",
        "filters": {"site": [1], "age": "x", "gone": ["a"]}, "picked": [1, -1, 10**9, "2"], "lasso": {"a": 1},
    }  # fmt: skip
    for text in (json.dumps(nonsense), "not json", '"text"', "[1]"):
        page.js("sessionStorage.setItem(arguments[0], arguments[1])", name, text)
        page.js("localStorage.setItem(arguments[0], arguments[1])", name, text)
        page.open()
        page.says("#status", "PCA · fitted on phantoms · 240 points")
    page.forget()
    page.js("localStorage.setItem('voxloom-explorer-1-0', arguments[0])", '{"method": "umap"}')
    page.open()
    page.says("#status", "PCA")
