"""Latents of folders of images, kept in the cache folder."""

import numpy as np
import pytest

from voxloom.jobs.latent_stores import encode_folders


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "latents"


def damage(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("harm", [damage, lambda path: path.unlink()])
def test_latents_in_the_cache_are_made_again_where_they_were_damaged(vae, pairs, cache, caplog, harm):
    caplog.set_level("WARNING", logger="voxloom")
    folders = {"ct": pairs / "dente"}
    means = np.array(encode_folders(folders, vae.folder)["ct"].column("image_mu"))
    (place,) = cache.glob("encoded-*")
    largest = max((place / "shards").iterdir(), key=lambda path: path.stat().st_size)
    harm(largest)
    again = encode_folders(folders, vae.folder)["ct"]
    assert np.array_equal(again.column("image_mu"), means)
    assert f"encoding again: {largest}" in caplog.text
    caplog.clear()
    encode_folders(folders, vae.folder)  # whole once more
    assert not caplog.text
