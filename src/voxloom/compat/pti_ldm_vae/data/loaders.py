"""The older loaders, over our layout, split, transforms and loader."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from secrets import randbits
from typing import Any, Literal

from voxloom.config import Config, load_config
from voxloom.loading import Loader, Order
from voxloom.ranks import Rank
from voxloom.source import Source
from voxloom.sources import Parts, Split, describe
from voxloom.training.settings import ImageTrainSettings
from voxloom.transforms import Augment

__all__ = ["TensorLoader", "create_ldm_dataloaders", "create_vae_dataloaders"]

logger = logging.getLogger(__name__)

Task = Literal["vae", "ldm"]
StrPath = str | PathLike[str]


class TensorLoader:
    """Each iteration is one whole epoch of bare tensors, as torch's DataLoader hands them out.

    Parameters
    ----------
    loader
        Gives the batches.
    source
        What it reads.
    fields
        What is taken of each: one field gives tensors (B, 1, H, W), several give tuples of them.

    Attributes
    ----------
    dataset
        The source behind, for its length.
    batch_size
        Samples in a full batch.
    """

    def __init__(self, loader: Loader, source: Source, fields: Sequence[str]) -> None:
        self.dataset = source
        self.batch_size = loader.order.batch_size
        self._loader = loader
        self._fields = tuple(fields)
        self._epoch = 0

    def __len__(self) -> int:
        """Return the batches of an epoch, the same number on all ranks."""
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the next epoch, in an order of its own."""
        self._loader.load_state_dict({"step": self._epoch * len(self)})
        self._epoch += 1
        for batch in self._loader:
            tensors = tuple(batch[name] for name in self._fields)
            yield tensors if len(tensors) > 1 else tensors[0]

    @property
    def sampler(self) -> TensorLoader:
        """What has `set_epoch`, in the place where scripts look for it."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of `epoch`."""
        self._epoch = epoch


Loaders = tuple[TensorLoader, TensorLoader]


def create_vae_dataloaders(
    data_base_dir: StrPath,
    batch_size: int,
    patch_size: tuple[int, int],
    augment: bool = False,
    rank: int = 0,
    data_source: str = "edente",
    train_split: float = 0.9,
    num_workers: int = 4,
    seed: int | None = 42,
    subset_size: int | None = None,
    val_dir: StrPath | None = None,
    cache_rate: float = 0.0,
    distributed: bool = False,
    world_size: int = 1,
    **unused: Any,
) -> Loaders:
    """Return loaders of training and validation images.

    Parameters
    ----------
    data_base_dir
        Folder that holds the folders ``edente`` and ``dente``.
    batch_size
        Images in a batch of one process.
    patch_size
        Height and width that images are resized to.
    augment
        Whether training images are flipped, turned, shifted, zoomed and bent at random.
    rank, world_size
        This process among those that share the images, where `distributed` is set.
    data_source
        ``edente``, ``dente`` or ``both``.
    train_split
        Share of the images that trains, in (0, 1).
    num_workers
        Processes that read ahead.
    seed
        Of split, order and augmentation. None splits in the order of the names, and shuffles
        differently each time.
    subset_size
        Use no more than this many images.
    val_dir
        Folder like `data_base_dir` whose images validate; all of `data_base_dir` then trains.
    cache_rate
        Share of the prepared images that stays in memory, in [0, 1].
    distributed
        Whether each rank gets its own share.
    **unused
        Left out, and reported.

    Returns
    -------
    tuple of TensorLoader
        Their batches are tensors (B, 1, H, W), float32.

    Raises
    ------
    ConfigError
        A ValueError; when an argument lies outside its range.
    MissingDataError
        A FileNotFoundError; when there is no folder or no image.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources import write_image
    >>> folder = mkdtemp()
    >>> for i in range(10):
    ...     write_image(f"{folder}/edente/{i:03}.tif", np.eye(20))
    >>> train, validation = create_vae_dataloaders(folder, 4, (16, 16), num_workers=0)
    >>> [tuple(batch.shape) for batch in train], len(validation)
    ([(4, 1, 16, 16), (4, 1, 16, 16), (1, 1, 16, 16)], 1)
    """
    settings = {
        **_settings(data_base_dir, augment, train_split, num_workers, subset_size, cache_rate, unused),
        "autoencoder_train.batch_size": batch_size,
        "autoencoder_train.patch_size": patch_size,
        "data_source": data_source,
        "val_dir": val_dir,
    }
    return _loaders("vae", settings, seed, rank, world_size if distributed else None)


