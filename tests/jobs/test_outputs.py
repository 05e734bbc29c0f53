import pytest

from voxloom.errors import OutputExistsError
from voxloom.jobs.outputs import data_folders, refuse_among
from voxloom.sources import Layout


def test_all_folders_of_images_are_named(tmp_path):
    layout = Layout(data_base_dir=tmp_path / "a", target="mri", condition="ct", val_dir=tmp_path / "b")
    assert data_folders(layout) == [tmp_path / base / side for base in "ab" for side in ("mri", "ct")]


@pytest.mark.parametrize("output", ["data/mri", "data/mri/out", "data/mri/../mri/out", "link/out"])
def test_within_a_folder_of_data_is_refused(tmp_path, monkeypatch, output):
    (tmp_path / "data" / "mri").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "mri")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputExistsError, match=r"lies within the data folder data/mri.*Elsewhere"):
        refuse_among(output, ["data/mri"], "Elsewhere.")


@pytest.mark.parametrize("output", ["data/out", "data/mri_out", "out", "data"])
def test_beside_it_is_fine(tmp_path, monkeypatch, output):
    (tmp_path / "data" / "mri").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    refuse_among(output, ["data/mri"], "Elsewhere.")
