"""Two sets of vectors compared by numbers: are they of one distribution, and what lies next to what?"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from voxloom.analysis.latents.distances import latent_distance, lookups, nearest_points, squared_distances
from voxloom.analysis.latents.estimates import plain, table_text
from voxloom.analysis.latents.finite import finite_blocks
from voxloom.analysis.latents.frechet import Frechet, frechet_distance, frechet_of_squares
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.resampling import balanced
from voxloom.analysis.latents.two_samples import MmdTest, mmd_test_of_squares
from voxloom.atomic import replacing, write_json
from voxloom.component import Component
from voxloom.errors import ConfigError, OutputExistsError
from voxloom.jobs.latent_stores import key_row
from voxloom.sample import Array

__all__ = ["DistanceOptions", "Distances", "compare_latents", "key_distance"]

Progress = Callable[[float, str], object]


class DistanceOptions(Component):
    """How two sets are compared."""

    max_points: Annotated[int, Field(ge=4)] = 4000
    """Most points of both that are compared each with each; of more, this many are drawn."""
    permutations: Annotated[int, Field(ge=99)] = 999
    """Of the test of the MMD."""
    seed: int = 42
    """Of the drawn points and of the permutations."""


@dataclass(frozen=True)
class Distances:
    """How two groups of points lie to one another.

    Attributes
    ----------
    groups, counts
        Their names and numbers of points.
    compared
        Points of each that were compared each with each.
    centres
        Distance of the centroids.
    cross
        Mean distance of a point of one to a point of the other.
    mmd
        Maximum mean discrepancy, with the p-value of a permutation test over single points.
    frechet
        Frechet distance, squared, and where it was measured.
    keys, nearest_keys, nearest
        For each point of the first its key, the key of the nearest of the second, and their distance.
    """

    groups: tuple[str, str]
    counts: tuple[int, int]
    compared: tuple[int, int]
    centres: float
    cross: float
    mmd: MmdTest
    frechet: Frechet
    keys: tuple[str, ...]
    nearest_keys: tuple[str, ...]
    nearest: npt.NDArray[np.float64]

    @property
    def facts(self) -> dict[str, Any]:
        """All numbers but those of single points, for JSON."""
        told = {"groups": self.groups, "points": self.counts, "compared": self.compared}
        quartiles = np.quantile(self.nearest, (0, 0.25, 0.5, 0.75, 1))
        return told | {
            "centroid_distance": self.centres,
            "mean_cross_distance": self.cross,
            "mmd2": self.mmd.mmd2,
            "mmd_p": self.mmd.p,
            "mmd_bandwidth": self.mmd.bandwidth,
            "frechet": asdict(self.frechet),
            "nearest": dict(zip(("least", "quarter", "median", "three_quarters", "most"), quartiles.tolist(),
                                strict=True)),
        }  # fmt: skip

    def table(self) -> str:
        """Return the numbers as text for a terminal."""
        a, b = self.groups
        found = self.frechet
        rows: list[tuple[str, object]] = [
            ("distance of the centroids", self.centres),
            (f"mean distance of {a} to {b}", self.cross),
            ("MMD, squared", self.mmd.mmd2),
            ("  p, if both were alike (groups shuffled)", self.mmd.p),
            ("Frechet distance, squared", found.squared),
            (f"  in {found.dims} dimensions, share of the variance", found.explained),
            (f"{a} to its nearest of {b}, median", float(np.median(self.nearest))),
            (f"{a} to its nearest of {b}, least", float(self.nearest.min())),
        ]
        head = (f"{a} ({self.counts[0]}) and {b} ({self.counts[1]})", "")
        return table_text(head, rows)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write ``nearest.csv`` and ``distances.json``, and return their paths.

        Raises
        ------
        OutputExistsError
            When they are there already.
        """
        paths = Path(folder) / "nearest.csv", Path(folder) / "distances.json"
        there = [path for path in paths if path.exists()]
        if there and not overwrite:
            raise OutputExistsError(
                f"{there[0]} exists: name another folder, or replace it with overwrite (--overwrite)."
            )
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["key", "nearest_key", "distance"])
        distances = [f"{value:.9g}" for value in self.nearest.tolist()]
        writer.writerows(zip(self.keys, self.nearest_keys, distances, strict=True))
        with replacing(paths[0]) as file:
            file.write(text.getvalue().encode())
        write_json(paths[1], plain(self.facts))
        return paths


