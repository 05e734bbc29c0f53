"""The page in a browser: projections, colours and filters."""

from selenium.webdriver.common.keys import Keys

KEY = "document.getElementById('plot').dataset.key"


def test_all_of_it_is_there_and_fits_the_window(page):
    assert page.driver.title == "phantoms · voxloom"
    page.says("#status", "PCA · fitted on phantoms · 240 points")
    assert page.text("header .facts") == "240 points · 64 dimensions"
    assert page.text("#legend").split() == ["phantoms", "240"]
    assert page.js("return document.getElementById('empty').hidden")
    for width in (1366, 900):
        page.driver.set_window_size(width, 768)
        page.until("innerWidth <= arguments[0]", width)
        root = "document.scrollingElement"
        assert page.js(f"return {root}.scrollHeight <= innerHeight && {root}.scrollWidth <= innerWidth")
        assert page.js("return document.getElementById('plot').clientWidth") > 350
    page.driver.set_window_size(1366, 768)


def test_a_parameter_is_slid_with_progress_while_the_old_picture_stays(page):
    old = page.js(f"return {KEY}")
    page.explored.worker.may_go.clear()
    page.method(2)
    page.says("#job-progress", "placing points · 50 %")
    assert page.js(f"return {KEY}") == old
    page.explored.worker.may_go.set()
    page.says("#status", "t-SNE · perplexity 30")
    assert page.js(f"return {KEY}") != old
    before = page.drawn()
    page.js("document.querySelectorAll('[role=slider]')[2].focus()")
    page.keys(Keys.ARROW_LEFT)
    page.says("#status", "t-SNE · perplexity 29")
    page.redrawn(before)
    assert page.js("return document.getElementById('job-progress').hidden")


def test_a_computation_is_cancelled_and_asked_for_again(page):
    old = page.js(f"return {KEY}")
    page.explored.worker.may_go.clear()
    page.method(1)
    page.says("#job-progress", "50 %")
    page.press("#cancel")
    page.says("#job-progress", "Cancelled. The picture is the one from before.")
    assert page.js(f"return {KEY}") == old
    page.explored.worker.may_go.set()
    page.press("#again")
    page.says("#status", "UMAP · neighbours 15 · minimum distance 0.1")


def test_a_computation_that_fails_says_why(page):
    page.explored.worker.failure = "not enough memory: explore fewer points."
    page.js("document.querySelectorAll('#dims label')[1].click()")
    page.says("#job-progress", "not enough memory: explore fewer points.")
    page.explored.worker.failure = ""
    page.press("#again")
    page.until("document.querySelector('.gl-container canvas, .scene')")
    page.until("document.querySelector('[data-tool=lasso]').disabled")
    page.until("document.querySelector('[data-tool=lasso]').title.includes('in 2D')")


def test_colours_by_class_with_a_legend_that_hides(page):
    page.choose("colour", "site")
    page.until("document.querySelectorAll('#legend .entry').length === 4")
    assert page.text("#legend").split() == ["Aix", "60", "Bonn", "60", "Cork", "60", "Delft", "60"]
    page.press("#legend .entry:nth-child(2)")
    page.until(
        "document.getElementById('plot')._fullData.filter(trace => trace.visible === true).length === 3"
    )
    assert page.find("#legend .entry:nth-child(2)").get_attribute("aria-pressed") == "false"


def test_colours_by_number_and_the_view_stays(page):
    page.press("[data-tool=in]")
    view = "JSON.stringify(document.getElementById('plot')._fullLayout.xaxis.range)"
    zoomed = page.js(f"return {view}")
    page.choose("colour", "age")
    page.until("document.querySelector('#legend .ramp')")
    assert page.text("#legend").split() == ["no", "value", "6", "20", "79"]
    assert page.js(f"return {view}") == zoomed
    page.press("[data-tool=reset]")
    page.until(f"{view} !== arguments[0]", zoomed)


def test_filters_of_two_fields_and_takes_one_away(page):
    page.choose("filter-field", "site")
    page.choose("filter-names", "Bonn")
    page.says("#status", "60 of 240 points pass the filter")
    page.choose("filter-field", "age")
    page.says("#filter-told", "20 to 79")
    box = page.find("#filter-range-box [role=slider]").rect
    page.mouse((box["x"] + 70, box["y"] + box["height"] / 2), "click")
    page.until("document.querySelectorAll('.chip').length === 2")
    page.js("document.querySelector('.chip').click()")
    page.until("document.querySelectorAll('.chip').length === 1")
    page.js("document.querySelector('.chip').click()")
    page.says("#status", "· 240 points")


def test_a_filter_that_leaves_nothing_of_a_colour_or_nothing_at_all(page):
    page.choose("colour", "site")
    page.choose("filter-field", "site")
    page.choose("filter-names", "Bonn")
    page.says("#legend", "Aix")
    page.until("document.getElementById('legend').innerText.match(/\\d+/g).join() === '0,60,0,0'")
    page.js("dash_clientside.set_props('filters', {data: {age: [1, 2]}})")
    page.says("#empty", "No point passes the filter.")


def test_follows_light_and_dark(page):
    colour = "document.getElementById('plot')._fullLayout.font.color"
    light = page.js(f"return {colour}")
    try:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        page.until(f"{colour} !== arguments[0]", light)
        assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(16, 16, 18)"
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
