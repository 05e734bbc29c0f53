"""Train a small classifier on a store of photographs, on one process or on many.

    python train.py stores/train
    torchrun --nproc_per_node=4 train.py stores/train
    srun python train.py stores/train          # with MASTER_ADDR and MASTER_PORT, as train.sbatch sets them

Started again with the same --checkpoint it goes on with the next batch, on any number of processes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

import voxloom
from voxloom.loading import Loader, Order
from voxloom.ranks import Rank
from voxloom.training.distributed import process_group, wrap
from voxloom.transforms import Compose, Transform


class Crop(Transform):
    """A random square, brought to one size and mirrored now and then."""

    random: ClassVar[bool] = True
    size: int

    def __call__(self, sample, rng):
        image = sample["image"]  # (height, width, channels), of any size
        side = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
        top, left = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
        places = np.arange(self.size) * side // self.size
        image = np.broadcast_to(image[top + places][:, left + places, :3], (self.size, self.size, 3))
        return sample.with_arrays({"image": image[:, ::-1] if rng.random() < 0.5 else image})


def network(classes: int) -> torch.nn.Module:
    """Return a few convolutions; put your own here."""
    layers: list[torch.nn.Module] = []
    for given, made in ((3, 16), (16, 32), (32, 64)):
        layers += [torch.nn.Conv2d(given, made, 3, stride=2, padding=1), torch.nn.ReLU()]
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, classes)
    )


def train(given: argparse.Namespace, rank: Rank, device: torch.device) -> None:
    """Train until all epochs have been seen."""
    store = voxloom.open(given.store)
    torch.manual_seed(0)
    model = network(len(store.schema["label"].categories)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    order = Order(length=len(store), batch_size=given.batch_size, seed=0, rank=rank.index, world=rank.world)
    crop, workers = Compose(transforms=[Crop(size=given.size)]), given.num_workers
    loader = Loader(store, crop, order=order, seed=0, num_workers=workers, pin_memory=True)
    if given.checkpoint and given.checkpoint.exists():
        state = torch.load(given.checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        loader.load_state_dict(state["loader"])
    parallel = wrap(model, rank, device)
    while loader.epoch < given.epochs:
        epoch, losses = loader.epoch, []
        for step, batch in enumerate(loader, 1):
            batch = batch.to(device, non_blocking=True)
            scores = parallel(batch["image"].float() / 255)
            loss = torch.nn.functional.cross_entropy(scores, batch["label"])
            optimizer.zero_grad()
            (batch.weight * loss).backward()  # a last batch may be smaller here than on other ranks
            optimizer.step()
            losses.append(loss.item())
            if step % 1000 == 0:
                save(given.checkpoint, rank, model, optimizer, loader)
        if rank.is_main:
            print(f"epoch {epoch}: loss {np.mean(losses):.4f}", flush=True)
        save(given.checkpoint, rank, model, optimizer, loader)
    loader.close()


def save(path, rank, model, optimizer, loader) -> None:
    """Write the state, whole or not at all."""
    if path is None or not rank.is_main:
        return
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "loader": loader.state_dict()}
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64, help="on each process")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--num-workers", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path)
    given = parser.parse_args()
    rank = Rank.from_environment()
    device = torch.device("cuda", rank.local) if torch.cuda.is_available() else torch.device("cpu")
    with process_group(rank, device):
        train(given, rank, device)


if __name__ == "__main__":
    main()
