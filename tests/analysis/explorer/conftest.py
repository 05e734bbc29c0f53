"""A session of 240 points with images, its page on a port, and a browser that looks at it."""

import contextlib
import dataclasses
import json
import os
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from voxloom.analysis.explorer import Images, Session, SessionOptions
from voxloom.analysis.explorer.page import make_page
from voxloom.analysis.explorer.server import Serving, make_app
from voxloom.analysis.explorer.worker import Failed, Stopped
from voxloom.analysis.latents import Points
from voxloom.analysis.latents.projection import PROJECTIONS, project
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import ImageFolder

COUNT = 240
MISSING = 5  # the point whose image is gone
SITES = ("Aix", "Bonn", "Cork", "Delft")


class Phantoms(Source):
    """Latents in three heaps, with a class, and a number that some points lack."""

    schema = Schema(
        [
            Field(name="image_mu", kind="latent", axes="cyx", shape=(4, 4, 4)),
            Field(name="site", kind="class", axes="", dtype="int64", shape=(), categories=SITES),
            Field(name="age", kind="attribute", axes="", dtype="float32", shape=()),
        ]
    )
    keys = tuple(f"patient{i // 4:02d}_slice{i % 4}" for i in range(COUNT))

    def read(self, index):
        middle = np.random.default_rng(1000 + index % 3).normal(size=(4, 4, 4)) * 3
        latent = middle + np.random.default_rng(index).normal(size=(4, 4, 4))
        age = np.nan if index % 40 == 7 else 20 + index % 60
        arrays = {
            "image_mu": latent.astype("float32"),
            "site": np.array(index % 4),
            "age": np.array(age, dtype="float32"),
        }
        return Sample(self.keys[index], self.schema, arrays)


class Blocks:
    """A decoder: each latent's mean over channels, as blocks."""

    def decode(self, mu):
        return np.kron(mu.mean(axis=1), np.ones((1, 16, 16), dtype="float32"))


class Halved:
    """A translator that makes images half as bright, and can be held."""

    def __init__(self):
        self.may_go = threading.Event()
        self.may_go.set()

    def __call__(self, image, key, samples=1, *, seed=42, progress=None):
        for done in range(1, samples + 1):
            progress(done, samples)
            while not self.may_go.wait(0.02):
                progress(done, samples)  # ends this where it is cancelled
        return image[0] / 2, np.abs(image[0] - image[0].mean())


def disc(index):
    """An image whose values lie far from 0 to 1: in a wrong window it is black or white."""
    y, x = np.mgrid[:64, :64]
    noise = np.random.default_rng(index).normal(size=(64, 64))
    return (900 + 400 * (np.hypot(x - 32, y - 32) < 8 + index % 20) + 20 * noise).astype("float32")


class Held:
    """A worker that places points at once, may be held in the middle, and may be told to fail."""

    def __init__(self, points):
        self._points, self.may_go, self.failure = points, threading.Event(), ""
        self.may_go.set()

    def run(self, request, progress, wish):
        progress(0.5, "placing points")
        while not self.may_go.wait(0.02):
            if wish() != "go":
                raise Stopped
        if self.failure:
            raise Failed(self.failure)
        placed = project(self._points, PROJECTIONS["pca"](dims=request.dims))
        turned = placed.coordinates * np.float32(getattr(request, "perplexity", 1))
        return dataclasses.replace(placed, method=request, coordinates=turned)

    def close(self):
        self.may_go.set()


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """A page on a port, its session, and what is behind it."""
    folder = tmp_path_factory.mktemp("explored")
    for index, key in enumerate(Phantoms.keys):
        tifffile.imwrite(folder / f"{key}.tif", disc(index))
    points = Points.of_stores({"phantoms": Phantoms()})
    images = Images(points, {"phantoms": ImageFolder(folder, prefix="")})
    (folder / f"{Phantoms.keys[MISSING]}.tif").unlink()
    worker, translator = Held(points), Halved()
    options = SessionOptions(title="phantoms", labels={"patient": "key:^patient[0-9]+"})
    session = Session(
        points, images=images, decoder=Blocks(), translator=translator, options=options, worker=worker
    )
    app = make_app(session)
    make_page(session, app)
    serving = Serving(app)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    yield SimpleNamespace(url=serving.url, session=session, worker=worker, translator=translator)
    serving.stop()
    thread.join(10)
    serving.close()
    session.close()


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Chromium without a window; skips where it is not installed, and fails where CI is set."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        told = "needs chromium and chromedriver on the PATH"
        pytest.fail(told) if "CI" in os.environ else pytest.skip(told)
    found = started(browser, chromedriver, tmp_path_factory.mktemp("downloads"))
    yield found
    found.quit()


def started(browser, chromedriver, downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768",
        "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking",
    ):  # fmt: skip
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    found.downloads = downloads
    return found


@pytest.fixture
def page(explored, driver):
    """A page just opened in a browser that remembers nothing; at the end it must have been quiet."""
    explored.worker.may_go.set()
    explored.translator.may_go.set()
    explored.worker.failure = ""
    found = Page(driver, explored)
    found.forget()
    found.open()
    yield found
    found.check_quiet()


