"""How a data set of images or pairs lies on disk, in folders or in a store, and which of it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import ConfigError, DataError
from voxloom.source import Concat, Source, Subset
from voxloom.sources.folder import PairFolder, readable
from voxloom.sources.images import ReadPolicy
from voxloom.sources.sides import Sides
from voxloom.sources.split import Split, split_by_fraction, subset
from voxloom.sources.stored import MatchedImages, images_at, pairs_at, store_at

__all__ = ["Layout", "Parts"]

Progress = Callable[[int, int], object]


class Layout(Component):
    """Folders of slices below `data_base_dir`, one for each side of a pair; or a store of them.

    Examples
    --------
    >>> Layout(data_base_dir="data", target="mri", condition="ct").folders("both")
    ['mri', 'ct']
    """

    data_base_dir: Path = Path("data")
    """Folder that holds one folder (or store) of images for each side; or a store with a field for
    each side, named as the folders would be or ``target`` and ``condition``. A VAE trains from a store
    with one field of images too."""
    target: str = "edente"
    """Folder of the images that a translation should give."""
    condition: str = "dente"
    """Folder of the images that a translation starts from."""
    data_source: str = "both"
    """What a VAE is trained on: the name of one side's folder, or ``both``."""
    val_dir: Path | None = None
    """Folder or store like `data_base_dir` whose images validate; all of `data_base_dir` then trains."""
    split_file: Path | None = None
    """JSON, or CSV with columns key and split, that says which keys train and which validate; a bare
    stem stands for the images of that name in every folder."""
    train_split: Annotated[float, Setting(gt=0, lt=1)] = 0.9
    """Share of the images that trains."""
    group: str | None = None
    """Regular expression on the file's stem; what its group captures (a patient) is never divided."""
    subset_size: Annotated[int, Setting(gt=0)] | None = None
    """Use no more than this many images, an even share of each group, to try things out."""
    unmatched: Literal["error", "drop"] = "error"
    """What to do about images without a partner: refuse, or leave out and count."""
    on_error: Literal["error", "skip"] = "error"
    """What to do about images that cannot be used: refuse when one is met, or find all at the start
    (which reads every file once), leave them out and list them."""
    read: ReadPolicy = ReadPolicy()
    """What to do about colour, several pages, not-a-number pixels and blank images."""

    def folders(self, data_source: str) -> list[str]:
        """Return the folders that a VAE reads for this `data_source`.

        Raises
        ------
        ConfigError
            When it is neither side's name nor ``both``.
        """
        if data_source == "both":
            return [self.target, self.condition]
        if data_source in (self.target, self.condition):
            return [data_source]
        raise ConfigError(
            f"data_source {data_source!r}: expected {self.target!r}, {self.condition!r} or 'both' "
            "(the names come from target and condition)."
        )

    def images(self, base: Path) -> Source:
        """Return the images of `data_source` in `base`, keys ``folder/stem``.

        Raises
        ------
        MissingDataError, DataError
            When a folder is missing or holds no images, or a store is not whole.
        ConfigError
            When a store has no field for `data_source`.
        """
        if (store := store_at(base)) is not None:
            return Sides(self.target, self.condition, self.read).images(store, self.data_source)
        names = self.folders(self.data_source)
        sources: list[Source] = [images_at(base / name, self.read, prefix=name) for name in names]
        return sources[0] if len(sources) == 1 else Concat(sources)

    def pairs(self, base: Path) -> PairFolder | MatchedImages:
        """Return the pairs in `base`, keys are stems.

        Raises
        ------
        MissingDataError, DataError
            When a folder is missing or holds no images, or a store is not whole.
        PairingError
            When images lack a partner, or a store does not hold two sides.
        ConfigError
            When a store has no field for a side.
        """
        if (store := store_at(base)) is not None:
            return Sides(self.target, self.condition, self.read).pairs(store, self.unmatched)
        return pairs_at(base / self.target, base / self.condition, self.read, unmatched=self.unmatched)


