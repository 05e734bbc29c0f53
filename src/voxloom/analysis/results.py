"""What came out of each model: its predictions with the evaluation that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voxloom.analysis.records import EvaluationRecord, PredictionRecord, RunRecord

__all__ = ["Folders", "Result", "folder_names", "read_results"]

Folders = str | Path | Sequence[str | Path | tuple[str, str | Path]] | Mapping[str, str | Path]
"""One folder, several, pairs of a name and a folder, or folders by their names."""


@dataclass(frozen=True)
class Result:
    """Predictions and their evaluation; one of the two may be missing.

    Attributes
    ----------
    name
        What a reader calls it: the run that made it, or its folder.
    predictions, evaluation
        What lies on disk.
    """

    name: str
    predictions: PredictionRecord | None = None
    evaluation: EvaluationRecord | None = None

    @property
    def values(self) -> Mapping[str, Mapping[str, float]]:
        """The metrics of each image by its name; none without an evaluation."""
        return self.evaluation.images if self.evaluation else {}


def read_results(
    predictions: Folders, evaluations: Folders, *, runs: Sequence[RunRecord] = ()
) -> list[Result]:
    """Read predictions and evaluations, and tell which belong together.

    What is given with a name keeps it. Else predictions are named for the run whose checkpoint made
    them, or in order where there are as many of them as runs, or for their folder. An evaluation
    belongs to the predictions of its name, or those that it says it has measured, or in order where
    there are as many. Predictions without one take what lies in their folder ``evaluation``.

    Parameters
    ----------
    predictions
        Outputs of ``voxloom predict``.
    evaluations
        Outputs of ``voxloom evaluate``.
    runs
        Runs that may have made them.

    Raises
    ------
    MissingDataError
        When a folder does not exist or is something else.
    """
    made, judged = _listed(predictions), _listed(evaluations)
    known = dict(zip(folder_names([run.folder for run in runs]), runs, strict=True))
    records = [PredictionRecord.read(path) for _, path in made]
    names = [
        name or _maker(record, i, len(made), known)
        for i, ((name, _), record) in enumerate(zip(made, records, strict=True))
    ]
    results = [Result(*pair) for pair in zip(unique_names(names), records, strict=True)]
    for number, (name, path) in enumerate(judged):
        evaluation = EvaluationRecord.read(path)
        place = _place(name, evaluation, number if len(judged) == len(made) else None, results)
        if place is None:
            results.append(Result(name or path.name, None, evaluation))
        else:
            results[place] = replace(results[place], evaluation=evaluation)
    named = zip(unique_names([result.name for result in results]), map(_completed, results), strict=True)
    return [replace(result, name=name) for name, result in named]


def unique_names(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind each that was there before.

    Examples
    --------
    >>> unique_names(["ldm", "ldm", "vae"])
    ['ldm', 'ldm (2)', 'vae']
    """
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def folder_names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each of several folders: its own, with as many above it as tell them apart.

    Examples
    --------
    >>> folder_names([Path("/demo/ldm"), Path("/old/ldm"), Path("/demo/vae")])
    ['demo/ldm', 'old/ldm', 'vae']
    """
    parts = [folder.resolve().parts for folder in folders]
    return unique_names(_tail(own, [other for other in parts if other != own]) for own in parts)


def _tail(own: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    for length in range(1, len(own)):
        if all(other[-length:] != own[-length:] for other in others):
            return "/".join(own[-length:])
    return "/".join(own)


def _listed(folders: Folders) -> list[tuple[str | None, Path]]:
    if isinstance(folders, str | Path):
        return [(None, Path(folders))]
    if isinstance(folders, Mapping):
        return [(name, Path(path)) for name, path in folders.items()]
    return [(each[0], Path(each[1])) if isinstance(each, tuple) else (None, Path(each)) for each in folders]


def _maker(record: PredictionRecord, number: int, count: int, runs: Mapping[str, RunRecord]) -> str:
    checkpoint = Path(str(record.facts.get("checkpoint", ""))).resolve()
    for name, run in runs.items():
        if checkpoint.is_relative_to(run.folder.resolve()):
            return name
    return list(runs)[number] if count == len(runs) else record.folder.resolve().name


def _place(
    name: str | None, evaluation: EvaluationRecord, number: int | None, results: Sequence[Result]
) -> int | None:
    """Return which result an evaluation belongs to."""
    free = [i for i, result in enumerate(results) if result.evaluation is None]
    if name is not None:
        return next((i for i in free if results[i].name == name), None)
    measured = evaluation.measured
    for i in free:
        predictions = results[i].predictions
        if measured and predictions and measured.resolve().is_relative_to(predictions.folder.resolve()):
            return i
    return number if number in free else None


def _completed(result: Result) -> Result:
    if result.evaluation is None and result.predictions is not None:
        beside = result.predictions.folder / "evaluation"
        if (beside / "summary.json").is_file():
            return replace(result, evaluation=EvaluationRecord.read(beside))
    return result
