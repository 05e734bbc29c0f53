"""The plan of a prediction over a volume: which voxels, which tiles, what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.component import Component
from voxloom.errors import ConfigError, SchemaError, VolumeMetadataError
from voxloom.geometry import Grid, PatchSpec
from voxloom.inference.blend import Blend
from voxloom.inference.lattice import Lattice, Unit
from voxloom.inference.slab import Values
from voxloom.inference.volume_model import VolumeModel
from voxloom.volumes import Volume
from voxloom.volumes.stamp import stamp_of
from voxloom.volumes.units import differ_as_units

__all__ = ["Block", "TiledOptions", "VolumePlan", "grid_at"]

Interpolation = Literal["linear", "cubic", "nearest"]
Voxels = tuple[int, int, int]
_Count = Annotated[int, Setting(gt=0)]
_Margin = Annotated[int, Setting(ge=0)]
_NEAR = 1e-3  # of a spacing: two that differ by less are the same
_MANY = 100  # tiles: the work that is worth a word
_READ = 32  # planes that are read at once where tiles are thinner


class TiledOptions(Component):
    """How a volume is predicted."""

    overlap: Annotated[float, Setting(ge=0, lt=1)] = 0.25
    """Part of a tile that it shares with the next along each axis."""
    context: tuple[_Margin, _Margin, _Margin] = (0, 0, 0)
    """Voxels at each face of a tile, z, y, x, that the network sees and whose output is left out."""
    blend: Blend = "hann"
    """How much a tile counts towards its faces: hann, gaussian or flat."""
    batch_size: _Count = 1
    """Tiles at once; it does not change a prediction, but for the rounding of a network's sums."""
    outside: Literal["mirror", "pad"] = "mirror"
    """What a tile finds outside the volume: the volume mirrored at its faces, or `fill`."""
    fill: float = 0
    """The value outside, for ``pad``."""
    interpolation: Interpolation = "linear"
    """How voxels are read where the volume's lie elsewhere: as in training."""
    write: tuple[Literal["probabilities", "values", "labels", "masks"], ...] = ("probabilities", "labels")
    """``probabilities``: an image of uint8, 255 is 1. ``values``: an image of `dtype`. ``labels``: the id
    of the strongest class, below ``labels/`` where there is an image. ``masks``: a label image a class, 1
    where it reaches `threshold`."""
    dtype: Literal["uint8", "uint16", "float32"] = "float32"
    """Type of ``values``."""
    value_range: tuple[float, float] = (0.0, 255.0)
    """The values that 0 and 255 stand for, of ``values`` as uint8."""
    threshold: Annotated[float, Setting(ge=0, le=1)] | None = None
    """Least probability of a label or a mask. None is a half; for labels of classes that exclude each
    other there is none then. It counts as voxels are predicted: another one needs another prediction."""
    label_name: str = "segmentation"
    """Of the label image below ``labels/``."""
    unit: tuple[_Count, _Count, _Count] = (256, 256, 256)
    """Voxels along z, y, x that are predicted and written as one, and the shard of the output. A tile that
    reaches into several is predicted for each: larger units take less time and more memory."""
    version: Literal["0.5", "0.4"] = "0.5"
    """Of OME-NGFF."""
    overwrite: bool = False
    """Replace an output that is there, with everything in it."""

    @model_validator(mode="after")
    def _fits(self) -> TiledOptions:
        images = [name for name in self.write if name in ("probabilities", "values")]
        if not self.write or len(images) > 1 or len(set(self.write)) < len(self.write):
            raise ValueError(
                f"write {self.write}: expected probabilities or values or neither, and labels, masks or "
                "neither"
            )
        if "masks" in self.write and not images:
            raise ValueError(
                "write masks alone: expected probabilities too, for masks lie below their labels/ (--write "
                "probabilities --write masks)"
            )
        if images == ["values"] and len(self.write) > 1:
            raise ValueError(f"write {self.write}: expected values alone; labels are made of probabilities")
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"value_range {self.value_range}: expected two numbers, the smaller first")
        return self

    @property
    def values(self) -> Values:
        """What the network's numbers become."""
        if "values" not in self.write:
            return Values()
        return Values(self.dtype, *self.value_range)


@dataclass(frozen=True)
class Block:
    """Tiles of a unit whose input is read at once.

    Attributes
    ----------
    low, shape
        The voxels that are read, without the context: `low` may be negative.
    """

    unit: Unit
    tiles: Sequence[Any]
    low: Voxels
    shape: Voxels


