import pytest

from voxloom.atomic import replacing, write_json
from voxloom.errors import SaveError


def test_an_error_in_the_block_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write():
        with replacing(path) as file:
            file.write(b"new")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_save_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not write"):
        write_json(tmp_path / "file" / "x.json", {})
