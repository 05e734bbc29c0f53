"""Two ways to one folder: what must never be replaced is recognised."""

import pytest

from voxloom.errors import OutputExistsError
from voxloom.volumes.creation import create, create_labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.place import Place, same_or_inside

LAYOUT = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", levels=1)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "d1" / "raw.zarr" / "labels").mkdir(parents=True)
    (tmp_path / "d2").symlink_to("d1")
    (tmp_path / "link.zarr").symlink_to("d1/raw.zarr")
    return tmp_path


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("d1/raw.zarr", "link.zarr", True),
        ("link.zarr", "d1/raw.zarr", True),
        ("d2/raw.zarr", "d1/raw.zarr", True),
        ("d1/raw.zarr/labels", "link.zarr", True),
        ("link.zarr/labels/new/s0", "d2/raw.zarr/labels", True),
        ("link.zarr", "d2", True),
        ("d1", "link.zarr", False),
        ("d1/raw.zarr.new", "d1/raw.zarr", False),
        ("d2/new.zarr", "link.zarr", False),
        ("new/a.zarr", "new", True),
    ],
)
def test_links_and_what_lies_below_them(root, one, other, expected):
    assert same_or_inside(Place.of(root / one), Place.of(root / other)) is expected


def test_a_folder_that_the_system_knows_by_two_names(root, monkeypatch):
    """A second mount, or a disk that knows no case: paths differ, the folder does not."""
    real = type(root).samefile

    def samefile(self, other):
        return real(type(self)(str(self).lower()), str(other).lower())

    monkeypatch.setattr(type(root), "samefile", samefile)
    assert same_or_inside(Place.of(root / "D1" / "RAW.zarr"), Place.of(root / "d1" / "raw.zarr"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("s3://bucket/em//raw.zarr/", "s3://bucket/em/x/../raw.zarr", True),
        ("s3://bucket/em", "s3://bucket", True),
        ("s3://bucket/em", "s3://bucket2/em", False),
        ("s3://bucket/em", "gs://bucket/em", False),
        ("s3://bucket/em.zarr", "s3://bucket/em", False),
        ("/bucket/em", "s3://bucket", False),
        ("https://Host/em", "https://host/em", True),
        ("file:///a/b", "/a", True),
    ],
)
def test_urls(one, other, expected):
    assert same_or_inside(Place.of(one), Place.of(other)) is expected


def test_labels_never_replace_the_image_that_they_lie_in(tmp_path):
    path = tmp_path / "raw.zarr"
    create(path, shape=(8, 8, 8), layout=LAYOUT)
    (path / "labels").mkdir()
    (path / "labels" / "all").symlink_to("..", target_is_directory=True)
    (path / "labels" / "self").symlink_to(path, target_is_directory=True)
    ids = LAYOUT.model_copy(update={"kind": "labels"})
    for name in ("all", "self"):
        with pytest.raises(OutputExistsError, match="leads to the image"):
            create_labels(path, name, shape=(8, 8, 8), layout=ids, overwrite=True)
    assert (path / "zarr.json").is_file()
