"""From points to the statistics of their groups."""

from __future__ import annotations

from voxloom.analysis.latents.groups import GroupStatistics
from voxloom.analysis.latents.measured import Measured
from voxloom.analysis.latents.partition import Partition
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.statistics_options import Placed, StatisticsOptions
from voxloom.errors import SchemaError

__all__ = ["group_statistics"]


def group_statistics(
    points: Points,
    by: str = "group",
    *,
    patient: str | None = None,
    projected: Placed | None = None,
    train: Points | None = None,
    options: StatisticsOptions | None = None,
) -> GroupStatistics:
    """Return what can be said in numbers of groups of points.

    Groups of one or two points are measured as far as they can be: the rest is NaN, and a notice says so.

    Parameters
    ----------
    points
        What is measured.
    by
        What the groups are: a label as `Points.labels` takes it.
    patient
        A label that finds the patient. Then patients are drawn for the intervals, not images, pairs of
        points of one patient do not count as two, and patients in several groups are followed.
    projected
        Where the points are placed in a plane or in space, to measure what that keeps.
    train
        Training data of a generator: how near do the points come to it?
    options
        Sizes and seeds.

    Raises
    ------
    UnknownNameError, ConfigError
        When a label cannot be found.
    SchemaError
        When the projection is one of other points, or training points are of another size.
    DataError
        When a vector holds a value that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> points = Points.of_arrays({"a": rng.normal(size=(30, 4)), "b": rng.normal(size=(30, 4)) + 2})
    >>> found = group_statistics(points)
    >>> [row.group for row in found.groups], len(found.pairs), found.pairs[0].mmd_p
    (['a', 'b'], 1, 0.001)
    """
    options = options or StatisticsOptions()
    if projected is not None and len(projected.coordinates) != len(points):
        raise SchemaError(
            f"a projection of {len(projected.coordinates)} points for {len(points)}: "
            "expected one of the same points."
        )
    if patient is None and options.bootstrap.group is not None:
        patient = f"key:{options.bootstrap.group}"
    partition = Partition.of(points, by, patient=patient, most=options.groups)
    measured = Measured(points, partition, projected, options)
    groups, (pairs, patients) = measured.groups(), measured.pairs()
    memorisation = () if train is None else measured.memorisation(train, patient)
    return GroupStatistics(
        groups=groups,
        pairs=pairs,
        patients=patients,
        memorisation=memorisation,
        projection=measured.projection(),
        silhouette=measured.mean(measured.silhouettes(measured.drawn), measured.drawn),
        same_group_neighbours=measured.share(measured.same_group),
        facts=measured.facts(by, patient, None if train is None else len(train)),
        notices=(*partition.notices, *dict.fromkeys(measured.notices)),
    )
