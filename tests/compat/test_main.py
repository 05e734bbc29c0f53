"""``python -m voxloom.compat``: like ``python``, but for the older names."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voxloom.compat.__main__ import main
from voxloom.sources import write_image

OLD_SCRIPT = Path(__file__).parent / "data" / "old_script.txt"


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """Give the interpreter back as it was."""
    logger = logging.getLogger("voxloom")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", ["here", *sys.path])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "job" / "old.py"
    path.parent.mkdir()

    def write(text):
        path.write_text(text)
        return str(path)

    return write


def test_an_older_script_runs_unchanged(tmp_path, script):
    path = script(OLD_SCRIPT.read_text())
    for number in range(6):
        for side in ("edente", "dente"):
            write_image(tmp_path / "data" / side / f"{number}.tif", np.eye(20) * (number + 1) + np.tri(20))
    done = subprocess.run(
        [sys.executable, "-m", "voxloom.compat", path, "-d", "data", "--output", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "white is 255\nimages 10 pair 2 loss finite True\n"
    assert (tmp_path / "out" / "autoencoder_last.pt").is_file()
    assert "10 training, 2 validation" in done.stderr


WHO_AM_I = """
from __future__ import annotations
import json, sys
import beside
print(json.dumps([__name__, __file__, __doc__, __package__, __spec__, sys.argv, sys.path[0], beside.X]))
"""


def test_the_script_sees_what_python_would_show_it(script, capsys, tmp_path):
    path = script(WHO_AM_I)
    (Path(path).parent / "beside.py").write_text("X = 1\n")
    main([path, "-c", "a b", "--flag"])
    ours = capsys.readouterr().out
    plain = subprocess.run(
        [sys.executable, path, "-c", "a b", "--flag"], capture_output=True, text=True, check=True
    )
    assert ours == plain.stdout


FAILURES = {
    "an error": "def f():\n    1 / 0\n\nf()\n",
    "a chain": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error\n",
    "a syntax error": "x = 1\nif x\n    pass\n",
}


@pytest.mark.parametrize("what", FAILURES)
def test_tracebacks_are_those_of_python(what, script, capsys):
    path = script(FAILURES[what])
    with pytest.raises((ZeroDivisionError, ValueError, SyntaxError)) as caught:
        main([path])
    sys.excepthook(caught.type, caught.value, caught.value.__traceback__)
    plain = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert capsys.readouterr().err == plain.stderr


@pytest.mark.parametrize("code", ["3", "'gave up'", ""])
def test_exit_codes_are_the_scripts(code, script):
    with pytest.raises(SystemExit) as caught:
        main([script(f"import sys\nsys.exit({code})\n")])
    assert repr(caught.value.code) == (code or "None")


def test_the_scripts_own_logging_is_left_alone(script, capsys):
    main([script("import logging\nlogging.getLogger('voxloom.a').info('ours')\nlogging.info('its own')\n")])
    assert capsys.readouterr().err == "ours\n"


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_no_such_script(name, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([name])
    assert caught.value.code == 2
    assert f"no script {name!r} in {tmp_path}" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert "torchrun" in told
    assert "PTI-LDM-VAE" in told
    assert "Dataset Conversion Library" in told
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
