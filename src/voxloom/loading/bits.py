"""From bits, which are small to read and to copy, to one channel a class, on the device."""

from __future__ import annotations

import torch

from voxloom.errors import SchemaError

__all__ = ["expand_bits"]


def expand_bits(bits: torch.Tensor, number: int, *, dim: int = 1) -> torch.Tensor:
    """Return one channel a class of a tensor whose bit k says whether class k is there.

    Where the tensor lies the work is done: copy the bits to the GPU first.

    Parameters
    ----------
    bits
        Integers with an axis of extent 1 for the classes: (B, 1, z, y, x) of a batch.
    number
        How many classes.
    dim
        Which axis that is; 0 for a single sample (1, z, y, x).

    Returns
    -------
    torch.Tensor
        bool, (B, number, z, y, x).

    Raises
    ------
    SchemaError
        If the tensor holds no integers, has another extent there, or too few bits.

    Examples
    --------
    >>> bits = torch.tensor([[0, 1], [2, 3]], dtype=torch.uint8)[None]  # y, x
    >>> expand_bits(bits, 2, dim=0).int().tolist()
    [[[0, 1], [0, 1]], [[0, 0], [1, 1]]]
    """
    if bits.is_floating_point() or bits.dtype == torch.bool or bits.ndim <= dim or bits.shape[dim] != 1:
        raise SchemaError(
            f"bits of {tuple(bits.shape)} {str(bits.dtype)[6:]}: expected integers, and extent 1 along axis "
            f"{dim}, where the classes will stand"
        )
    held = torch.iinfo(bits.dtype).bits - (bits.dtype != torch.uint8)
    if not 0 < number <= held:
        raise SchemaError(
            f"{number} classes in {str(bits.dtype)[6:]}: expected 1 to {held}, a bit for each but the sign"
        )
    masks = torch.tensor([1 << k for k in range(number)], dtype=bits.dtype, device=bits.device)
    shape = [1] * bits.ndim
    shape[dim] = number
    return (bits & masks.view(shape)) != 0