class Page:
    """What a person does with the page: looks, points, clicks, draws, types."""

    def __init__(self, driver, explored):
        self.driver, self.explored, self.asked = driver, explored, []

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, expression, *arguments, seconds=60):
        """Wait until a JavaScript expression is true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := self.js(f"return {expression}", *arguments):
                    return found
            except (JavascriptException, StaleElementReferenceException):
                pass  # not there yet
            time.sleep(0.02)
        raise AssertionError(f"waited {seconds} s for {expression}")

    def wait(self, is_true, seconds=60):
        """Wait for something that Python sees."""
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, f"waited {seconds} s"
            time.sleep(0.02)

    def forget(self):
        if not self.driver.current_url.startswith(self.explored.url):
            self.driver.get(self.explored.url + "keys.json")
        self.js("sessionStorage.clear(); localStorage.clear()")

    def open(self):
        self.driver.get(self.explored.url)
        self.drawn()

    def drawn(self):
        """Wait until nothing more is asked for and the points are drawn; return how often they were."""
        return self.until("Number(document.getElementById('plot').dataset.drawn) || 0")

    def redrawn(self, before):
        self.until(f"Number(document.getElementById('plot').dataset.drawn) > {before}")

    def find(self, css):
        return self.driver.find_element("css selector", css)

    def text(self, css):
        return self.js("return document.querySelector(arguments[0]).innerText", css)

    def says(self, css, words):
        self.until("document.querySelector(arguments[0]).innerText.includes(arguments[1])", css, words)

    def press(self, css):
        self.until("document.querySelector(arguments[0]).checkVisibility()", css)
        self.find(css).click()

    def method(self, place, name="method"):
        self.js(f"document.querySelectorAll('#{name} label')[arguments[0]].click()", place)

    def choose(self, id, label):
        """Choose in a list what begins with a label."""
        self.press(f"#{id}")
        options = "[...document.querySelectorAll('.dash-dropdown-option')]"
        self.until(f"{options}.some(o => o.innerText.trim().startsWith(arguments[0]))", label)
        self.js(f"{options}.find(o => o.innerText.trim().startsWith(arguments[0])).click()", label)
        if self.js("return document.querySelector('.dash-dropdown-content') !== null"):
            self.mouse((600, 8), "click")  # a list of several stays open
            self.until("document.querySelector('.dash-dropdown-content') === null")

    # The mouse

    def place(self, row):
        """Return where a point is in the window, in pixels."""
        return self.js(
            """const gd = document.getElementById('plot'), [x, y] = voxloomPlot.at(arguments[0]);
            const box = gd.querySelector('.nsewdrag').getBoundingClientRect(), full = gd._fullLayout;
            return [Math.round(box.left + full.xaxis.l2p(x)), Math.round(box.top + full.yaxis.l2p(y))]""",
            row,
        )

    def alone(self):
        """Return rows whose points lie clear of all others, so that the mouse meets no other."""
        places = np.array([self.place(row) for row in range(COUNT)])
        far = np.linalg.norm(places[:, None] - places, axis=-1) + 1e6 * np.eye(COUNT)
        return np.argsort(-far.min(axis=1), kind="stable").tolist()

    def mouse(self, *steps):
        """Move to places; "down", "up" and "click" are done there."""
        chain = ActionChains(self.driver, duration=0)
        pointer = chain.w3c_actions.pointer_action
        for step in steps:
            if isinstance(step, str):
                {"down": pointer.pointer_down, "up": pointer.pointer_up, "click": pointer.click}[step]()
            else:
                pointer.move_to_location(*map(int, step))
            chain.w3c_actions.key_action.pause()
        chain.perform()

    def hover(self, row):
        x, y = self.place(row)
        self.mouse((x - 40, y - 40), (x - 1, y), (x, y))
        tip = "document.getElementById('tip')"
        self.until(f"!{tip}.hidden && {tip}.dataset.row === arguments[0]", str(row))

    def click(self, row, *, shift=False):
        self.hover(row)
        if shift:
            ActionChains(self.driver, duration=0).key_down(Keys.SHIFT).click().key_up(Keys.SHIFT).perform()
        else:
            self.mouse(self.place(row), "click")
        self.until("(voxloomPlot.picked || []).includes(arguments[0])", row)

    def keys(self, *keys):
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    @contextlib.contextmanager
    def shift(self):
        """Hold the shift key."""
        ActionChains(self.driver, duration=0).key_down(Keys.SHIFT).perform()
        yield
        ActionChains(self.driver, duration=0).key_up(Keys.SHIFT).perform()

    # What it asked for, and complained about

    def requests(self):
        """Return the addresses asked for since this was last called."""
        told = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [
            each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"
        ]
        self.asked += sent
        return [url for url in sent if not url.endswith("/version")]  # asked all the time

    def check_quiet(self):
        wrong = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert not wrong
        self.requests()
        local = (self.explored.url, "data:", "blob:", "about:")
        assert not [url for url in self.asked if not url.startswith(local)]
        assert self.js("return document.getElementById('problem').hidden")
