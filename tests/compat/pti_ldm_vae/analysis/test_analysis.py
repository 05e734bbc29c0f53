"""The older analysis: the documented names do what was documented, and not what was wrong."""

import math
import os

import numpy as np
import pytest
import torch

from voxloom.compat.pti_ldm_vae.analysis import (
    ImageComparison,
    LatentCache,
    LatentSpaceAnalyzer,
    compute_distance_metrics,
    extract_patient_id_from_filename,
    load_image_paths,
)
from voxloom.errors import ConfigError, MissingDataError, SchemaError
from voxloom.sources import write_image


@pytest.fixture(autouse=True)
def _kept_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "kept"))


class Vae:
    """Encodes an image to its mean and its maximum."""

    is_evaluating = False

    def eval(self):
        self.is_evaluating = True

    def encode_deterministic(self, images):
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1)[:, :, None, None]


def image(path):
    return np.full((1, 4, 4), float(os.path.basename(path)[6:9]))


@pytest.fixture
def analyzer():
    return LatentSpaceAnalyzer(Vae(), "cpu", image)


def test_patients_and_paths(tmp_path):
    assert extract_patient_id_from_filename("a/b/scan_x_012.tiff") == "012"
    assert extract_patient_id_from_filename("scan.tif") == "scan"
    for name in ("b.tif", "a.TIFF", "c.png"):
        (tmp_path / name).touch()
    assert [os.path.basename(p) for p in load_image_paths(tmp_path)] == ["a.TIFF", "b.tif"]
    assert len(load_image_paths(tmp_path, 1)) == 1
    assert [os.path.basename(p) for p in load_image_paths(tmp_path, extensions=["png"])] == ["c.png"]


def test_distances_of_two_sets():
    a, b = np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 1.0]])
    assert compute_distance_metrics(a, b) == pytest.approx((3.0, 0.5, 0.0, math.sqrt(10)))
    assert compute_distance_metrics(a, b[:0]) is None


def test_images_are_encoded_in_order(analyzer):
    assert analyzer.vae.is_evaluating
    paths = [f"image_{i:03d}.tif" for i in (5, 1, 9)]
    latents, ids = analyzer.encode_images(paths, batch_size=2, show_progress=False)
    assert latents.tolist() == [[5, 5], [1, 1], [9, 9]]
    assert latents.dtype == np.float32
    assert ids == ["005", "001", "009"]
    assert analyzer.encode_images(paths, max_images=1, show_progress=False)[1] == ["005"]
    with pytest.raises(ValueError, match="no images"):
        analyzer.encode_images([])
    assert issubclass(MissingDataError, ValueError)


def test_a_vae_that_only_draws_is_taken_as_it_is():
    class Older:
        def eval(self):
            pass

        def encode_stage_2_inputs(self, images):
            return images[:, :, :1, :1]

    latents, _ = LatentSpaceAnalyzer(Older(), "cpu", image).encode_images(
        ["image_003.tif"], show_progress=False
    )
    assert latents.tolist() == [[3.0]]


def test_places_and_new_points_beside_them(analyzer):
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(24, 8)).astype("f4")
    latents[12:] += 20
    places, reducer = analyzer.reduce_dimensionality_umap(latents, n_neighbors=6)
    assert places.shape == (24, 2)
    centres = np.stack([places[:12].mean(0), places[12:].mean(0)])
    new = reducer.transform(np.stack([latents[0] + 0.1, latents[20] - 0.1]))
    assert np.linalg.norm(new[:, None] - centres, axis=-1).argmin(1).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"expected \(N, D\)"):
        analyzer.reduce_dimensionality_umap(latents[0])
    assert issubclass(SchemaError, ValueError)


def test_tsne_of_a_small_set_says_what_it_changed(analyzer, caplog):
    latents = np.random.default_rng(0).normal(size=(12, 8)).astype("f4")
    assert analyzer.reduce_dimensionality_tsne(latents, perplexity=30).shape == (12, 2)
    assert "perplexity" in caplog.text


def test_colours_of_patients(analyzer, tmp_path):
    numbers, colours = analyzer.create_patient_colormap([f"{i:03d}" for i in range(40)] * 2)
    assert (len(numbers), len(set(colours.values()))) == (40, 40)
    analyzer.save_color_legend(numbers, colours, tmp_path / "legend.txt")
    lines = (tmp_path / "legend.txt").read_text(encoding="utf-8").splitlines()
    assert lines[1] == f"1: 001 — {colours['001']}"


