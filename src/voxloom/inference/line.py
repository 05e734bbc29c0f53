"""The assembly line of a prediction: reading, the network, blending and writing at the same time.

What the tiles of a unit need is read ahead by threads, the network computes, a thread blends what it
made into the slab, and another compresses and writes the unit before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from voxloom.errors import SchemaError
from voxloom.geometry import Box, PatchSpec, Point
from voxloom.inference.lattice import Tile, Unit
from voxloom.inference.products import Product
from voxloom.inference.slab import Shares, Slab
from voxloom.inference.volume_plan import Block, VolumePlan
from voxloom.volumes import Volume
from voxloom.volumes.patch import Reading, begin_patch

__all__ = ["Line"]

Array = npt.NDArray[Any]
_Input = tuple[Array, list[list[Array]]]
"""What is read for a block: itself, and the wider patches of each of its tiles."""

_AHEAD = 2  # blocks whose input is being read
_BEHIND = 3  # batches that the network made and that are not blended yet


@dataclass
class _Filling:
    """A unit that is being predicted."""

    unit: Unit
    slab: Slab
    buffers: list[Array]


class Line:
    """Threads that read ahead, blend and write; the caller's own runs the network.

    Parameters
    ----------
    plan
        What is predicted.
    products
        What is written.
    mark
        Told the number of each unit when it is whole, by the thread that writes.
    advance
        Told how many tiles the network has done, batch by batch.
    """

    def __init__(
        self,
        plan: VolumePlan,
        products: Sequence[Product],
        *,
        mark: Callable[[int], object],
        advance: Callable[[int], object] | None = None,
    ) -> None:
        self._plan, self._products, self._mark, self._advance = plan, products, mark, advance
        self._values = plan.options.values
        self._shares = Shares(plan.lattice, plan.options.blend, fixed=self._values.is_fixed)
        self._volumes: list[list[Volume]] = [product.open() for product in products]
        self._readers = ThreadPoolExecutor(_AHEAD, "read")
        self._blender = ThreadPoolExecutor(1, "blend")
        self._writer = ThreadPoolExecutor(1, "write")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._readers, self._blender, self._writer):
            pool.shutdown(cancel_futures=True)

    def run(self, numbers: Sequence[int]) -> Iterator[int]:
        """Predict units, and yield the number of each when it is written."""
        writing: Future[int] | None = None
        for unit, blocks in self._read(numbers):
            filled = self._predicted(unit, blocks)
            if writing is not None:
                yield writing.result()
            writing = self._writer.submit(self._write, filled)
        if writing is not None:
            yield writing.result()

    def _read(self, numbers: Sequence[int]) -> Iterator[tuple[Unit, Iterator[tuple[Block, _Input]]]]:
        """Yield units and their blocks with what was read for them; reading runs ahead, over units too."""
        coming = (block for n in numbers for block in self._plan.blocks(self._plan.lattice[n]))
        ahead: deque[tuple[Block, Future[_Input]]] = deque()

        def fill() -> None:
            for block in islice(coming, _AHEAD - len(ahead)):
                ahead.append((block, self._readers.submit(self._input, block)))

        def of(unit: Unit) -> Iterator[tuple[Block, _Input]]:
            while ahead and ahead[0][0].unit.index == unit.index:
                block, reading = ahead.popleft()
                read = reading.result()
                fill()
                yield block, read

        fill()
        for number in numbers:
            unit = self._plan.lattice[number]
            yield unit, of(unit)

    def _input(self, block: Block) -> _Input:
        """Read the input of a block with its context, (C, z, y, x), and the wider patches of its tiles."""
        plan, options = self._plan, self._plan.options
        shape = tuple(n + 2 * c for n, c in zip(block.shape, options.context, strict=True))
        spec = PatchSpec(shape=shape, spacing=plan.grid.spacing)  # type: ignore[arg-type]
        how = Reading(options.interpolation, options.outside, options.fill)
        begun = begin_patch(plan.volume, spec, _center(plan, block.low, block.shape), how=how)
        wider = [
            [begin_patch(volume, each, _center(plan, tile.start, plan.lattice.tile), how=how)
             for volume, each in plan.wider]
            for tile in block.tiles
        ]  # fmt: skip
        return begun.result(), [[patch.result() for patch in patches] for patches in wider]

    def _predicted(self, unit: Unit, blocks: Iterator[tuple[Block, _Input]]) -> _Filling:
        model, depth = self._plan.model, self._plan.lattice.tile[0]
        slab = Slab(unit, len(model.channels), depth, values=self._values, shares=self._shares)
        filling = _Filling(unit, slab, [product.buffer(unit) for product in self._products])
        blending: deque[Future[None]] = deque()
        for block, read in blocks:
            for tiles, batch in self._batches(block, *read):
                blending.append(self._blender.submit(self._blend, filling, tiles, model(batch)))
                if self._advance is not None:
                    self._advance(len(tiles))
                if len(blending) > _BEHIND:
                    blending.popleft().result()
        blending.append(self._blender.submit(self._take, filling, unit.high[0]))
        for each in blending:
            each.result()
        return filling

    def _batches(
        self, block: Block, array: Array, wider: Sequence[Sequence[Array]]
    ) -> Iterator[tuple[Sequence[Tile], Array]]:
        """Cut the tiles of a block out, (B, C, z, y, x)."""
        shape, size = self._plan.model.patch.shape, self._plan.options.batch_size
        for first in range(0, len(block.tiles), size):
            batch = slice(first, first + size)
            cut = [_cut(array, tile, block, shape) for tile in block.tiles[batch]]
            if self._plan.model.wider:
                cut = [np.concatenate([c, *w]) for c, w in zip(cut, wider[batch], strict=True)]
            yield block.tiles[batch], np.stack(cut)

    def _blend(self, filling: _Filling, tiles: Sequence[Tile], made: Tensor) -> None:
        for tile, values in zip(tiles, _cropped(made, self._plan).cpu().numpy(), strict=True):
            self._take(filling, tile.start[0])
            filling.slab.add(tile, values)

    def _take(self, filling: _Filling, start: int) -> None:
        """Take the planes out that tiles from `start` on do not touch."""
        planes = filling.slab.passed(start)
        if planes:
            for product, buffer in zip(self._products, filling.buffers, strict=True):
                product.take(filling.slab, planes, buffer)
            filling.slab.roll(planes)

    def _write(self, filled: _Filling) -> int:
        unit, grid, options = filled.unit, self._plan.grid, self._plan.options
        box = Box(grid.world([i - 0.5 for i in unit.low]), grid.world([i - 0.5 for i in unit.high]))
        for product, volumes, buffer in zip(self._products, self._volumes, filled.buffers, strict=True):
            product.write(volumes, box, buffer, options.unit)
        self._mark(unit.index)
        return unit.index


def _center(plan: VolumePlan, low: Sequence[int], shape: Sequence[int]) -> Point:
    """Return the middle of voxels in the world."""
    return plan.grid.world([a + (n - 1) / 2 for a, n in zip(low, shape, strict=True)])


def _cut(array: Array, tile: Tile, block: Block, shape: Sequence[int]) -> Array:
    at = [s - w for s, w in zip(tile.start, block.low, strict=True)]
    return array[(slice(None), *(slice(a, a + n) for a, n in zip(at, shape, strict=True)))]


def _cropped(made: Tensor, plan: VolumePlan) -> Tensor:
    """Leave the context out, if the network has not done so itself."""
    wanted, context = plan.lattice.tile, plan.options.context
    if tuple(made.shape[2:]) == wanted:
        return made.contiguous()
    if tuple(made.shape[2:]) != plan.model.patch.shape:
        raise SchemaError(
            f"the network made {tuple(made.shape[2:])} voxels of tiles of {plan.model.patch.shape}: expected "
            f"as many, or {wanted}, without the context {context}. Set context to what it leaves out."
        )
    z, y, x = (slice(c, c + n) for c, n in zip(context, wanted, strict=True))
    return made[:, :, z, y, x].contiguous()
