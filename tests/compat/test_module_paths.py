"""The module paths of the Dataset Conversion Library, beside others of the same names."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from voxloom.compat import dataset_conversion, module_paths
from voxloom.errors import CompatError

OLD_SCRIPT = Path(__file__).parent / "data" / "old_conversion_script.txt"
NAMES = ("datasets", "utils", "examples", "dense_memmap_converter")


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """Give the interpreter back as it was, and begin without the older names."""
    mine = [name for name in sys.modules if name.split(".")[0] in NAMES]
    kept = {name: sys.modules.pop(name) for name in mine}
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if "voxloom" not in type(f).__module__])
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(Path.cwd()))])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in NAMES]:
        sys.modules.pop(name)
    sys.modules.update(kept)
    importlib.invalidate_caches()


@pytest.fixture
def asked():
    """Do what ``python -m voxloom.compat`` does."""
    sys.path.insert(0, str(module_paths.SHIM_FOLDER))
    module_paths.install()


@pytest.fixture
def beside(tmp_path):
    """Write modules beside the script."""
    sys.path.insert(0, str(tmp_path))

    def write(files):
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return tmp_path

    return write


@pytest.mark.parametrize("name", sorted(module_paths.MODULES))
def test_each_module_has_all_the_adapters(name, asked):
    module = importlib.import_module(name)
    assert module.MemmapConverter is dataset_conversion.MemmapConverter
    assert module.__name__ == name


def test_nothing_is_there_without_being_asked_for():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("datasets.memmap.memmap_converter")


@pytest.mark.parametrize("before", [True, False])
def test_a_regular_datasets_keeps_its_own_names(before, asked, beside):
    """As HuggingFace's, wherever it lies on the path."""
    root = beside(
        {
            "datasets/__init__": "import datasets.arrow\ndef load_dataset(): return 'theirs'\n",
            "datasets/arrow": "X = 1\n",
        }
    )
    if not before:
        sys.path.remove(str(root))
        sys.path.append(str(root))
    import datasets

    assert datasets.load_dataset() == "theirs"
    assert importlib.import_module("datasets.arrow").X == 1
    assert importlib.import_module("datasets.memmap.memmap_reader").MemmapReader
    with pytest.raises(ModuleNotFoundError, match=r"datasets\.other"):
        importlib.import_module("datasets.other")


def test_a_package_that_fails_says_what_went_wrong(asked, beside):
    root = beside({"datasets/__init__": "1 / 0\n"})
    sys.path.remove(str(root))
    sys.path.append(str(root))
    with pytest.raises(ZeroDivisionError):
        importlib.import_module("datasets")
    assert "datasets" not in sys.modules


@pytest.mark.parametrize("init", [{"utils/__init__": ""}, {}])
def test_a_scripts_own_utils_stays(init, asked, beside):
    beside({"utils/paint": "X = 2\n", "utils/utils": "X = 3\n", **init})
    assert importlib.import_module("utils.paint").X == 2
    assert importlib.import_module("utils.utils").X == 3
    assert importlib.import_module("utils.converter_utils").ConverterFixedSize


def test_ours_stand_in_the_place_of_the_older_library_itself(asked, beside, caplog):
    names = ("utils/utils", "utils/converter_utils", "utils/custom_sampler", "datasets/tar/tar_reader")
    beside({**dict.fromkeys(names, "X = 1\n"), "datasets/tar/more": "X = 4\n"})
    for name in names:
        module = importlib.import_module(name.replace("/", "."))
        assert not hasattr(module, "__file__")
        assert module.TarReader
    assert len(caplog.records) == 4
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert importlib.import_module("datasets.tar.more").X == 4


def test_what_has_no_adapter_says_what_there_is(asked):
    with pytest.raises(
        CompatError, match=r"datasets\.tar\.tar_index has no adapter.*datasets\.tar\.tar_reader"
    ):
        importlib.import_module("datasets.tar.tar_index")
    with pytest.raises(CompatError, match=r"utils\.utils\.plot_all has no adapter.*ResizeAndConvert"):
        exec("from utils.utils import plot_all")
    assert not hasattr(importlib.import_module("utils.utils"), "__wrapped__")


def test_asking_twice_changes_nothing(asked):
    before = list(sys.meta_path)
    module_paths.install()
    assert sys.meta_path == before


def test_an_older_script_runs_unchanged(tmp_path):
    """Workers are spawned there: they import the script anew."""
    script = tmp_path / "job" / "convert.py"
    script.parent.mkdir()
    script.write_text(OLD_SCRIPT.read_text())
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (20 + number, 10), (90 * label, 0, 0)).save(
                tmp_path / "in" / name / f"{number}.jpg"
            )
    done = subprocess.run(
        [sys.executable, "-m", "voxloom.compat", script, "--input_path", "in", "--output_dir", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "(4, 8, 12, 3) [0, 0, 0, 0]",
        "(4, 8, 12, 3) [1, 1, 1, 1]",
        "{'cat': 0, 'dog': 1} 3 True",
        "parquet JPEG (20, 10) 0",
        "ipc JPEG (20, 10) 0",
        "tar JPEG (20, 10) 0",
    ]
    assert not done.stderr
