"""NaN replaced."""

from __future__ import annotations

from collections.abc import Mapping

from voxloom.transforms import values

__all__ = ["NaNtoNum"]


class NaNtoNum(values.NaNtoNum):
    """Replace NaN and infinities.

    Parameters
    ----------
    params
        ``nan``, ``posinf`` and ``neginf``, as `torch.nan_to_num` takes them.

    Examples
    --------
    >>> import torch
    >>> NaNtoNum({"nan": -1})(torch.tensor([torch.nan, 2.0]))
    tensor([-1.,  2.])
    """

    def __init__(self, params: Mapping[str, float | None] | None = None) -> None:
        given = dict(params or {})
        super().__init__(given.pop("nan", None) or 0.0, **given)
