"""From a source to batches: which samples come when, what stays in memory, and who reads ahead."""

from voxloom.loading.batch import Batch, collate
from voxloom.loading.bits import expand_bits
from voxloom.loading.cache import Cache, Progress
from voxloom.loading.choice import by_class, by_key, labels_of
from voxloom.loading.loader import Loader
from voxloom.loading.order import Order, Place, Share
from voxloom.loading.weights import Weights, balanced_weights
from voxloom.loading.worker import Pipeline

__all__ = [
    "Batch",
    "Cache",
    "Loader",
    "Order",
    "Pipeline",
    "Place",
    "Progress",
    "Share",
    "Weights",
    "balanced_weights",
    "by_class",
    "by_key",
    "collate",
    "expand_bits",
    "labels_of",
]