def create_ldm_dataloaders(
    data_base_dir: StrPath,
    batch_size: int,
    patch_size: tuple[int, int],
    augment: bool = False,
    rank: int = 0,
    target: str = "edente",
    condition: str = "dente",
    train_split: float = 0.9,
    num_workers: int = 4,
    seed: int | None = 42,
    subset_size: int | None = None,
    cache_rate: float = 0.0,
    distributed: bool = False,
    world_size: int = 1,
    **unused: Any,
) -> Loaders:
    """Return loaders of training and validation pairs, matched by the names of the files.

    Parameters
    ----------
    data_base_dir
        Folder that holds one folder for each side.
    target
        Folder of the images that a translation should give.
    condition
        Folder of the images that a translation starts from.
    batch_size, patch_size, augment, rank, world_size, train_split, num_workers, seed, subset_size, \
cache_rate, distributed, **unused
        As in `create_vae_dataloaders`; both images of a pair are augmented alike.

    Returns
    -------
    tuple of TensorLoader
        Their batches are tuples (target, condition) of tensors (B, 1, H, W), float32.

    Raises
    ------
    ConfigError
        A ValueError; when an argument lies outside its range.
    MissingDataError
        A FileNotFoundError; when there is no folder or no image.
    PairingError
        A ValueError; when images have no partner of the same name.
    """
    settings = {
        **_settings(data_base_dir, augment, train_split, num_workers, subset_size, cache_rate, unused),
        "diffusion_train.batch_size": batch_size,
        "diffusion_train.patch_size": patch_size,
        "target": target,
        "condition": condition,
    }
    return _loaders("ldm", settings, seed, rank, world_size if distributed else None)


def _settings(
    data_base_dir: StrPath,
    augment: bool,
    train_split: float,
    num_workers: int,
    subset_size: int | None,
    cache_rate: float,
    unused: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what both tasks say alike, in the words of the configuration."""
    if unused:
        logger.warning("the loaders have no use for the arguments %s", ", ".join(sorted(unused)))
    return {
        "data_base_dir": data_base_dir,
        "augment": augment,
        "train_split": train_split,
        "num_workers": num_workers,
        "subset_size": subset_size,
        "cache_rate": cache_rate,
    }


def _loaders(
    task: Task, settings: Mapping[str, Any], seed: int | None, rank: int, world: int | None
) -> Loaders:
    config = load_config(task, overrides={**settings, "seed": randbits(31) if seed is None else seed})
    parts = Parts(config.layout, "images" if task == "vae" else "pairs", 0 if seed is None else config.seed)
    if seed is None and config.val_dir is None:
        parts.split = _in_order_of_names(parts.split)
        parts.train, parts.validation = parts.split.apply(parts.source)
    if rank == 0 and logger.isEnabledFor(logging.INFO):
        logger.info("%s", describe(parts.source, parts.split))
    share = Rank() if world is None else Rank(rank, world)
    train = _loader(config, task, parts.train, share, config.augmentation)
    return train, _loader(config, task, parts.validation, share, None, shuffle=False)


def _in_order_of_names(split: Split) -> Split:
    """Return a split of the same sizes by the files' stems: both sides of one stay together."""
    keys = sorted((*split.train, *split.validation), key=lambda key: key.rpartition("/")[::-1])
    return Split(train=tuple(keys[: len(split.train)]), validation=tuple(keys[len(split.train) :]))


def _loader(
    config: Config,
    task: Task,
    source: Source,
    share: Rank,
    augmentation: Augment | None,
    *,
    shuffle: bool = True,
) -> TensorLoader:
    settings = config.settings(task)
    assert isinstance(settings, ImageTrainSettings)  # all tasks of this system are of images
    order = Order(
        length=len(source),
        batch_size=settings.batch_size,
        seed=config.seed,
        shuffle=shuffle,
        rank=share.index,
        world=share.world,
    )
    loader = Loader(
        source,
        config.preparation.transform(settings.image_size, augmentation),
        order=order,
        seed=config.seed,
        num_workers=config.num_workers,
        pin_memory=True,
        cache_rate=config.cache_rate,
    )
    return TensorLoader(loader, source, ("image",) if task == "vae" else ("target", "condition"))
