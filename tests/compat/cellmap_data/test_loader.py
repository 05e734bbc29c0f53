"""Batches: the same for any number of threads and in processes; what an epoch is."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from voxloom.compat.cellmap_data import (
    CellMapDataLoader,
    CellMapDataset,
    CellMapMultiDataset,
    CellMapSubset,
    ClassBalancedSampler,
)
from voxloom.compat.cellmap_data.transforms import GaussianNoise

CUBE = {"shape": (16, 16, 16), "scale": (8, 8, 8)}


@pytest.fixture
def dataset(raw_path, gt_path):
    return CellMapDataset(
        raw_path(),
        gt_path(),
        ["mito", "er"],
        {"raw": CUBE},
        {"labels": CUBE},
        spatial_transforms={"mirror": {"axes": {"x": 0.5, "z": 0.5}}},
        raw_value_transforms=GaussianNoise(std=1),
        is_train=True,
    )


@pytest.fixture
def several(raw_path, gt_path):
    def one(name, crop, classes):
        return CellMapDataset(
            raw_path(name), gt_path(name, crop, classes), ["mito", "er"], {"raw": CUBE}, {"labels": CUBE}
        )

    datasets = [one("jrc_a", 1, "mito,er"), one("jrc_b", 1, "mito,er"), one("jrc_b", 2, "mito")]
    return CellMapMultiDataset(["mito", "er"], {"raw": CUBE}, {"labels": CUBE}, datasets)


def drawn(dataset, **options):
    torch.manual_seed(7)
    loader = CellMapDataLoader(dataset, batch_size=3, iterations_per_epoch=4, device="cpu", **options)
    return [batch for _ in range(2) for batch in loader]


def test_threads_change_nothing(dataset):
    alone, ahead = drawn(dataset), drawn(dataset, num_workers=3, prefetch_factor=2, pin_memory=True)
    assert len(alone) == 8
    for one, other in zip(alone, ahead, strict=True):
        assert one.keys() == other.keys() == {"raw", "labels", "idx", "__metadata__"}
        assert all((one[name] == other[name]).all() for name in ("raw", "labels", "idx"))
    assert alone[0]["raw"].shape == (3, 1, 16, 16, 16)
    assert alone[0]["labels"].shape == (3, 2, 16, 16, 16)


def test_an_epoch_repeats_its_items_until_it_is_refreshed(dataset):
    loader = CellMapDataLoader(dataset, batch_size=4, iterations_per_epoch=2, device="cpu")

    def items():
        return sorted(torch.cat([batch["idx"] for batch in loader]).tolist())

    first = items()
    assert len(loader) == 2
    assert items() == first
    loader.refresh()
    assert items() != first


def test_all_items_in_any_order(dataset):
    subset = CellMapSubset(dataset, range(5, 25))
    in_order = CellMapDataLoader(subset, batch_size=8, is_train=False, device="cpu")
    assert torch.cat([batch["idx"] for batch in in_order]).tolist() == list(range(5, 25))
    assert [len(batch["idx"]) for batch in in_order] == [8, 8, 4]
    mixed = CellMapDataLoader(subset, batch_size=8, device="cpu", drop_last=True)
    assert len({i for batch in mixed for i in batch["idx"].tolist()}) == 16
    assert len(mixed) == len(mixed.loader) == 2


def test_chosen_items(dataset):
    loader = CellMapDataLoader(dataset, batch_size=2, device="cpu")
    assert loader[[4, 2]]["idx"].tolist() == [4, 2]
    assert loader[np.array([4, 2])]["idx"].tolist() == [4, 2]
    assert loader[3]["raw"].shape == (1, 1, 16, 16, 16)
    assert loader.to("cpu", non_blocking=True) is loader


def test_a_sampler_of_ones_own(dataset):
    loader = CellMapDataLoader(dataset, batch_size=2, sampler=lambda: dataset.get_subset_random_sampler(6))
    first = [i for batch in loader for i in batch["idx"].tolist()]
    loader.refresh()
    assert len(first) == 6
    assert [i for batch in loader for i in batch["idx"].tolist()] != first


def test_weighted_draws(several):
    assert len(CellMapDataLoader(several, batch_size=5, weighted_sampler=True)) == 1
    loader = CellMapDataLoader(several, batch_size=5, weighted_sampler=True, iterations_per_epoch=3)
    assert len(loader) == 3
    sampler = several.get_weighted_sampler(8)
    assert list(sampler) != list(sampler)
    shares = torch.tensor([several._weight(d) * len(d) for d in several.datasets])
    indices = several.get_random_subset_indices(2000, rng=torch.Generator().manual_seed(0))
    found = torch.bincount(indices // 729, minlength=3) / 2000
    assert (found - shares / shares.sum()).abs().max() < 0.05
    assert len(several.sample_weights) == len(several) == 3 * 729
    plain = several.get_random_subset_indices(600, weighted=False)
    assert len(set(plain.tolist())) == 600


def test_several_datasets_as_one(several):
    item = several[729 + 5]
    assert item["idx"] == 734
    assert (item["raw"] == several.datasets[1][5]["raw"]).all()
    assert several.verify()
    assert several.validation_indices == [
        k * 729 + i for k in range(3) for i in several.datasets[0].validation_indices
    ]
    assert several.class_counts["totals"]["mito"] == sum(
        dataset.class_counts["totals"]["mito"] for dataset in several.datasets
    )
    assert several.get_crop_class_matrix().tolist() == [[True, True], [True, True], [True, False]]
    later = CellMapMultiDataset(
        several.datasets, several.classes, several.input_arrays, several.target_arrays
    )
    assert len(later) == len(several)
    with pytest.raises(IndexError):
        several[3 * 729]


def test_class_balance(several):
    indices = torch.tensor(list(ClassBalancedSampler(several, samples_per_epoch=60)))
    with_er = int((indices // 729 < 2).sum())
    assert with_er >= 30  # only two of three have it
    assert len(ClassBalancedSampler(several)) == len(several)


def test_subsets_know_what_the_dataset_knows(several):
    subset = CellMapSubset(several, several.validation_indices)
    assert subset.classes == ["mito", "er"]
    assert subset.class_weights == several.class_weights
    assert len(subset.validation_indices) == len(subset)
    assert len(list(subset.get_subset_random_sampler(4))) == 4
    subset.set_raw_value_transforms(lambda x: x.float() + 1)
    assert subset.to("cpu")[0]["raw"].dtype == torch.float32


PROCESSES = """
import sys
import torch
from cellmap_data import CellMapDataLoader, CellMapDataset
from torch.utils.data import DataLoader
cube = {"shape": (16, 16, 16), "scale": (8, 8, 8)}
if __name__ == "__main__":
    how = {"is_train": True, "rng": torch.Generator().manual_seed(0)}
    turned = {"rotate": {"axes": {"z": [-90, 90]}}}
    dataset = CellMapDataset(*sys.argv[1:], ["mito"], {"raw": cube}, {"labels": cube}, turned, **how)
    dataset[0]
    options = {"num_workers": 2, "multiprocessing_context": "spawn"}
    loader = CellMapDataLoader(dataset, batch_size=2, iterations_per_epoch=2, device="cpu", **options)
    batches = list(loader)
    print([tuple(batch["raw"].shape) for batch in batches])
    print(len({str(m["current_spatial_transforms"]) for batch in batches for m in batch["__metadata__"]}))
