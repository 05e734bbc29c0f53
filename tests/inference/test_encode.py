import itertools
import os

import numpy as np
import pytest
import torch

from voxloom.errors import SaveError
from voxloom.formats.rows import RowWriter
from voxloom.formats.store import Store
from voxloom.inference import LatentCache, PickVariant, latent_scale, weights_digest
from voxloom.models import Autoencoder, LatentScale
from voxloom.ranks import Rank
from voxloom.sample import Field, Sample, Schema
from voxloom.sources import ImageFolder, PairFolder, ReadPolicy
from voxloom.testing.images import snapshot
from voxloom.transforms import Augment, Preparation

PLAIN = Preparation().transform((16, 16))
MOVED = Preparation().transform((16, 16), Augment())


@pytest.fixture
def encodings(monkeypatch):
    """Counts the images that are encoded."""
    encode, counted = Autoencoder.encode, []

    def watched(self, x):
        counted.append(len(x))
        return encode(self, x)

    monkeypatch.setattr(Autoencoder, "encode", watched)
    return counted


def pairs(folder, **options):
    return PairFolder(folder / "edente", folder / "dente", **options)


def test_latents_are_the_posteriors_of_each_side(tmp_path, shared, autoencoder):
    source = pairs(shared)
    told = []
    latents = LatentCache(tmp_path, autoencoder, batch_size=2).encode(
        source, PLAIN, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert latents.keys == list(source.keys)
    assert list(latents.schema) == ["target_mu", "target_sigma", "condition_mu", "condition_sigma"]
    assert latents.schema["target_mu"].shape == (1, 2, 8, 8)
    with torch.no_grad():
        for index, side in itertools.product(range(5), ("target", "condition")):
            image = PLAIN(source[index], np.random.default_rng(0))[side]
            mu, logvar = autoencoder.encode(torch.from_numpy(image)[None])
            sample = latents[index]
            assert np.allclose(sample[f"{side}_mu"][0], mu[0], atol=1e-5)
            assert np.allclose(sample[f"{side}_sigma"][0], (logvar[0] / 2).exp(), atol=1e-5)


def test_what_is_encoded_once_is_found_again(tmp_path, shared, autoencoder, encodings, caplog):
    cache = LatentCache(tmp_path / "cache", autoencoder)
    first = cache.encode(pairs(shared), PLAIN)
    assert sum(encodings) == 10
    encodings.clear()
    with caplog.at_level("INFO"):
        again = LatentCache(tmp_path / "cache", autoencoder, batch_size=3).encode(pairs(shared), PLAIN)
    assert encodings == []
    assert "latents of 5 samples found in" in caplog.text
    assert again.path == first.path
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_all_that_latents_depend_on_is_in_their_name(tmp_path, data, autoencoder, another, encodings):
    def folder(model=autoencoder, transform=PLAIN, variants=1, seed=0, **options):
        cache = LatentCache(tmp_path / "cache", model, seed=seed)
        return cache.encode(pairs(data, **options), transform, variants=variants).path

    os.utime(data / "dente" / "p0_00.tif", ns=(1, 1))
    seen = [folder()]
    seen.append(folder(another))
    seen.append(folder(transform=Preparation(fit="pad").transform((16, 16))))
    seen.append(folder(transform=Preparation().transform((16, 8))))
    seen.append(folder(transform=MOVED, variants=2))
    seen.append(folder(transform=MOVED, variants=2, seed=1))
    seen.append(folder(policy=ReadPolicy(nonfinite="zero")))
    (data / "dente" / "p0_00.tif").touch()  # changed
    seen.append(folder())
    (data / "edente" / "p0_00.tif").unlink()
    seen.append(folder(unmatched="drop"))
    assert len(set(seen)) == len(seen)
    encodings.clear()
    assert folder(unmatched="drop", seed=7) == seen[-1]  # without variants the seed draws nothing
    assert encodings == []


def test_what_was_not_finished_is_encoded_anew(tmp_path, shared, autoencoder, encodings, monkeypatch):
    def full(self, *args, **kwargs):
        raise SaveError("no room")

    cache = LatentCache(tmp_path / "cache", autoencoder)
    monkeypatch.setattr(RowWriter, "write", full)
    with pytest.raises(SaveError):
        cache.encode(pairs(shared), PLAIN)
    monkeypatch.undo()
    assert not any((tmp_path / "cache").iterdir())
    assert len(cache.encode(pairs(shared), PLAIN)) == 5


def test_a_cache_that_lost_a_file_is_made_anew(tmp_path, shared, autoencoder):
    cache = LatentCache(tmp_path, autoencoder)
    folder = cache.encode(pairs(shared), PLAIN).path
    (folder / "shards" / "00000.target_mu.npy").unlink()
    assert cache.encode(pairs(shared), PLAIN)[0]["target_mu"].shape == (1, 2, 8, 8)


@pytest.mark.parametrize("world", [2, 3, 7])
def test_ranks_share_the_work_and_change_nothing(tmp_path, shared, autoencoder, world, monkeypatch):
    """One after the other here: rank 0 makes the files, and finishes when all have written theirs."""
    alone = LatentCache(tmp_path / "one", autoencoder, batch_size=2).encode(pairs(shared), MOVED, variants=2)
    caches = [LatentCache(tmp_path / "many", autoencoder, rank=Rank(i, world)) for i in range(world)]
    writer, finish = [], RowWriter.finish
    monkeypatch.setattr(RowWriter, "finish", lambda self, facts: writer.append((self, facts)))
    for cache in caches:
        cache._write(tmp_path / "many", pairs(shared), MOVED, 2, None)
    monkeypatch.undo()
    finish(*writer[0])
    together = Store(tmp_path / "many")
    assert together.keys == alone.keys
    for name in alone.schema:
        assert np.allclose(together.column(name), alone.column(name), atol=1e-5), name


def test_variants_differ_and_one_of_them_is_taken_for_all_fields(tmp_path, shared, autoencoder):
    latents = LatentCache(tmp_path, autoencoder).encode(pairs(shared), MOVED, variants=3)
    sample = latents[1]
    assert sample["target_mu"].shape == (3, 2, 8, 8)
    for a, b in itertools.combinations(range(3), 2):
        assert not np.allclose(sample["target_mu"][a], sample["target_mu"][b])
    taken = set()
    for seed in range(20):
        picked = PickVariant()(sample, np.random.default_rng(seed))
        which = [[v for v in range(3) if np.array_equal(picked[name], sample[name][v])] for name in sample]
        assert all(one == which[0] for one in which)
        taken.update(which[0])
    assert taken == {0, 1, 2}


def test_a_variant_moves_both_sides_alike(tmp_path, shared, autoencoder):
    same = PairFolder(shared / "dente", shared / "dente")
    latents = LatentCache(tmp_path, autoencoder).encode(same, MOVED, variants=2)
    assert np.array_equal(latents.column("target_mu"), latents.column("condition_mu"))


def test_the_scale_is_measured_over_the_means_of_all_fields(tmp_path, shared, autoencoder):
    latents = LatentCache(tmp_path, autoencoder).encode(pairs(shared), PLAIN)
    scale = latent_scale(latents)
    means = np.concatenate([latents.column("target_mu"), latents.column("condition_mu")])
    assert scale.mean == pytest.approx(means.mean((0, 1, 3, 4)), rel=1e-4)
    assert scale.deviation == pytest.approx(means.std((0, 1, 3, 4)), rel=1e-4)
    assert isinstance(scale, LatentScale)


def test_the_digest_depends_on_the_weights_alone(autoencoder, another):
    assert weights_digest(autoencoder) == weights_digest(autoencoder) != weights_digest(another)
    another.load_state_dict(autoencoder.state_dict())
    assert weights_digest(autoencoder) == weights_digest(another)
    with torch.no_grad():
        next(another.parameters()).view(-1)[0] += 1e-6
    assert weights_digest(autoencoder) != weights_digest(another)


def test_images_of_one_folder_are_encoded_as_well_and_nothing_is_written_there(tmp_path, shared, autoencoder):
    before = snapshot(shared)
    latents = LatentCache(tmp_path, autoencoder).encode(ImageFolder(shared / "dente"), PLAIN)
    assert list(latents.schema) == ["image_mu", "image_sigma"]
    assert snapshot(shared) == before


def test_a_sample_of_one_variant_is_taken_without_a_draw():
    schema = Schema([Field(name="mu", kind="latent", axes="vcyx")])
    picked = PickVariant()(Sample("a", schema, {"mu": np.ones((1, 2, 3, 3))}), None)
    assert picked["mu"].shape == (2, 3, 3)
