"""One sample of images under the preparation and the augmentation that a training would draw."""

from __future__ import annotations

from collections.abc import Iterator

from voxloom.config import Config
from voxloom.inference.encode import variant_seed
from voxloom.jobs.objectives import Material
from voxloom.jobs.patch_draws import Drawn
from voxloom.sample import Sample
from voxloom.seeding import rng_for
from voxloom.transforms import Augment, Compose

__all__ = ["image_draws", "variant_draws"]


def image_draws(config: Config, material: Material, index: int, *, draws: int) -> Iterator[Drawn]:
    """Return a sample as it lies in the file, as it is prepared, and as the first epochs would see it.

    Parameters
    ----------
    config
        Its seed decides.
    material
        The samples, and what happens to them.
    index
        Which sample.
    draws
        How many epochs.
    """
    keys = [(config.seed, "transform", epoch, index) for epoch in range(draws)]
    return _draws(config, material, index, [(f"draw {i}", key) for i, key in enumerate(keys)])


def variant_draws(config: Config, material: Material, index: int, *, draws: int) -> Iterator[Drawn]:
    """Return a sample as it lies in the file, as it is prepared, and its first augmented copies.

    A latent model encodes these once, and takes one of them at random in each epoch.

    Parameters
    ----------
    config, material, index
        As `image_draws` takes them.
    draws
        How many copies at most; there are `augment_variants`.
    """
    number = min(draws, config.diffusion_train.augment_variants)
    keys = [(variant_seed(config.seed, variant), "transform", 0, index) for variant in range(number)]
    return _draws(config, material, index, [(f"variant {i}", key) for i, key in enumerate(keys)])


def _draws(
    config: Config, material: Material, index: int, keys: list[tuple[str, tuple[int | str, ...]]]
) -> Iterator[Drawn]:
    sample = material.train.at_epoch(0)[index]
    yield Drawn("as in the file", "", sample)
    plain, steps = material.validation_transform, material.train_transform
    prepared = sample if plain is None else plain(sample, rng_for(config.seed))
    yield Drawn("prepared", "", prepared)
    if steps is None or not steps.random:
        return
    for title, key in keys:
        yield Drawn(title, _told(steps, prepared, key), steps(sample, rng_for(*key)))


def _told(steps: Compose, prepared: Sample, key: tuple[int | str, ...]) -> str:
    """Name what is drawn, where the first random step can tell."""
    first = steps.random_part.transforms[0]
    spatial = [name for name, field in prepared.schema.items() if field.is_spatial]
    if not isinstance(first, Augment) or not spatial:
        return ""
    axes, shape = prepared.schema[spatial[0]].axes, prepared[spatial[0]].shape
    return first.told(rng_for(*key), (shape[axes.index("y")], shape[axes.index("x")]))