def compare_latents(
    points: Points, *, options: DistanceOptions | None = None, progress: Progress | None = None
) -> Distances:
    """Compare two groups of points.

    Parameters
    ----------
    points
        Points of two groups.
    options
        How.
    progress
        Told the share done and what is being done.

    Raises
    ------
    ConfigError
        When there are not two groups with a point each.
    DataError
        When a vector is not finite.
    """
    options, tell = options or DistanceOptions(), progress or _silent
    names = [name for name, part in points.parts.items() if len(part)]
    if len(names) != 2:
        raise ConfigError(
            f"{len(names)} groups with points ({', '.join(names)}): expected two. A store of pairs has "
            "both sides; else name two stores."
        )
    rows = [points.rows_of(name) for name in names]
    codes = np.full(len(points), -1)
    codes[rows[0]], codes[rows[1]] = 0, 1
    chosen = balanced(codes, options.max_points, options.seed)
    chosen, first = chosen[np.argsort(codes[chosen], kind="stable")], int((codes[chosen] == 0).sum())
    centres = float(np.linalg.norm(_mean(points, rows[0]) - _mean(points, rows[1])))
    tell(0.1, "distances")
    squares, frechet = _of_all_pairs(points.vectors(chosen), first)
    cross = float(np.sqrt(squares[:first, first:]).mean())
    tell(0.3, "MMD")
    mmd = mmd_test_of_squares(squares, first, permutations=options.permutations, seed=options.seed)
    found = _nearest(points, rows, lambda share: tell(0.5 + 0.5 * share, "nearest neighbours"))
    return Distances(
        groups=(names[0], names[1]),
        counts=(len(rows[0]), len(rows[1])),
        compared=(first, len(chosen) - first),
        centres=centres,
        cross=cross,
        mmd=mmd,
        frechet=frechet,
        keys=tuple(points.parts[names[0]].source.keys),
        nearest_keys=found[0],
        nearest=found[1],
    )


def _silent(share: float, text: str) -> None:
    """Tell nobody."""


def key_distance(points: Points, a: tuple[str, str], b: tuple[str, str]) -> float:
    """Return the Euclidean distance of two points, each named by its group and key.

    Raises
    ------
    MissingDataError, UnknownNameError
        When there is no such key or group.
    """
    first, second = points.vectors([key_row(points, *a), key_row(points, *b)])
    return latent_distance(first, second)


def _of_all_pairs(vectors: Array, first: int) -> tuple[npt.NDArray[np.float64], Frechet]:
    """Return the squared distances of points (n, D), and the Frechet distance of the first to the others.

    The distances are found once, and all else comes of them where vectors are long, so that beside the
    vectors in float32 there is never a copy of them.
    """
    squares = squared_distances(vectors)
    if len(vectors) <= vectors.shape[1]:
        return squares, frechet_of_squares(squares, first, vectors.shape[1])
    return squares, frechet_distance(vectors[:first], vectors[first:])


def _mean(points: Points, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    total = np.zeros(points.dim)
    for _, block in finite_blocks(points, rows):
        total += block.sum(axis=0, dtype=np.float64)
    return total / len(rows)


def _nearest(
    points: Points, rows: list[npt.NDArray[np.int64]], tell: Callable[[float], object]
) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Return the key of the nearest of the second group for each point of the first, and how far it is."""
    second = Points({"b": points.parts[points.groups[rows[1][0]]]})
    found, distances = [], []
    parts = lookups(rows[0], points.dim)
    for done, part in enumerate(parts):
        tell(done / len(parts))
        best = nearest_points(points.vectors(part), second)
        found += [second.keys[row] for row in best.rows.tolist()]
        distances.append(best.distances)
    tell(1.0)
    return tuple(found), np.concatenate(distances)
