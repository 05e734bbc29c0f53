import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.testing.images import snapshot


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "meine fotos").mkdir()
    for i in range(6):
        Image.fromarray(np.full((6, 5, 3), 40 * i, np.uint8)).save(tmp_path / "meine fotos" / f"ü{i}.png")
    return tmp_path / "meine fotos"


def stages(text):
    return [
        line.split()[0]
        for line in text.splitlines()
        if line.split()[:1] and line.split()[-1:][0][:1].isdigit()
    ]


def test_a_store_beside_its_folder(call, photos, tmp_path):
    store = convert(photos, tmp_path / "ein speicher").path
    before = snapshot(tmp_path)
    done = call("bench", store, "--folder", photos, "--seconds", 0.01, "--batch-size", 2, "--cold")
    assert done.code == 0, done.err
    assert f"{store} (arrow)\nstage     workers  order     files  samples/s" in done.out
    assert f"\n{photos}\n" in done.out
    assert done.out.count(" bounds it (") == 2
    compared = done.out.partition("Fastest loader, shuffled, warm:\n")[2].splitlines()
    assert [line.split("  ")[1].strip() for line in compared] == [f"{store} (arrow)", str(photos)]
    assert compared[0].endswith(" samples/s  1 of the first")
    assert " of the first" in compared[1]
    assert stages(done.out)[:3] == ["storage", "decoding", "loader"]
    assert snapshot(tmp_path) == before


def test_a_folder_alone_and_as_other_formats(call, photos, tmp_path):
    done = call("bench", photos, "--formats", "memmap, tar", "--seconds", 0.01)
    assert done.code == 0, done.err
    assert [line for line in done.out.splitlines() if line.startswith("6 of 6")] == [
        "6 of 6 samples as memmap",
        "6 of 6 samples as tar",
    ]
    tables = done.out.partition("Fastest")[0]
    assert stages(tables) == ["storage", "decoding", "loader"] * 6


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of any fork
def test_each_number_of_workers_has_its_rows(call, photos, tmp_path):
    store = convert(photos, tmp_path / "s", format="memmap", size=(4, 4)).path
    done = call("bench", store, "--workers", "0,1,2", "--seconds", 0.01)
    assert done.code == 0, done.err
    assert stages(done.out).count("loader") == 6


def test_what_is_not_alike_is_not_compared(call, photos, tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(photos / "other.png")
    store = convert(photos, tmp_path / "s", size=(4, 4)).path
    done = call("bench", store, "--folder", photos, "--seconds", 0.01, "--batch-size", 2, "--workers", "0,0")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].endswith("(batches of 1, and of 2 in the first)")
    assert stages(done.out).count("loader") == 4
    (photos / "other.png").unlink()
    done = call("bench", store, "--folder", photos, "--seconds", 0.01, "--batch-size", 2)
    assert done.out.splitlines()[-1].endswith("(samples of 90 bytes, and of 48 bytes in the first)")


def test_a_table_can_be_cold(call, photos, tmp_path):
    rows = "".join(f"{path}\n" for path in sorted(photos.iterdir()))
    (tmp_path / "t.csv").write_text(f"path\n{rows}", encoding="utf-8")
    done = call("bench", tmp_path / "t.csv", "--seconds", 0.01, "--cold")
    assert done.code == 0, done.err
    assert "files of this source are not known" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument 'PATH'"),
        (["{}/nothing"], 1, "no such file or folder"),
        (["{}/meine fotoss"], 1, "Did you mean 'meine fotos'?"),
        (["{}/meine fotos/ü1.png"], 1, "Expected a folder"),
        (
            ["{}/meine fotos", "--workers", "0;2"],
            2,
            "'0;2': expected numbers of 0 and more, for instance 0,2,4",
        ),
        (["{}/meine fotos", "--workers", "-1"], 2, "'-1': expected numbers"),
        (["{}/meine fotos", "--batch-size", "0"], 2, "0 is not in the range"),
        (["{}/meine fotos", "--seconds", "0"], 2, "0.0 is not in the range"),
        (["{}/meine fotos", "--formats", "arow"], 1, "unknown format 'arow'"),
        (["{}/meine fotos", "--folder", "{}/nothing", "--seconds", "0.01"], 1, "no such file or folder"),
    ],
)
def test_slips_are_told(call, photos, tmp_path, arguments, code, said):
    failed = call("bench", *(argument.format(tmp_path) for argument in arguments))
    assert failed.code == code, failed.err
    assert said in failed.err, failed.err
    assert "Traceback" not in failed.err


def test_the_help_has_an_example(call):
    assert "voxloom bench photos --formats memmap,arrow" in call("bench", "--help").out
