"""From a condition to a latent: a process, its solver and a network put together.

Shapes: B batch, c latent channels, h, w of the latent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from voxloom.diffusion.process import Process
from voxloom.diffusion.solvers import solver_for
from voxloom.seeding import Key, rng_for

__all__ = ["Generator"]

Denoising = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(z_Bchw, model_time_B, condition_Bchw) -> output of the network."""


@dataclass(frozen=True)
class Generator:
    """Generate latents from conditions; each depends on the seed and its own name alone.

    Attributes
    ----------
    process
        What the network was trained on.
    solver
        Name of the solver; None takes the process's own.
    num_steps
        Evaluations of the network, or pairs of them for ``heun``.

    Examples
    --------
    >>> from voxloom.diffusion import FlowProcess
    >>> condition = torch.ones(2, 4, 8, 8)
    >>> still = Generator(FlowProcess(), num_steps=4)
    >>> z = still(lambda z, t, c: torch.zeros_like(z), condition, ["a", "b"], 0, "example")
    >>> torch.equal(z, condition)
    True
    """

    process: Process
    solver: str | None = None
    num_steps: int = 20

    def __call__(
        self, network: Denoising, condition_Bchw: torch.Tensor, keys: Sequence[str], *seed: Key
    ) -> torch.Tensor:
        """Return the latents that the process ends at, normalised as the conditions are.

        Parameters
        ----------
        network
            The trained denoiser.
        condition_Bchw
            Normalised latents of the conditions.
        keys
            Name of each condition.
        *seed
            From which all noise derives, with the name and the solver's step.
        """
        shape = tuple(condition_Bchw.shape[1:])

        def noise(step: int) -> torch.Tensor:
            drawn = [rng_for(*seed, key, step).standard_normal(shape, np.float32) for key in keys]
            return torch.from_numpy(np.stack(drawn)).to(condition_Bchw.device)

        z1 = self.process.start(noise(-1), condition_Bchw)
        solve = solver_for(self.solver, self.process)
        return solve(
            lambda z, t: network(z, t, condition_Bchw),
            z1,
            self.process,
            num_steps=self.num_steps,
            noise=noise,
        )

    @property
    def solver_name(self) -> str:
        """Name of the solver that is used."""
        return solver_for(self.solver, self.process).__name__
