import os

import pytest

from voxloom.errors import DataError
from voxloom.volumes.place import Place, begin_reads, finish_reads

AWS = [
    "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SHARED_CREDENTIALS_FILE", "STORAGE_EMULATOR_HOST",
    "TENSORSTORE_GCS_HTTP_URL", "GOOGLE_AUTH_TOKEN_FOR_TESTING",
]  # fmt: skip


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment without anything about object stores, and a home without credentials."""
    for name in AWS:
        monkeypatch.setenv(name, "")  # so that what the code sets goes, too
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b.zarr/", "/a/b.zarr"),
        ("/a/../b.zarr", "/b.zarr"),
        ("file:///a/b%20c.zarr", "/a/b c.zarr"),
        ("file:///a/b%231#2?.zarr", "/a/b#1#2?.zarr"),
        ("s3://bucket/a/b.zarr/", "s3://bucket/a/b.zarr"),
        ("s3://bucket/exp#3/what?/a b%20c.zarr", "s3://bucket/exp#3/what?/a b%20c.zarr"),
        ("gs://bucket/b.zarr", "gs://bucket/b.zarr"),
        ("https://host:8080/x/b.zarr", "https://host:8080/x/b.zarr"),
    ],
)
def test_places_of_paths_and_urls(text, expected):
    place = Place.of(text)
    assert str(place) == expected
    assert Place.of(str(place)) == Place.of(place) == place


def test_relative_paths_and_the_home_folder(bare, tmp_path):
    bare.chdir(tmp_path)
    assert str(Place.of("em.zarr")) == os.path.join(os.getcwd(), "em.zarr")
    assert str(Place.of("~/em.zarr")) == str(tmp_path / "em.zarr")


def test_parts_of_a_place():
    place = Place.of("s3://bucket/em/raw.zarr")
    assert place.name == "raw.zarr"
    assert str(place.parent) == "s3://bucket/em"
    assert str(place.parent.parent) == "s3://bucket/"
    assert str(place.join("labels", "mito/s0")) == "s3://bucket/em/raw.zarr/labels/mito/s0"
    assert str(place.join("")) == str(place)


@pytest.mark.parametrize("text", ["ftp://host/a", "zip://a", "s3:///a", "gs://", "http:///a"])
def test_urls_that_are_none_of_ours(text):
    with pytest.raises(DataError, match=r"expected"):
        Place.of(text)


@pytest.mark.parametrize("rest", ["?sig=x%2Fy&e=1", "#s0", "/a?b/c.zarr"])
def test_addresses_that_would_lose_a_part_are_refused(rest):
    with pytest.raises(DataError, match="without"):
        Place.of(f"https://host/em.zarr{rest}")


def test_s3_is_anonymous_where_no_credentials_are_set(bare, tmp_path):
    place = Place.of("s3://bucket/em.zarr")
    spec = {"driver": "s3", "bucket": "bucket", "path": "em.zarr/"}
    assert place.kvstore() == {**spec, "aws_credentials": {"type": "anonymous"}}
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert place.kvstore()["endpoint"] == "http://127.0.0.1:9000"
    assert place.kvstore()["aws_region"] == "us-east-1"
    bare.setenv("AWS_REGION", "eu-west-1")
    bare.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9001")
    assert (place.kvstore()["endpoint"], place.kvstore()["aws_region"]) == (
        "http://127.0.0.1:9001",
        "eu-west-1",
    )
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch()
    assert place.kvstore()["aws_credentials"] == {"type": "default"}
    bare.setenv("AWS_ACCESS_KEY_ID", "key")
    assert place.kvstore()["aws_credentials"] == {"type": "environment"}


def test_gcs_goes_to_the_emulator_that_google_s_clients_know(bare):
    place = Place.of("gs://bucket/em.zarr")
    assert place.kvstore() == {"driver": "gcs", "bucket": "bucket", "path": "em.zarr/"}
    assert "TENSORSTORE_GCS_HTTP_URL" not in os.environ
    bare.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9023")
    place.kvstore()
    assert os.environ["TENSORSTORE_GCS_HTTP_URL"] == "http://127.0.0.1:9023"


def test_small_files_are_read_at_once_and_missing_ones_are_none(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.json").write_text('{"a": 1}')
    place = Place.of(tmp_path)
    wanted = [
        (place, "none.json"),
        (place, "b/x.json"),
        (place.join("b"), "x.json"),
        (place.join("no"), "x.json"),
    ]
    assert finish_reads(begin_reads(wanted)) == [None, {"a": 1}, {"a": 1}, None]
    assert place.join("b").read_json("x.json") == {"a": 1}
    assert (place.folders(), place.join("b").list_children(), place.join("no").list_children()) == (
        ["b"],
        ["x.json"],
        [],
    )
    assert (place.is_file, Place.of(tmp_path / "b" / "x.json").is_file) == (False, True)
