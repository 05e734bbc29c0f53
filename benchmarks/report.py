"""How large a report of many images is, how long it takes to write, and how soon a browser shows it.

Run with ``.venv/bin/python benchmarks/report.py``. Makes synthetic predictions of two models with their
targets, conditions and deviations, measures them with `voxloom.analysis.evaluate`, writes the page, and
opens it in headless Chromium, a fresh process each time. The promise: 1,000 images are shown within a second.
The time is that of the page's load event by the browser's own clock, from the start of the navigation;
the start of the browser is not in it, but that of its process for the page is, so an empty page is measured
too. The best of several counts, which is least disturbed by other work of the machine. Without Chromium and
selenium only the other numbers are printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.analysis import evaluate, write_report
from voxloom.sources.write import write_image

PROMISE = 1.0  # seconds, at 1,000 images
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--window-size=1366,768",
)  # fmt: skip
TIMING = (
    "const n = performance.getEntriesByType('navigation')[0], p = performance.getEntriesByType('paint');"
    "return {load: n.loadEventEnd, shown: (p.find(e => e.name === 'first-contentful-paint') || {}).startTime}"
)


def write_predictions(folder: Path, count: int, size: int, error: float) -> None:
    """Write a model's predictions of discs, wrong by some noise, with what it says of its error."""
    y, x = np.mgrid[:size, :size]
    for number in range(count):
        rng = np.random.default_rng(number)
        middle = rng.uniform(0.3 * size, 0.7 * size, 2)
        target = 1000.0 * (np.hypot(y - middle[0], x - middle[1]) < 0.2 * size)
        deviation = error * rng.uniform(5, 50) * (1 + np.sin(x / 20))
        images = {
            "condition": 1000 - target,
            "target": target,
            "prediction": target + deviation * rng.normal(size=target.shape),
            "deviation": deviation,
        }
        for role, image in images.items():
            write_image(
                folder / role / f"patient{number // 10:03d}_slice{number % 10}.tif", image.astype(np.float32)
            )
    (folder / "predict.json").write_text(json.dumps({"task": "ldm", "seed": 0}))


def write_run(folder: Path, seed: int, steps: int) -> None:
    """Write what a training of many steps leaves behind."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    terms = ("loss", "reconstruction", "kl", "adversarial", "lr")
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(10, steps + 1, 10):
            values = {term: float(1 / step + 0.01 * rng.random()) for term in terms}
            file.write(
                json.dumps({"step": step, "epoch": 0, "split": "train", "time": step, **values}) + "\n"
            )
            if step % 500 == 0:
                row = {"step": step, "split": "validation", "loss": values["loss"], "psnr": 20 + step / steps}
                file.write(json.dumps(row) + "\n")
    facts = {"task": "ldm", "status": "finished", "seconds": steps, "total_steps": steps}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "config.json").write_text(
        json.dumps({"seed": seed, "diffusion_train": {"lr": 1e-3 / (1 + seed)}})
    )


def timing(chromium: Any) -> dict[str, float]:
    """Return the page's times once it is loaded and drawn."""
    for _ in range(100):
        times = chromium.execute_script(TIMING)
        if times["load"] and times["shown"]:
            break
        time.sleep(0.1)
    return times


def loads(page: Path, repeats: int) -> list[dict[str, float]]:
    """Return the times of a fresh browser each, in milliseconds; none where there is no browser."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return []
    if not browser or not driver:
        return []
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    found = []
    for _ in range(repeats):
        chromium = webdriver.Chrome(options=options, service=Service(driver))
        try:
            chromium.get(page.resolve().as_uri())
            found.append(timing(chromium))
        finally:
            chromium.quit()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--steps", type=int, default=100_000, help="of each of two trainings")
    parser.add_argument("--repeats", type=int, default=5, help="times that the page is opened")
    parser.add_argument("--keep", type=Path, help="where the page shall stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [folder / "one", folder / "two"]
        for number, model in enumerate(models):
            write_predictions(model, given.images, given.size, error=1 + number)
            write_run(folder / "runs" / f"run{number}", number, given.steps)
            evaluate(model / "prediction", model / "target", data_range=1000).save(model / "evaluation")
        begin = time.perf_counter()
        page = write_report(
            folder / "report.html", runs=sorted((folder / "runs").iterdir()), predictions=models
        )
        written = time.perf_counter() - begin
        empty = folder / "empty.html"
        empty.write_text("<!DOCTYPE html><html lang=en><title>empty</title><p>Nothing.</p></html>")
        times = {"report": loads(page, given.repeats), "empty page": loads(empty, given.repeats)}
        print(f"{given.images:,} images of {given.size} x {given.size} from each of two models")
        print(f"written in {written:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
        if given.keep:
            shutil.copyfile(page, given.keep)
    if not times["report"]:
        sys.exit("not opened: Chromium, chromedriver or selenium is not installed")
    print(f"opened {given.repeats} times, seconds      best  median")
    for name, each in times.items():
        for key, text in (("shown", "first content"), ("load", "loaded")):
            seconds = [one[key] / 1000 for one in each]
            print(f"{name:12} {text:14} {min(seconds):10.2f} {statistics.median(seconds):7.2f}")
    best = min(one["load"] / 1000 for one in times["report"])
    if given.images <= 1000 and best > PROMISE:
        sys.exit(f"slower than promised: {PROMISE:g} s")


if __name__ == "__main__":
    main()
