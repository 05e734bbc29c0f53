"""What each of two ranks does in `test_distributed`, which starts them by torchrun."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Runner
from voxloom.cli import main
from voxloom.errors import SaveError
from voxloom.ranks import Rank
from voxloom.training import Run
from voxloom.training.distributed import process_group


def one_step(data, output, cases):
    """Gradients of the first step and what validation finds, of several tasks."""
    rank = Rank.from_environment()
    found = {}
    with process_group(rank, torch.device("cpu")):
        for name, (task, overrides) in cases.items():
            trainer = Runner(data).trainer(task, output / name, rank=rank, **overrides)
            trainer._train_step(list(trainer.train)[:1])
            gradients = {
                f"{phase.name}.{key}": parameter.grad
                for phase in trainer.objective.phases
                for key, parameter in phase.named_parameters()
            }
            told = trainer._shared_means().values()
            found[name] = {"gradients": gradients, "told": told, "validation": trainer._validate(0)}
    torch.save(found, output / f"rank{rank.index}.pt")


def full_disk(command_line):
    """Rank 0, which writes, finds no room for the first checkpoint."""

    def save(self, name, state):
        raise SaveError(f"could not write {name}.pt: No space left on device.")

    if Rank.from_environment().is_main:
        Run.save = save
    main(command_line)


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, *arguments = sys.argv[1:]
    if what == "step":
        data, output, cases = arguments
        one_step(Path(data), Path(output), torch.load(cases))
    else:
        full_disk(arguments)