"""


@pytest.mark.slow
def test_in_processes(tmp_path, raw_path, gt_path):
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    command = [sys.executable, "-m", "voxloom.compat", script, raw_path(), gt_path()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[(2, 1, 16, 16, 16), (2, 1, 16, 16, 16)]\n4\n"


def test_a_generator_decides_how_patches_lie(raw_path, gt_path):
    def batch(**options):
        mirror = {"mirror": True, "rotate": {"axes": {"z": [-90, 90]}}}
        arguments = raw_path(), gt_path(), ["mito"], {"raw": CUBE}, {"labels": CUBE}, mirror
        dataset = CellMapDataset(*arguments, is_train=True, **options)
        loader = CellMapDataLoader(dataset, batch_size=8, is_train=False, num_workers=2, device="cpu")
        return next(iter(loader))["raw"]

    assert (batch(seed=3) == batch(rng=torch.Generator().manual_seed(3))).all()
    assert not (batch(seed=3) == batch(seed=4)).all()


def test_datasets_of_others(dataset):
    class Listed(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return {"raw": torch.full((1, 2), index), "name": str(index)}

    options = {"prefetch_factor": 2, "persistent_workers": True, "is_train": False, "device": "cpu"}
    (batch,) = CellMapDataLoader(Listed(), batch_size=4, **options)
    assert batch["name"] == ["0", "1", "2", "3"]
    assert batch["raw"][:, 0, 0].tolist() == [0, 1, 2, 3]


def test_weighted_and_the_generator_come_in_either_order(several):
    def drawn(*given):
        return several.get_random_subset_indices(5, *given).tolist()

    def generator():
        return torch.Generator().manual_seed(2)

    assert drawn(True, generator()) == drawn(generator(), True) == drawn(generator())
    assert drawn(False, generator()) == drawn(generator(), False)
    one, two = (sorted(several.get_subset_random_sampler(5, generator())) for _ in range(2))
    assert one == two == sorted(several.get_subset_random_sampler(5, True, generator()))
