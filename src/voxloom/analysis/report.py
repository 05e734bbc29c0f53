"""One page that tells what was trained, what came out, how good it is, and how to go on."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from voxloom import __version__
from voxloom.analysis.calibration_section import calibration_section
from voxloom.analysis.cases import cases_section
from voxloom.analysis.comparison_section import comparison_section
from voxloom.analysis.error_maps_section import error_maps_section
from voxloom.analysis.image_table import SORTING, image_tables
from voxloom.analysis.latent_picture import latents_of_runs, latents_section
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.metric_tables import metrics_section
from voxloom.analysis.records import RunRecord
from voxloom.analysis.results import Folders, Result, folder_names, read_results
from voxloom.analysis.sections import contents, header, next_section, run_section
from voxloom.atomic import replacing
from voxloom.errors import ConfigError, OutputExistsError

__all__ = ["write_report"]

_PARTS = {
    "results": "Results",
    "uncertainty": "Uncertainty",
    "images": "Images",
    "errors": "Where it errs",
    "latents": "Latents",
    "compared": "Runs compared",
    "runs": "Runs",
    "next": "How to go on",
}


def write_report(
    path: str | Path,
    *,
    runs: Sequence[str | Path] = (),
    predictions: Folders | None = None,
    evaluation: Folders | None = None,
    latents: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> Path:
    """Write one self-contained HTML page: no other file and no network is needed to read it.

    It shows the metrics with their confidence intervals beside those of the baselines, and of several
    models their paired differences; how well predicted deviations tell the error; the best, the median,
    the worst and a few other cases as panels in one window; where in the frame the errors lie; a picture
    of the latents; runs of one kind side by side with what differs; and for each run its configuration,
    facts, split and curves. What is missing or was cut short is said on the page and is no error.

    Parameters
    ----------
    path
        The file to write, for instance ``report.html``.
    runs
        Run folders, in the order of the work: the VAE's before the latent model's.
    predictions
        Output folder of ``voxloom predict``, or several: in order, or by the names that the page shall
        call them.
    evaluation
        Output folder of ``voxloom evaluate``, or several. One that lies beside its predictions, in
        their folder ``evaluation``, need not be named.
    latents
        Stores of latents. Without any, the one that a run has cached is shown.
    overwrite
        Replace a file that is there already.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ConfigError
        When there is nothing to report of, a run is named twice, or the file is no .html.
    MissingDataError
        When a folder that was named does not exist or is something else.
    OutputExistsError
        When the file exists and `overwrite` is False.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> run = Path(mkdtemp())
    >>> _ = (run / "metrics.jsonl").write_text('{"step": 1, "epoch": 0, "split": "train", "loss": 0.5}')
    >>> page = write_report(run / "report.html", runs=[run])
    >>> "has not validated yet" in page.read_text()
    True
    """
    path = Path(path)
    if not (runs or predictions or evaluation or latents):
        raise ConfigError(
            "a report of nothing: expected at least one run, predictions or an evaluation. Name a run."
        )
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"report {path}: expected a name that ends in .html. For a PDF, print the page.")
    if len({Path(run).resolve() for run in runs}) < len(runs):
        raise ConfigError(f"a run is named twice: {', '.join(map(str, runs))}. Name each once.")
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"report {path} exists already. Replace it with --overwrite, or name another file."
        )
    records = [RunRecord.read(run) for run in runs]
    results = read_results(predictions or (), evaluation or (), runs=records)
    page = _page(records, results, [Path(store) for store in latents])
    with replacing(path) as file:
        file.write(page.encode())
    return path


def _page(records: Sequence[RunRecord], results: Sequence[Result], latents: Sequence[Path]) -> str:
    names = folder_names([record.folder for record in records])
    runs = dict(zip(names, records, strict=True))
    title = " + ".join(dict.fromkeys(run.task for run in records)) or "Predictions"
    written = f"Written {time.strftime('%Y-%m-%d %H:%M')} by voxloom {__version__}"
    sections = joined(
        metrics_section(results),
        *image_tables(results),
        calibration_section(results),
        cases_section(results),
        error_maps_section(results),
        latents_section(latents or latents_of_runs(runs)),
        comparison_section(runs),
        element("h2", "Runs", id="runs") if runs else None,
        *(run_section(name, run) for name, run in runs.items()),
        next_section(records, results),
    )
    parts = [(anchor, text) for anchor, text in _PARTS.items() if f'<h2 id="{anchor}">' in sections]
    body = joined(header(title, written, records, results), contents(parts), sections)
    template = files("voxloom.analysis").joinpath("report_template.html").read_text(encoding="utf-8")
    script = Markup(SORTING.strip())
    return Template(template).substitute(
        title=Markup(joined(f"{title} · voxloom")), body=body, script=script, policy=_policy(script)
    )


def _policy(script: str) -> str:
    """Return what the browser shall refuse: all that is not in the page, and all other scripts."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
