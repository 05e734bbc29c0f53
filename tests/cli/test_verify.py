import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.testing.images import snapshot


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "meine fotos").mkdir()
    for i in range(4):
        Image.fromarray(np.full((6, 5, 3), 40 * i, np.uint8)).save(tmp_path / "meine fotos" / f"ü{i}.png")
    return tmp_path / "meine fotos"


@pytest.fixture
def store(photos, tmp_path):
    return convert(photos, tmp_path / "mein speicher", samples_per_shard=2).path


def test_a_whole_store(call, store, photos):
    before = snapshot(store)
    done = call("verify", store)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"OK: {store}: 4 samples")
    compared = call("verify", store, "--against", photos)
    assert compared.code == 0
    assert "equals its source" in compared.out
    assert snapshot(store) == before


def test_each_problem_has_a_line(call, store):
    shards = sorted((store / "shards").iterdir())
    data = bytearray(shards[0].read_bytes())
    data[len(data) // 2] ^= 1
    shards[0].write_bytes(data)
    shards[1].unlink()
    failed = call("verify", store)
    assert failed.code == 1
    lines = failed.out.splitlines()
    assert "2 problems" in lines[0]
    assert [name in line for name, line in zip(("00000", "00001"), lines[1:], strict=True)] == [True, True]
    assert "OK" not in failed.out


def test_a_source_that_has_changed(call, store, photos):
    Image.fromarray(np.full((6, 5, 3), 255, np.uint8)).save(photos / "ü1.png")
    assert call("verify", store).code == 0
    failed = call("verify", store, "--against", photos)
    assert failed.code == 1
    assert "ü1.png" in failed.out


def test_a_store_of_named_folders_is_compared_with_them(call, photos, tmp_path):
    given = ["--image", f"ct={photos}", "--mask", f"organ={photos}"]
    assert call("convert", tmp_path / "s", *given).code == 0
    done = call("verify", tmp_path / "s", *given)
    assert done.code == 0, done.err
    assert "every sample equals its source" in done.out
    Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(photos / "ü2.png")
    assert call("verify", tmp_path / "s", *given).code == 1


def test_a_store_of_a_layout_is_compared_as_that(call, photos, tmp_path):
    (photos / "more").mkdir()
    Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(photos / "more" / "1.png")
    assert call("convert", photos, tmp_path / "s", "--layout", "flat").code == 0
    refused = call("verify", tmp_path / "s", "--against", photos)
    assert (refused.code, "--layout flat or --layout classes" in refused.err) == (1, True)
    assert call("verify", tmp_path / "s", "--against", photos, "--layout", "flat").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument"),
        (["{}/nothing"], 1, "is no store"),
        (["{}/meine fotos"], 1, "is no store"),
        (["{}/meine fotos/ü1.png"], 1, "is no store"),
        (["{}/mein speicher", "--against", "{}/nothing"], 1, "no such file or folder"),
        (["{}/mein speicer"], 1, "Did you mean 'mein speicher'?"),
        (["{}/mein speicher", "--against", "{}/meine foto"], 1, "Did you mean 'meine fotos'?"),
        (["{}/mein speicher", "--layout", "flat"], 2, "expected --against SRC"),
        (["{}/mein speicher", "--against", "{}/x", "--image", "a=b"], 2, "expected none, since --image"),
        (["{}/mein speicher", "--against", "{}/meine fotos", "--layout", "pairs"], 1, "--mask NAME=FOLDER"),
        (["{}/mein speicher", "--againts", "x"], 2, "--against"),
    ],
)
def test_slips_are_told(call, store, tmp_path, arguments, code, said):
    failed = call("verify", *(argument.format(tmp_path) for argument in arguments))
    assert failed.code == code
    assert said in failed.err
    assert "Traceback" not in failed.err


def test_an_unfinished_and_a_cut_store(call, store):
    manifest = store / "manifest.json"
    text = manifest.read_bytes()
    manifest.write_bytes(text[: len(text) // 2])
    cut = call("verify", store)
    assert cut.code == 1
    assert "not a whole JSON file" in cut.err
    manifest.unlink()
    (store / "journal").mkdir()
    (store / "journal" / "plan.json").touch()
    unfinished = call("verify", store)
    assert unfinished.code == 1
    assert "--resume" in unfinished.err


def test_the_help_has_an_example(call):
    assert "voxloom verify photos_store --against photos" in call("verify", "--help").out
