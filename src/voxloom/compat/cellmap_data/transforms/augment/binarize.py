"""`Binarize`, which is voxloom's own."""

from voxloom.transforms.values import Binarize

__all__ = ["Binarize"]
