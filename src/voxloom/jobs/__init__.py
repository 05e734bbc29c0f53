"""Jobs: what a command does, as a function. Here the rooms are put together; the CLI only parses."""

from voxloom.jobs.predict import PredictOptions, predict
from voxloom.jobs.train import train

__all__ = ["PredictOptions", "predict", "train"]
