"""Training: objectives, the loop, the run on disk."""

from voxloom.training.autoencoder import AutoencoderLoss, AutoencoderObjective
from voxloom.training.latent import LatentObjective
from voxloom.training.objective import Clock, Objective, Phase
from voxloom.training.optim import Average, LearningRate
from voxloom.training.pix2pix import Pix2PixLoss, Pix2PixObjective
from voxloom.training.regression import RegressionLoss, RegressionObjective
from voxloom.training.run import Run
from voxloom.training.segmentation import (
    SegmentationLoss,
    SegmentationObjective,
    SegmentationPatches,
)
from voxloom.training.settings import ImageTrainSettings, TrainSettings
from voxloom.training.tracking import TRACKERS, Tracker
from voxloom.training.trainer import Job, Trainer

__all__ = [
    "TRACKERS",
    "AutoencoderLoss",
    "AutoencoderObjective",
    "Average",
    "Clock",
    "ImageTrainSettings",
    "Job",
    "LatentObjective",
    "LearningRate",
    "Objective",
    "Phase",
    "Pix2PixLoss",
    "Pix2PixObjective",
    "RegressionLoss",
    "RegressionObjective",
    "Run",
    "SegmentationLoss",
    "SegmentationObjective",
    "SegmentationPatches",
    "Tracker",
    "TrainSettings",
    "Trainer",
]