@dataclass(frozen=True)
class VolumePlan:
    """What is predicted of a volume, and how.

    Attributes
    ----------
    model, volume, options
        As `predict_volume` takes them; the first volume, which is the one that is predicted.
    others
        What the wider patches of the model are read from, one each; none: from `volume`.

    Raises
    ------
    ConfigError
        If there are some others, but not one for each wider patch.
    """

    model: VolumeModel
    volume: Volume
    options: TiledOptions
    others: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        wanted = len(self.model.wider)
        if len(self.others) not in (0, wanted):
            raise ConfigError(
                f"{1 + len(self.others)} volumes for a model of {1 + wanted} patches: expected one for all, "
                "or one for each."
            )

    @property
    def wider(self) -> list[tuple[Volume, PatchSpec]]:
        """The wider patches, and what each is read from."""
        volumes = self.others or (self.volume,) * len(self.model.wider)
        return list(zip(volumes, self.model.wider, strict=True))

    @cached_property
    def grid(self) -> Grid:
        """The voxels that are predicted."""
        return grid_at(self.volume, self.model.patch)

    @cached_property
    def lattice(self) -> Lattice:
        """Tiles and units."""
        options, read = self.options, self.model.patch.shape
        z, y, x = (n - 2 * c for n, c in zip(read, options.context, strict=True))
        if min(z, y, x) < 1:
            raise SchemaError(
                f"context {options.context} of tiles of {read} voxels: nothing is left of them. Expected "
                "less than half a tile."
            )
        step = tuple(max(1, round(n * (1 - options.overlap))) for n in (z, y, x))
        return Lattice(self.grid, (z, y, x), step, options.unit)  # type: ignore[arg-type]

    @property
    def cost(self) -> str:
        """What it costs that tiles which reach into several units are predicted for each; "" for little."""
        here = self.lattice
        if here.predicted - here.places < _MANY:
            return ""
        z, y, x = (2 * n for n in here.unit)
        larger = replace(here, unit=(z, y, x))
        return (
            f"{here.predicted} tiles are predicted for {here.places} places, "
            f"{here.predicted / here.places:.1f} times as many: those that reach into several units of "
            f"{' x '.join(map(str, here.unit))} voxels, for each. Units of {z} x {y} x {x} (--shard {z} {y} "
            f"{x}) would take {larger.predicted / here.places:.1f} times as many, and more memory."
        )

    def blocks(self, unit: Unit) -> list[Block]:
        """Return the tiles of a unit in blocks to read, z running slowest."""
        groups: list[list[Any]] = []
        thick = max(self.lattice.tile[0], _READ)
        for tile in self.lattice.tiles(unit):
            if not groups or tile.start[0] + self.lattice.tile[0] - groups[-1][0].start[0] > thick:
                groups.append([])
            groups[-1].append(tile)
        return [self._block(unit, tiles) for tiles in groups]

    def _block(self, unit: Unit, tiles: Sequence[Any]) -> Block:
        starts = list(zip(*(tile.start for tile in tiles), strict=True))
        z, y, x = (min(axis) for axis in starts)
        d, h, w = (max(a) - min(a) + t for a, t in zip(starts, self.lattice.tile, strict=True))
        return Block(unit, tiles, (z, y, x), (d, h, w))

    def identity(self) -> dict[str, Any]:
        """Return all that the result depends on, as plain values."""
        number = self.volume.level_for(self.grid.spacing)
        level = self.volume.levels[number]
        wider = self.wider if self.others else ()
        others = [stamp_of(each, each.level_for(spec.spacing)) for each, spec in wider]
        grid = {"shape": self.grid.shape, "spacing": self.grid.spacing, "origin": self.grid.origin}
        ours = self.options.model_dump(mode="json", exclude={"batch_size", "overwrite"})
        return {
            "model": self.model.identity,
            "channels": self.model.channels,
            "activation": self.model.activation,
            "precision": str(self.model.precision or "float32"),
            "patch": self.model.patch.shape,
            "wider": [spec.spacing for spec in self.model.wider],
            "input": self.volume.path,
            "files": [stamp_of(self.volume, number), *others],
            "input channels": self.volume.channels,
            "other inputs": [
                {
                    "path": each.path,
                    "channels": each.channels,
                }
                for each in self.others
            ],
            "input level": {
                "path": level.path,
                "shape": level.grid.shape,
                "spacing": level.grid.spacing,
                "origin": level.grid.origin,
                "dtype": level.dtype.name,
            },
            "grid": grid,
            **ours,
        }


def grid_at(volume: Volume, patch: PatchSpec) -> Grid:
    """Return the voxels that cover a volume at a patch's spacing: those of a level, where one has it.

    Along an axis of a single voxel, of the volume or of the patch, the volume's own spacing counts: a
    network of planes predicts each plane that there is.

    Raises
    ------
    VolumeMetadataError
        If the voxels of all levels differ from these as units do: there would be a billion times as many.
    """
    finest, spacing = volume.levels[0].grid, patch.spacing
    if all(differ_as_units(level.grid.spacing, spacing) for level in volume.levels):
        raise VolumeMetadataError(
            f"{volume.path} has voxels of {finest.spacing} nm (z, y, x), and the network is for voxels of "
            f"{tuple(spacing)} nm: expected sizes that have to do with each other. The volume probably "
            "states a wrong unit: mend its metadata, or state its spacing in nm (--spacing Z Y X)."
        )
    wanted = [f if n == 1 else s for s, f, n in zip(spacing, finest.spacing, finest.shape, strict=True)]
    thick = [axis for axis in range(3) if patch.shape[axis] > 1]
    for axes in (range(3), thick):  # as in training where a level is so, else its planes
        for level in volume.levels:
            if all(abs(level.grid.spacing[a] - wanted[a]) <= _NEAR * wanted[a] for a in axes):
                return level.grid
    box = volume.bounding_box
    wanted = [wanted[axis] if axis in thick else finest.spacing[axis] for axis in range(3)]
    z, y, x = (max(1, round(n / s)) for n, s in zip(box.size, wanted, strict=True))
    a, b, c = (w + s / 2 for w, s in zip(box.low, wanted, strict=True))
    return Grid((z, y, x), (wanted[0], wanted[1], wanted[2]), (a, b, c))