class Parts:
    """The training and the validation part of a data set.

    Parameters
    ----------
    layout
        Where the data lies.
    kind
        ``images`` for one field, ``pairs`` for target and condition.
    seed
        Of the split and the subset.
    split
        A split that was made before, for a resume; None makes one.
    progress
        Told (done, total) where every file is read, with ``on_error="skip"``.

    Attributes
    ----------
    source
        Everything: what trains and what validates.
    train, validation
        The two sources.
    split
        Their keys.
    skipped
        Keys and reasons of what was left out.
    """

    def __init__(
        self,
        layout: Layout,
        kind: Literal["images", "pairs"],
        seed: int,
        *,
        split: Split | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.skipped: list[tuple[str, str]] = []
        opener = layout.images if kind == "images" else layout.pairs
        base, left_out = self._usable(layout, opener(layout.data_base_dir), progress)
        held = None
        if layout.val_dir is not None:
            held, _ = self._usable(layout, opener(layout.val_dir), progress)
        if split is None:
            base, held, split = _divided(layout, base, held, left_out, seed)
        elif layout.subset_size is not None:
            base = _chosen(base, {*split.train, *split.validation})
        self.split = split
        if held is None:
            self.train, self.validation = split.apply(base)
            self.source: Source = base
        else:
            self.train = Split(train=split.train, validation=()).apply(base)[0]
            self.validation = Split(train=split.validation, validation=()).apply(held)[0]
            self.source = Concat([self.train, self.validation])
        if not len(self.train) or not len(self.validation):
            raise DataError(
                f"{len(self.train)} images to train and {len(self.validation)} to validate in "
                f"{layout.data_base_dir}: expected at least one of each. Change train_split, split_file, "
                "val_dir or subset_size."
            )

    def _usable(self, layout: Layout, source: Source, progress: Progress | None) -> tuple[Source, set[str]]:
        """Return what can be read, and the keys of what cannot."""
        dropped = getattr(source, "dropped", [])
        self.skipped += [(key, "no partner") for key in dropped]
        if layout.on_error == "error":
            return source, set()
        usable, failures = readable(source, progress=progress)
        self.skipped += failures
        return usable, {key for key, _ in failures}


def _divided(
    layout: Layout, base: Source, held: Source | None, left_out: set[str], seed: int
) -> tuple[Source, Source | None, Split]:
    """Return what is used of the images, of those that only validate, and the split between them."""
    if held is not None:
        base, held = _thinned(layout, base, seed), _thinned(layout, held, seed)
        return base, held, Split(train=tuple(base.keys), validation=tuple(held.keys))
    if layout.split_file is not None:
        return _by_file(layout, layout.split_file, base, left_out, seed)
    base = _thinned(layout, base, seed)
    return base, None, split_by_fraction(base.keys, layout.train_split, seed, group=layout.group)


def _by_stem(source: Source) -> dict[str, list[str]]:
    """The keys that a bare stem stands for, so that one file splits single images and pairs alike."""
    keys = set(source.keys)
    stems: dict[str, list[str]] = {}
    for key in source.keys:
        stems.setdefault(key.rsplit("/", 1)[-1], []).append(key)
    return {stem: found for stem, found in stems.items() if stem not in keys}


def _by_file(
    layout: Layout, file: Path, base: Source, left_out: set[str], seed: int
) -> tuple[Source, None, Split]:
    # A file may name what cannot be read; what is nowhere is refused when the split is applied.
    parts = Split.load(file).model_dump()
    named = _by_stem(base)
    parts = {part: [k for key in keys for k in named.get(key, [key])] for part, keys in parts.items()}
    parts = {
        part: [key for key in dict.fromkeys(keys) if key not in left_out] for part, keys in parts.items()
    }
    size, total = layout.subset_size, sum(map(len, parts.values()))
    if size is None or size >= total:
        return base, None, Split.model_validate(parts)
    shares = {part: max(1, round(size * len(keys) / total)) for part, keys in parts.items()}
    few = {part: subset(keys, shares[part], group=layout.group, seed=seed) for part, keys in parts.items()}
    return _chosen(base, {key for keys in few.values() for key in keys}), None, Split.model_validate(few)


def _thinned(layout: Layout, source: Source, seed: int) -> Source:
    if layout.subset_size is None:
        return source
    return _chosen(source, set(subset(source.keys, layout.subset_size, group=layout.group, seed=seed)))


def _chosen(source: Source, keys: set[str]) -> Source:
    return Subset(source, [i for i, key in enumerate(source.keys) if key in keys])
