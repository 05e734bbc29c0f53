from __future__ import annotations

import logging
from itertools import islice

import numpy as np
import pytest
import torch

from voxloom.compat.pti_ldm_vae.data import create_ldm_dataloaders, create_vae_dataloaders
from voxloom.sources import write_image

SIZE = (16, 16)


def image(number):
    """Return an image that tells its number: the column where the foreground's ramp begins."""
    pixels = np.zeros((16, 16), np.float32)
    pixels[2:14, number % 8 : number % 8 + 8] = 1 + np.arange(8) + 100 * (number // 8)
    return pixels


def number_of(tensor):
    return int((tensor[0] != 0).any(0).nonzero()[0])


@pytest.fixture
def base(tmp_path):
    for number in range(8):
        write_image(tmp_path / "edente" / f"p{number:02}.tif", image(number))
        # Another suffix on the other side, and names that sort alike only by their stems.
        write_image(tmp_path / "dente" / f"p{number:02}.TIFF", image(number))
    return tmp_path


def vae(base, *, workers=0, **options):
    return create_vae_dataloaders(base, 3, SIZE, num_workers=workers, **{"train_split": 0.75, **options})


def ldm(base, *, workers=0, **options):
    return create_ldm_dataloaders(base, 3, SIZE, num_workers=workers, **{"train_split": 0.75, **options})


def numbers(loader):
    return [number_of(each) for batch in loader for each in batch]


def test_vae_batches_are_tensors(base):
    train, validation = vae(base)
    assert (len(train), len(validation), len(train.dataset), train.batch_size) == (2, 1, 6, 3)
    for batch in [*train, *validation]:
        assert isinstance(batch, torch.Tensor)
        assert (batch.dtype, tuple(batch.shape[1:])) == (torch.float32, (1, 16, 16))
    assert sorted(numbers(train) + numbers(validation)) == list(range(8))


def test_ldm_batches_are_target_and_condition(base):
    train, validation = ldm(base)
    for target, condition in [*train, *validation]:
        assert target.shape == condition.shape == (len(target), 1, 16, 16)
        assert target.dtype == condition.dtype == torch.float32
        assert torch.equal(target, condition)
    assert (len(train), len(validation)) == (2, 1)


def test_foreground_is_normalised_and_background_stays_zero(base):
    batch = next(iter(vae(base)[0]))
    for each in batch:
        inside = each[each != 0]
        assert inside.mean().abs() < 1e-5
        assert (inside.std(correction=0) - 1).abs() < 1e-5
        assert (each == 0).sum() == 16 * 16 - 12 * 8


@pytest.mark.parametrize("workers", [0, 2])
def test_each_epoch_is_whole_and_shuffled_anew(base, workers):
    train, validation = vae(base, workers=workers)
    first, second = numbers(train), numbers(train)
    assert sorted(first) == sorted(second)
    assert first != second
    list(islice(train, 1))  # broken off, as for a look at the data
    assert sorted(numbers(train)) == sorted(first)
    assert numbers(validation) == numbers(validation)
    again, _ = vae(base, workers=0)
    assert (numbers(again), numbers(again)) == (first, second)


def test_the_epoch_can_be_named(base):
    train, _ = vae(base)
    first, second = numbers(train), numbers(train)
    train.sampler.set_epoch(0)
    assert (numbers(train), numbers(train)) == (first, second)


def test_pairs_are_matched_by_name_not_by_position(base):
    (base / "dente" / "p00.TIFF").rename(base / "dente" / "x00.TIFF")
    with pytest.raises(ValueError, match=r"p00\.tif.*\n.*x00\.TIFF"):
        ldm(base)
    (base / "edente" / "p00.tif").rename(base / "edente" / "x00.tif")
    for loader in ldm(base):
        assert all(torch.equal(target, condition) for target, condition in loader)


def test_other_folders_may_be_the_sides(base):
    (base / "edente").rename(base / "before")
    (base / "dente").rename(base / "after")
    train, _ = ldm(base, target="before", condition="after")
    assert len(train.dataset) == 6


def test_both_sides_of_a_stem_stay_together(base):
    train, validation = vae(base, data_source="both")
    assert (len(train.dataset), len(validation.dataset)) == (12, 4)
    held_out = {key.split("/")[1] for key in validation.dataset.keys}
    assert not held_out & {key.split("/")[1] for key in train.dataset.keys}


def test_no_seed_splits_in_the_order_of_names(base):
    train, validation = vae(base, seed=None)
    assert sorted(train.dataset.keys) == [f"edente/p{i:02}" for i in range(6)]
    assert list(validation.dataset.keys) == ["edente/p06", "edente/p07"]
    _, both = vae(base, seed=None, data_source="both")
    assert {key.split("/")[1] for key in both.dataset.keys} == {"p06", "p07"}
    orders = {tuple(numbers(vae(base, seed=None)[0])) for _ in range(6)}
    assert len(orders) > 1


def test_the_seed_is_what_the_split_depends_on(base):
    splits = {tuple(sorted(vae(base, seed=seed)[1].dataset.keys)) for seed in range(6)}
    assert len(splits) > 1
    assert vae(base, seed=3)[1].dataset.keys == vae(base, seed=3)[1].dataset.keys


def test_an_outside_folder_validates(base, tmp_path):
    outside = tmp_path / "outside"
    write_image(outside / "edente" / "a.tif", image(5))
    train, validation = vae(base, val_dir=outside, subset_size=4)
    assert (len(train.dataset), list(validation.dataset.keys)) == (4, ["edente/a"])


def test_a_subset_is_small(base):
    train, validation = ldm(base, subset_size=4)
    assert len(train.dataset) + len(validation.dataset) == 4


def test_ranks_share_the_images_without_a_duplicate(base):
    shares = [vae(base, rank=rank, distributed=True, world_size=2)[0] for rank in range(2)]
    assert len(shares[0]) == len(shares[1]) == 1
    assert sorted(numbers(shares[0]) + numbers(shares[1])) == sorted(numbers(vae(base)[0]))
    everything = vae(base, rank=1)[0]
    assert len(everything.dataset) == len(numbers(everything))


def test_the_cache_changes_no_batch(base):
    plain, cached = vae(base)[0], vae(base, cache_rate=1.0)[0]
    for _ in range(2):
        assert all(torch.equal(a, b) for a, b in zip(plain, cached, strict=True))


def test_augmentation_moves_pairs_alike_and_training_only(base):
    train, validation = ldm(base, augment=True)
    plain, plain_validation = ldm(base)
    for target, condition in train:
        assert torch.equal(target, condition)
    changed = [not torch.equal(a[0], b[0]) for a, b in zip(train, plain, strict=True)]
    assert any(changed)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(validation, plain_validation, strict=True))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"train_split": 0}, "train_split"),
        ({"train_split": 1.0}, "train_split"),
        ({"cache_rate": -0.1}, "cache_rate"),
        ({"cache_rate": 1.1}, "cache_rate"),
        ({"data_source": "left"}, "data_source 'left'"),
        ({"subset_size": 0}, "subset_size"),
    ],
)
def test_values_outside_the_range_are_value_errors(base, options, what):
    with pytest.raises(ValueError, match=what):
        vae(base, **options)


@pytest.mark.parametrize("create", [vae, ldm])
def test_no_images_is_file_not_found(tmp_path, create):
    with pytest.raises(FileNotFoundError, match="edente"):
        create(tmp_path)
    (tmp_path / "edente").mkdir()
    with pytest.raises(FileNotFoundError, match="no image"):
        create(tmp_path)


def test_an_empty_outside_folder_is_file_not_found(base, tmp_path):
    (tmp_path / "outside" / "edente").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="outside"):
        vae(base, val_dir=tmp_path / "outside")


def test_arguments_without_a_use_are_reported(base, caplog):
    vae(base, prefetch=3, shuffle=True)
    assert "prefetch, shuffle" in caplog.text


def test_rank_0_tells_about_the_data(base, caplog):
    caplog.set_level(logging.INFO)
    vae(base, rank=1, distributed=True, world_size=2)
    assert "float32" not in caplog.text
    vae(base)
    assert "8 samples, 6 training, 2 validation" in caplog.text
    assert "float32" in caplog.text
