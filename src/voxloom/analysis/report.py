"""One page that tells what was trained, what came out, how good it is, and how to go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from voxloom import __version__
from voxloom.analysis.cases import cases_section
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import EvaluationRecord, PredictionRecord, RunRecord
from voxloom.analysis.sections import header, next_section, results_section, run_section
from voxloom.atomic import replacing
from voxloom.errors import ConfigError, OutputExistsError

__all__ = ["write_report"]


def write_report(
    path: str | Path,
    *,
    runs: Sequence[str | Path] = (),
    predictions: str | Path | None = None,
    evaluation: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one self-contained HTML page: no other file and no network is needed to read it.

    It shows the metrics with their confidence intervals beside those of the baselines, the best, the
    median, the worst and a few other cases as panels, and for each run its configuration, facts and
    curves. What is missing or was cut short is said on the page and is no error.

    Parameters
    ----------
    path
        The file to write, for instance ``report.html``.
    runs
        Run folders, in the order of the work: the VAE's before the latent model's.
    predictions
        Output folder of ``voxloom predict``.
    evaluation
        Output folder of ``voxloom evaluate``.
    overwrite
        Replace a file that is there already.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ConfigError
        When there is nothing to report of.
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
    if not (runs or predictions or evaluation):
        raise ConfigError(
            "a report of nothing: expected at least one run, predictions or an evaluation. Name a run."
        )
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"report {path} exists already. Replace it with --overwrite, or name another file."
        )
    page = _page(
        [RunRecord.read(run) for run in runs],
        PredictionRecord.read(predictions) if predictions else None,
        EvaluationRecord.read(evaluation) if evaluation else None,
    )
    with replacing(path) as file:
        file.write(page.encode())
    return path


def _page(
    runs: list[RunRecord], predictions: PredictionRecord | None, evaluation: EvaluationRecord | None
) -> str:
    title = " + ".join(dict.fromkeys(run.task for run in runs)) or "Predictions"
    written = f"Written {time.strftime('%Y-%m-%d %H:%M')} by voxloom {__version__}"
    body = joined(
        header(title, written, runs, evaluation),
        results_section(evaluation),
        cases_section(predictions, evaluation),
        element("h2", "Runs") if runs else None,
        *(run_section(run) for run in runs),
        next_section(runs, predictions),
    )
    template = files("voxloom.analysis").joinpath("report_template.html").read_text(encoding="utf-8")
    return Template(template).substitute(title=Markup(joined(f"{title} · voxloom")), body=body)
