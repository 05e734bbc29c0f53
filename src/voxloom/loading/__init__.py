"""From a source to batches: which samples come when, what stays in memory, and who reads ahead."""

from voxloom.loading.batch import Batch, collate
from voxloom.loading.cache import Cache, Progress
from voxloom.loading.loader import Loader
from voxloom.loading.order import Order, Share
from voxloom.loading.worker import Pipeline

__all__ = ["Batch", "Cache", "Loader", "Order", "Pipeline", "Progress", "Share", "collate"]
