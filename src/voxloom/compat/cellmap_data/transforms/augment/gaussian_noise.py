"""`GaussianNoise`, which is voxloom's own."""

from voxloom.transforms.random_values import GaussianNoise

__all__ = ["GaussianNoise"]
