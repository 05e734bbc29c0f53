"""The page in a browser while its server ends, and comes back with the same data or with others."""

import threading

import numpy as np
import pytest

from voxloom.analysis.explorer import Session, SessionOptions
from voxloom.analysis.explorer.page import make_page
from voxloom.analysis.explorer.server import Serving, make_app
from voxloom.analysis.latents import Points
from voxloom.analysis.latents.projection import project


class Direct:
    """A worker of the same process."""

    def __init__(self, points):
        self._points = points

    def run(self, request, progress, wish):
        return project(self._points, request)

    def close(self):
        """There is nothing to end."""


@pytest.fixture
def serve():
    """Return a function that serves some points, after it has ended what it served before."""
    running = []

    def end():
        while running:
            session, serving, thread = running.pop()
            serving.stop()
            thread.join(10)
            serving.close()
            session.close()

    def begin(name, count, port=0):
        points = Points.of_arrays({name: np.random.default_rng(0).normal(size=(count, 6))})
        options = SessionOptions(title=name, notices=(f"no pictures of {name}",))
        session = Session(points, options=options, worker=Direct(points))
        app = make_app(session)
        make_page(session, app)
        serving = Serving(app, port)
        thread = threading.Thread(target=serving.run, daemon=True)
        thread.start()
        running.append((session, serving, thread))
        return serving

    begin.end = end
    yield begin
    end()


@pytest.fixture
def blank(page):
    """A browser that may complain: a server that is gone is an error there."""
    yield page
    page.driver.get_log("browser")
    page.driver.get_log("performance")
    page.driver.get(page.explored.url)
    page.drawn()


def test_the_page_tells_that_its_server_is_gone_and_goes_on_when_it_is_back(blank, serve):
    first = serve("ct", 20)
    blank.driver.get(first.url)
    blank.says("#status", "20 points")
    blank.until("!document.getElementById('notices').hidden")
    blank.press("#notices-close")
    blank.js("voxloomPlot.pick(15)")
    serve.end()
    blank.until("!document.getElementById('lost').hidden")
    blank.says("#lost", "start voxloom explore again")
    second = serve("ct", 20, first.port)  # the same points: all is as it was
    assert second.port == first.port
    blank.until("document.getElementById('lost') && document.getElementById('lost').hidden")
    blank.until("voxloomPlot.picked[0] === 15")
    assert blank.js("return document.getElementById('notices').hidden")
    serve.end()
    serve("mr", 7, first.port)  # others: nothing of the old ones stays
    blank.says("#status", "7 points")
    blank.says("#notices", "no pictures of mr")
    assert blank.js("return voxloomPlot.picked") == []
