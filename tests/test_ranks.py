from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import DistributedError
from voxloom.ranks import Rank, even_split


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, Rank()),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Rank(5, 8, 1)),
        ({"RANK": "5", "WORLD_SIZE": "8"}, Rank(5, 8, 0)),
        (
            {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "3", "SLURM_STEP_ID": "0"},
            Rank(3, 4, 3),
        ),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, Rank(1, 2, 0)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}, Rank(1, 2, 1)),
        ({"RANK": "5"}, Rank()),  # a shell's leftover, no launcher
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Rank()),  # a batch script is one process
        ({"RANK": "0", "WORLD_SIZE": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, Rank(0, 2)),
    ],
)
def test_the_launcher_tells_who_we_are(environment, rank):
    assert Rank.from_environment(environment) == rank


@pytest.mark.parametrize(("index", "world"), [(2, 2), (-1, 2), (0, 0)])
def test_a_rank_outside_its_world_is_refused(index, world):
    with pytest.raises(DistributedError, match=rf"rank {index} of {world} processes"):
        Rank(index, world)


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK"])
def test_a_variable_that_is_no_number_is_named(name):
    environment = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"} | {name: "a"}
    with pytest.raises(DistributedError, match=rf"{name}='a'.*whole number"):
        Rank.from_environment(environment)


def test_only_rank_zero_is_main():
    assert [Rank(i, 3).is_main for i in range(3)] == [True, False, False]


@given(st.integers(0, 200), st.integers(1, 17))
def test_shares_are_even_contiguous_and_complete(total, world):
    shares = [even_split(total, Rank(i, world)) for i in range(world)]
    assert [i for share in shares for i in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
