"""The explorer with 100,000 latents in a real browser: memory, and how long a click takes.

Run with ``.venv/bin/python benchmarks/explorer.py``. Chromium and chromedriver are needed, and 3 GB of
disk. Beside it in the same run: a page as people write it in an afternoon (``explorer_plain.py``), and as
the limit the picture alone, fetched from our server with nothing else to do. A click counts from the
release of the button until the picture of the point is drawn. Promised: 2 GB
and 200 ms for most clicks on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psutil
from explorer_data import make
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 20  # seconds that a click may take
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768")
SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# Points that are shown: all traces of the plot that have some.
SHOWN = """
const plot = document.querySelector('.js-plotly-plot');
return plot && plot._fullData ? plot._fullData.reduce((n, t) => n + (t._length || 0), 0) : 0;
"""
PLACE = """
const plot = document.querySelector('.js-plotly-plot'), share = arguments[0];
const traces = plot._fullData.filter((trace) => trace._length);
const trace = traces[Math.floor(share * 997) % traces.length];
const i = Math.floor(share * trace._length), {xaxis, yaxis} = plot._fullLayout;
const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
return [box.left + xaxis.l2p(trace.x[i]), box.top + yaxis.l2p(trace.y[i])];
"""
WATCH = """
const where = arguments[0];
window.measured = null;
let clicked = null;
document.addEventListener('mouseup', () => { clicked = performance.now(); }, {capture: true, once: true});
const loaded = (event) => {
  if (clicked === null || !event.target.closest || !event.target.closest(where)) return;
  document.removeEventListener('load', loaded, true);
  const drawn = () => { window.measured = performance.now() - clicked; };
  requestAnimationFrame(() => requestAnimationFrame(drawn));
};
document.addEventListener('load', loaded, true);
"""


@dataclass
class Measured:
    """Of one page: seconds to the points, seconds of clicks, and GB of memory."""

    opening: float
    clicks: list[float]
    own: float
    resident: float


@contextmanager
def serving(command: list[str]):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def memory_of(process: subprocess.Popen) -> tuple[float, float]:
    """Return GB of a process and its children: their own, and with the mapped files that are in memory."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    facts = [each.memory_full_info() for each in family]
    return sum(f.uss for f in facts) / 1e9, sum(f.rss for f in facts) / 1e9


def clicked(driver, where: str, share: float) -> float:
    """Click a point, and return the seconds until its picture is drawn; NaN where none came."""
    x, y = driver.execute_script(PLACE, share)
    driver.execute_script(WATCH, where)
    for kind, button in (("mouseMoved", "none"), ("mousePressed", "left"), ("mouseReleased", "left")):
        event = {"type": kind, "x": x, "y": y, "button": button, "clickCount": int(button == "left")}
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
        time.sleep(0.3 if kind == "mouseMoved" else 0.02)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = driver.execute_script("return window.measured")
        if found is not None:
            return found / 1000
        time.sleep(0.02)
    return float("nan")


def measure(driver, process, address: str, where: str, count: int, clicks: int) -> Measured:
    begin = time.perf_counter()
    driver.get(address)
    WebDriverWait(driver, 300, 0.05).until(lambda d: d.execute_script(SHOWN) >= count)
    opening = time.perf_counter() - begin
    time.sleep(2)
    shares = random.Random(0)
    times = [clicked(driver, where, shares.random()) for _ in range(clicks)]
    return Measured(opening, times, *memory_of(process))


def limit(address: str, rows: list[int]) -> list[float]:
    """Return the seconds of fetching pictures that nobody has asked for yet."""
    times = []
    for row in rows:
        begin = time.perf_counter()
        with urlopen(f"{address}/image/{row}", timeout=10) as answer:
            answer.read()
        times.append(time.perf_counter() - begin)
    return times


def wait_for(address: str) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{address} does not answer")


def row_of(name: str, found: Measured, base: float) -> str:
    times = [seconds for seconds in found.clicks if seconds == seconds]
    missed = len(found.clicks) - len(times)
    if not times:
        return f"{name:10} {found.opening:9.1f}  no click was answered within {PATIENCE} s"
    median, slow = statistics.median(times), sorted(times)[int(0.95 * (len(times) - 1))]
    told = f"  ({missed} clicks met no point)" if missed else ""
    return (
        f"{name:10} {found.opening:9.1f} {1000 * median:11.0f} {1000 * slow:9.0f} {median / base:9.1f} "
        f"{found.own:9.2f} {found.resident:12.2f}{told}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="latents")
    parser.add_argument("--latent", type=int, nargs=3, default=(4, 32, 32), metavar=("C", "H", "W"))
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--only", choices=("voxloom", "plain"), help="leave the other out")
    parser.add_argument("--folder", type=Path, help="keep the data there, or take what lies there")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    if not (folder / "images" / "manifest.json").exists():
        make(folder, given.count, tuple(given.latent), 64)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS + SOFTWARE:
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        ours, plain, bare = both(driver, folder, given.count, given.clicks)
    base = statistics.median(bare)
    print(f"{given.count} latents of {' x '.join(map(str, given.latent))} float32, {os.cpu_count()} cores")
    print("           opening s  click ms median  95 %  / picture  own GB  resident GB")
    print(row_of("voxloom", ours, base))
    print(row_of("plain Dash", plain, base))
    print(f"the picture alone: {1000 * base:.1f} ms")
    if given.folder is None:
        shutil.rmtree(folder)


def both(driver, folder: Path, count: int, clicks: int) -> tuple[Measured, Measured, list[float]]:
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as cache:
        os.environ["VOXLOOM_CACHE"] = cache  # nothing is known from an earlier run
        command = [sys.executable, "-m", "voxloom", "explore", str(folder / "latents")]
        with serving([*command, "--images", str(folder / "images"), "--port", "8053"]) as process:
            address = "http://127.0.0.1:8053"
            wait_for(address)
            ours = measure(driver, process, f"{address}/", "#details", count, clicks)
            bare = limit(address, random.Random(1).sample(range(count), clicks))
    with serving([sys.executable, str(here / "explorer_plain.py"), str(folder), "8054"]) as process:
        wait_for("http://127.0.0.1:8054")
        plain = measure(driver, process, "http://127.0.0.1:8054/", "#image", count, clicks)
    return ours, plain, bare


if __name__ == "__main__":
    main()
