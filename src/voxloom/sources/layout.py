"""How a data set of images or pairs lies on disk, and which of it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import ConfigError, DataError
from voxloom.sample import Concat, Source, Subset
from voxloom.sources.folder import ImageFolder, PairFolder, readable
from voxloom.sources.images import ReadPolicy
from voxloom.sources.split import Split, split_by_fraction, subset

__all__ = ["Layout", "Parts"]

Progress = Callable[[int, int], object]


class Layout(Component):
    """Folders of slices below `data_base_dir`, one for each side of a pair.

    Examples
    --------
    >>> Layout(data_base_dir="data", target="mri", condition="ct").folders("both")
    ['mri', 'ct']
    """

    data_base_dir: Path = Path("data")
    """Folder that holds one folder of images for each side."""
    target: str = "edente"
    """Folder of the images that a translation should give."""
    condition: str = "dente"
    """Folder of the images that a translation starts from."""
    data_source: str = "both"
    """What a VAE is trained on: the name of one side's folder, or ``both``."""
    val_dir: Path | None = None
    """Folder like `data_base_dir` whose images validate; all of `data_base_dir` then trains."""
    split_file: Path | None = None
    """JSON, or CSV with columns key and split, that says which keys train and which validate."""
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
        """Return the images of `data_source` below `base`, keys ``folder/stem``."""
        sources = [
            ImageFolder(base / name, self.read, prefix=name) for name in self.folders(self.data_source)
        ]
        return sources[0] if len(sources) == 1 else Concat(sources)

    def pairs(self, base: Path) -> PairFolder:
        """Return the pairs below `base`, keys are stems."""
        return PairFolder(base / self.target, base / self.condition, self.read, unmatched=self.unmatched)


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
        base = self._usable(layout, opener(layout.data_base_dir), progress)
        if layout.subset_size is not None:
            made = split and (*split.train, *split.validation)
            chosen = set(made or subset(base.keys, layout.subset_size, group=layout.group, seed=seed))
            base = Subset(base, [i for i, key in enumerate(base.keys) if key in chosen])
        if layout.val_dir is not None:
            self.validation = self._usable(layout, opener(layout.val_dir), progress)
            self.train: Source = base if split is None else _pick(base, split.train)
            self.split = Split(train=tuple(self.train.keys), validation=tuple(self.validation.keys))
            self.source: Source = Concat([self.train, self.validation])
        else:
            self.split = split or _make_split(layout, base, seed)
            self.train, self.validation = self.split.apply(base)
            self.source = base
        if not len(self.train) or not len(self.validation):
            raise DataError(
                f"{len(self.train)} images to train and {len(self.validation)} to validate in "
                f"{layout.data_base_dir}: expected at least one of each. Change train_split, split_file, "
                "val_dir or subset_size."
            )

    def _usable(self, layout: Layout, source: Source, progress: Progress | None) -> Source:
        dropped = getattr(source, "dropped", [])
        self.skipped += [(key, "no partner") for key in dropped]
        if layout.on_error == "error":
            return source
        usable, failures = readable(source, progress=progress)
        self.skipped += failures
        return usable


def _make_split(layout: Layout, base: Source, seed: int) -> Split:
    if layout.split_file is not None:
        return Split.load(layout.split_file)
    return split_by_fraction(base.keys, layout.train_split, seed, group=layout.group)


def _pick(source: Source, keys: tuple[str, ...]) -> Source:
    index = {key: i for i, key in enumerate(source.keys)}
    return Subset(source, [index[key] for key in keys])
