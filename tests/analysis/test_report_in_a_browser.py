"""The page in real Chromium: nothing is fetched, nothing is refused, and tables sort."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voxloom.analysis import write_report

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768")
WANTED = ("chromium", "chromedriver")


@pytest.fixture
def browser() -> Iterator[Any]:
    missing = [name for name in WANTED if shutil.which(name) is None]
    if missing:
        told = f"not installed: {', '.join(missing)}"
        pytest.fail(told) if "CI" in os.environ else pytest.skip(told)
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def requested(browser: Any) -> list[str]:
    events = [entry["message"] for entry in browser.get_log("performance")]
    return [event for event in events if "Network.requestWillBeSent" in event and '"url":"data:' not in event]


def test_it_opens_alone_and_sorts(
    tmp_path: Path, run: Path, predictions: Path, evaluation: Path, browser: Any
) -> None:
    path = write_report(tmp_path / "report.html", runs=[run], predictions=predictions, evaluation=evaluation)
    requested(browser)  # what the start of the browser asked for
    browser.get(path.resolve().as_uri())
    assert len(requested(browser)) == 1  # the page itself
    assert browser.get_log("browser") == []
    script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    wide, window = browser.execute_script(script)
    assert wide <= window
    assert browser.execute_script("return [...document.images].every(i => i.naturalWidth > 0)")
    browser.execute_script("document.querySelector('details.rows').open = true")
    script = (
        "return [...document.querySelectorAll('table.sortable tbody td:first-child')].map(c => c.textContent)"
    )
    names = browser.execute_script(script)
    heads = browser.find_elements("css selector", "table.sortable thead button")
    by_noise = ["a", "b", "c", "d", next(name for name in names if "onerror" in name)]
    heads[1].click()
    assert browser.execute_script(script) == by_noise[::-1]  # the lowest PSNR first
    heads[1].click()
    assert browser.execute_script(script) == by_noise
    heads[0].click()
    assert browser.execute_script(script) == sorted(by_noise)
    assert browser.get_log("browser") == []
