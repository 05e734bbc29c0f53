"""What holds for all tests, doctests in src/ included: a quiet machine and repeatable examples."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# Tests run in several processes: one thread each is the fastest, and sums come out the same.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
if "VOXLOOM_CACHE" not in os.environ:  # what is kept to be quick stays out of the user's folder
    _cache = tempfile.TemporaryDirectory(prefix="voxloom-cache-")
    atexit.register(_cache.cleanup)
    os.environ["VOXLOOM_CACHE"] = _cache.name

# No deadline: a busy machine is no failure. No database: nothing is written beside the sources.
settings.register_profile("voxloom", deadline=None, database=None, max_examples=60)
settings.register_profile("ci", parent=settings.get_profile("voxloom"), derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "voxloom")

# Drawn by the processor: a machine that runs tests has no graphics card.
BROWSER = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1366,768"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium with a laptop's window; what it logs and asks for is kept, downloads go to `folder`.

    Where there is none the test is skipped; in CI that is an error.
    """
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        assert "CI" not in os.environ, "CI installs chromium and chromedriver, and they are not there"
        pytest.skip("needs chromium and chromedriver (Debian: chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in BROWSER:
        options.add_argument(argument)
    folder = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.set_script_timeout(30)
    driver.folder = folder
    yield driver
    driver.quit()