@pytest.fixture
def projections():
    rng = np.random.default_rng(0)
    ids = ["001", "001", "002"]
    return [(rng.normal(size=(3, 2)), ids, "o", "edente"), (rng.normal(size=(3, 2)), ids, "o", "dente")]


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.html"])
@pytest.mark.parametrize("by_patient", [True, False])
def test_a_figure_of_two_groups(analyzer, projections, tmp_path, name, by_patient):
    files = [["x/1_001.tif", "x/2_001.tif", "x/3_002.tif"]] * 2 if by_patient else None
    analyzer.plot_projection_2d(
        projections, str(tmp_path / name), "Title", color_by_patient=by_patient, image_paths_list=files
    )
    written = (tmp_path / name).read_bytes()
    assert len(written) > 1000
    assert name != "a.html" or not by_patient or b"3_002.tif" in written


def test_exams_of_two_groups_side_by_side(analyzer, projections, tmp_path):
    latents = [np.eye(3), np.eye(3) * 2]
    analyzer.compute_group_statistics(projections, latents, tmp_path)
    order = (tmp_path / "exams_sorted_by_distance.txt").read_text()
    assert order.splitlines() == [f"1. 001: {math.sqrt(0.5):.3f}", "2. 002: 1.000"]
    assert "edente images: 2" in (tmp_path / "distance_metrics.txt").read_text()
    analyzer.compute_group_statistics(projections, np.concatenate(latents), tmp_path)
    assert (tmp_path / "exams_sorted_by_distance.txt").read_text() == order
    analyzer.compute_group_statistics(projections[:1], latents[:1], tmp_path / "none")
    assert not (tmp_path / "none").exists()


class Encoder:
    def __init__(self):
        self.asked = []

    def __call__(self, path):
        self.asked.append(os.path.basename(path))
        return np.full((1, 2), len(self.asked), np.float32), extract_patient_id_from_filename(path)


@pytest.fixture
def files(tmp_path):
    for name in ("i_001.tif", "i_002.tif", "w.pt"):
        (tmp_path / name).write_text(name)
    return [str(tmp_path / f"i_00{i}.tif") for i in (1, 2)]


def test_latents_are_kept_until_weights_or_images_change(files, tmp_path):
    cache, encoder = LatentCache(tmp_path / "cache"), Encoder()

    def get(order=1):
        return cache.get_or_encode_batch(files[::order], encoder, tmp_path / "w.pt", (8, 8), "edente")

    latents, ids, paths = get()
    assert (latents.tolist(), ids, paths) == ([[1, 1], [2, 2]], ["001", "002"], files)
    assert get(-1)[0].tolist() == [[2, 2], [1, 1]]
    assert len(encoder.asked) == 2
    os.utime(files[0], ns=(1, 1))
    assert get()[0].tolist() == [[3, 3], [2, 2]]
    (tmp_path / "w.pt").write_text("trained again")
    get()
    assert len(encoder.asked) == 5
    stats = cache.get_cache_stats()
    assert sorted(each["num_images"] for each in stats.values()) == [2, 3]
    cache.clear_cache(next(iter(stats)))
    assert len(cache.get_cache_stats()) == 1
    cache.clear_cache()
    assert cache.get_cache_stats() == {}


def test_a_damaged_latent_is_encoded_again(files, tmp_path, caplog):
    cache, encoder = LatentCache(tmp_path / "cache"), Encoder()
    for _ in range(2):
        cache.get_or_encode_batch(files, encoder, tmp_path / "w.pt", (8, 8))
        next((tmp_path / "cache").rglob("*.npz")).write_bytes(b"PK")
    assert len(encoder.asked) == 3
    assert "encoded again" in caplog.text


@pytest.fixture
def compared(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        true = np.zeros((24, 24), np.float32)
        true[6:18, 6:18] = rng.random((12, 12)) + 1
        write_image(tmp_path / "edente" / f"{number}.tif", true)
        write_image(tmp_path / "edente_synth" / f"{number}.tif", true + (number > 0) * 0.05 * (true > 0))
    return tmp_path / "edente"


def test_images_are_compared_as_they_lie(compared):
    before = sorted(compared.parent.rglob("*"))
    means, intervals = ImageComparison().process_all_images(str(compared), verbose=True)
    assert means["dice"] == 1
    assert means["mae_masked"] == pytest.approx(0.0375, rel=1e-4)
    low, high = intervals["mae_masked"]
    assert low < means["mae_masked"] < high
    assert sorted(compared.parent.rglob("*")) == before
    alike, _ = ImageComparison().process_all_images([compared], mode="last_n", n=2)
    assert alike["mae_masked"] == pytest.approx(0.05, rel=1e-4)


def test_results_go_beside_the_data(compared):
    ImageComparison(apply_otsu_mask=True).process_all_images([compared], mode="random_n", n=2, save_csv=True)
    assert (compared.parent / "evaluation" / "per_image.csv").is_file()
    assert len(list(compared.iterdir())) == 4
    with pytest.raises(ConfigError, match="expected all"):
        ImageComparison().process_all_images([compared], mode="last_n")
    with pytest.raises(ConfigError, match="named edente"):
        ImageComparison().process_all_images([compared.parent])
