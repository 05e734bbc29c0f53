"""The older analysis of a latent space, over `voxloom.analysis.latents`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from voxloom.analysis.latents.exams import (
    exams_of,
    group_gap,
    label_colours,
    write_exams,
    write_label_colours,
)
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import Projected, Projection, project
from voxloom.analysis.latents.scatter import write_picture
from voxloom.analysis.latents.scatter_page import write_page
from voxloom.analysis.latents.series import Scatter
from voxloom.analysis.latents.tsne_projection import Tsne
from voxloom.analysis.latents.umap_projection import Umap
from voxloom.compat.pti_ldm_vae.analysis.image_paths import extract_patient_id_from_filename
from voxloom.errors import MissingDataError, SchemaError

__all__ = ["LatentSpaceAnalyzer", "compute_distance_metrics"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Group = tuple[Floats, Sequence[str], str, str]
"""Places (n, 2), the patient of each, a marker and a name."""


def compute_distance_metrics(
    points1: npt.NDArray[np.floating], points2: npt.NDArray[np.floating]
) -> tuple[float, float, float, float] | None:
    """Return the distance of the centroids, the mean spread of each set, and the mean cross distance.

    Parameters
    ----------
    points1, points2
        (n, D) and (m, D).

    Returns
    -------
    tuple or None
        None where a set is empty. A set of one point has a spread of 0.

    Examples
    --------
    >>> compute_distance_metrics(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    (5.0, 0.0, 0.0, 5.0)
    """
    found = group_gap(points1, points2)
    return None if found is None else astuple(found)


class FittedProjection:
    """What a projection was fitted on; other points can be placed beside it.

    Parameters
    ----------
    latents
        (n, D), what it was fitted on.
    method
        The method with its settings.
    """

    def __init__(self, latents: Floats, method: Projection) -> None:
        self.latents, self.method = latents, method

    def transform(self, latents: Floats) -> Floats:
        """Return the places (m, n_components) of other latents (m, D)."""
        points = Points.of_arrays({"fitted": self.latents, "others": np.asarray(latents, np.float32)})
        return project(points, self.method, fit="fitted").coordinates[len(self.latents) :]


class LatentSpaceAnalyzer:
    """Encodes images with a VAE, places their latents in a plane, and draws and measures them.

    Parameters
    ----------
    vae
        With ``encode_deterministic``, or else ``encode_stage_2_inputs``: images (B, 1, H, W) to latents.
        It is put into evaluation mode.
    device
        Where it computes.
    transform
        A path to an image (1, H, W).
    """

    def __init__(
        self, vae: Any, device: torch.device | str, transform: Callable[[str], torch.Tensor | Floats]
    ) -> None:
        self.vae, self.device, self.transform = vae, device, transform
        vae.eval()

    @torch.no_grad()
    def encode_images(
        self,
        image_paths: Sequence[str | os.PathLike[str]],
        max_images: int | None = None,
        batch_size: int = 8,
        show_progress: bool = True,
    ) -> tuple[Floats, list[str]]:
        """Return the flattened latents (N, D) of images, and whose each is.

        Raises
        ------
        MissingDataError
            A ValueError; when there is no image.
        """
        paths = [str(path) for path in image_paths][:max_images]
        if not paths:
            raise MissingDataError("no images to encode: expected at least one path.")
        is_certain = hasattr(self.vae, "encode_deterministic")
        encode = self.vae.encode_deterministic if is_certain else self.vae.encode_stage_2_inputs
        found = []
        for start in tqdm(
            range(0, len(paths), batch_size), "encoding", disable=not show_progress, leave=False
        ):
            images = torch.stack([self._image(path) for path in paths[start : start + batch_size]])
            found.append(encode(images.to(self.device)).flatten(1).float().cpu().numpy())
        return np.concatenate(found), [extract_patient_id_from_filename(path) for path in paths]

    def _image(self, path: str) -> torch.Tensor:
        return torch.as_tensor(np.asarray(self.transform(path)), dtype=torch.float32)

    @staticmethod
    def reduce_dimensionality_umap(
        latents: Floats,
        n_components: Literal[2, 3] = 2,
        n_neighbors: int = 40,
        min_dist: float = 0.5,
        random_state: int = 42,
        pca_components: int = 50,
    ) -> tuple[Floats, FittedProjection]:
        """Return places (N, n_components) by UMAP after PCA, and what places others (`transform`).

        Sets smaller than the settings ask for are placed with smaller ones, and a warning says so.

        Raises
        ------
        SchemaError
            A ValueError; when the latents are not (N, D).
        MissingExtraError
            An ImportError; when umap-learn is not installed.
        """
        method = Umap(
            dims=n_components, n_neighbors=n_neighbors, min_dist=min_dist, seed=random_state,
            components=pca_components,
        )  # fmt: skip
        return _placed(latents, method).coordinates, FittedProjection(np.asarray(latents, np.float32), method)

    @staticmethod
    def reduce_dimensionality_tsne(
        latents: Floats,
        n_components: Literal[2, 3] = 2,
        perplexity: float = 30,
        random_state: int = 42,
        pca_components: int = 50,
    ) -> Floats:
        """Return places (N, n_components) by t-SNE after PCA.

        Raises
        ------
        SchemaError
            A ValueError; when the latents are not (N, D).
        MissingExtraError
            An ImportError; when openTSNE is not installed.
        """
        method = Tsne(dims=n_components, perplexity=perplexity, seed=random_state, components=pca_components)
        return _placed(latents, method).coordinates

    @staticmethod
    def create_patient_colormap(patient_ids: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
        """Return a number and a colour (``#rrggbb``) for each patient, all different."""
        return label_colours(patient_ids)

    @staticmethod
    def save_color_legend(
        patient_to_idx: Mapping[str, int],
        patient_to_color: Mapping[str, str],
        output_path: str | os.PathLike[str],
    ) -> None:
        """Write a line ``number: patient — colour`` for each patient."""
        write_label_colours(patient_to_idx, patient_to_color, Path(output_path))

    @staticmethod
    def plot_projection_2d(
        projections: Sequence[Group],
        output_path: str | os.PathLike[str],
        title: str,
        color_by_patient: bool = True,
        show_labels: bool = True,  # noqa: ARG004 - as before it does nothing
        image_paths_list: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Draw groups of places, as PNG or SVG, or as an HTML page that tells of each point.

        Of two groups the one before the other in the alphabet has filled marks ("dente"), the other
        open ones ("edente").

        Parameters
        ----------
        projections
            (places (n, 2), patients, marker, name) of each group; the marker is not used.
        output_path
            Ends in ``.png``, ``.svg`` or ``.html``.
        title
            Above the figure.
        color_by_patient
            Otherwise colour tells the group.
        image_paths_list
            Files of each group, to be told by the page.
        """
        files = image_paths_list or [
            [f"{patient} ({i})" for i, patient in enumerate(ids)] for _, ids, _, _ in projections
        ]
        order = sorted(range(len(projections)), key=lambda i: projections[i][3])
        groups = np.concatenate([[projections[i][3]] * len(projections[i][0]) for i in order])
        patients = np.concatenate([np.array(projections[i][1], dtype=str) for i in order])
        scatter = Scatter(
            coordinates=np.concatenate([projections[i][0] for i in order]),
            keys=[Path(name).name for i in order for name in files[i]],
            groups=groups,
            labels=patients if color_by_patient else groups,
            colour_by="patient" if color_by_patient else "group",
            axes=("dimension 1", "dimension 2"),
            title=title,
        )
        write = write_page if Path(output_path).suffix.lower() == ".html" else write_picture
        write(scatter, Path(output_path))

    @staticmethod
    def compute_group_statistics(
        projections: Sequence[Group],
        latents: Sequence[Floats],
        output_dir: str | os.PathLike[str],
    ) -> None:
        """Write how far apart the exams are that two groups have in common.

        ``distance_metrics.txt`` and ``exams_sorted_by_distance.txt``; nothing unless there are two groups.

        Parameters
        ----------
        projections
            As in `plot_projection_2d`.
        latents
            (n, D) of each group, or of all groups in one array.
        output_dir
            Folder of the files.
        """
        if len(projections) != 2:
            return
        sizes = np.cumsum([len(places) for places, *_ in projections])[:-1]
        parts = (
            np.split(np.concatenate(list(latents)), sizes) if len(latents) == 2 else np.split(latents, sizes)
        )
        names = [name for *_, name in projections]
        points = Points.of_arrays(dict(zip(names, parts, strict=True)))
        ids = np.concatenate([np.array(patients, dtype=str) for _, patients, *_ in projections])
        plane = np.concatenate([places for places, *_ in projections])
        write_exams(exams_of(points, ids, plane), names, Path(output_dir))


def _placed(latents: Floats, method: Projection) -> Projected:
    if np.ndim(latents) != 2:
        raise SchemaError(f"latents of shape {np.shape(latents)}: expected (N, D), one row an image.")
    found = project(Points.of_arrays({"latents": np.asarray(latents, np.float32)}), method)
    for notice in found.notices:
        logger.warning("%s", notice)
    return found
