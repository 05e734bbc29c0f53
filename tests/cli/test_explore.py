"""``voxloom explore`` in a real process: its address, its end, and what it says of mistakes."""

import contextlib
import http.client
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from voxloom.conversion import convert
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

pytest.importorskip("dash")

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Latents(Source):
    """Latents without images."""

    schema = Schema([Field(name="image_mu", kind="latent", axes="cyx", shape=(2, 3, 3))])
    keys = tuple(f"p{i // 4}_{i}" for i in range(40))

    def read(self, index):
        array = np.random.default_rng(index).random((2, 3, 3), "float32")
        return Sample(self.keys[index], self.schema, {"image_mu": array})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explore") / "latents"
    convert(Latents(), folder, format="memmap")
    return folder


def children(pid):
    """The processes that a process has started, by number; the one that counts semaphores left out."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


class Running:
    """The command, until it is stopped."""

    def __init__(self, store, *arguments):
        command = [sys.executable, "-m", "voxloom", "explore", store, "--port", 0, *arguments]
        self.process = subprocess.Popen(
            [str(each) for each in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        self.said = self.process.stdout.readline()
        self.port = int(self.said.rpartition("http://127.0.0.1:")[2].partition("/")[0])

    def ask(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self, number):
        """Send a signal, and return the exit code and what was said on the way."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out + err


@pytest.fixture
def running(store):
    begun = []

    def begin(*arguments):
        begun.append(Running(store, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.communicate()


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_at_once_and_leaves_no_process(running, number):
    explorer = running()
    assert explorer.said.startswith("exploring 40 points at http://127.0.0.1:")
    assert explorer.ask("/")[0] == explorer.ask("/thumb/3")[0] == 200
    (worker,) = wait_for(lambda: children(explorer.process.pid))
    began = time.monotonic()
    code, said = explorer.end(number)
    assert time.monotonic() - began < 5
    assert code == (-9 if number == signal.SIGKILL else 0)
    assert "Traceback" not in said
    assert gone(worker)


def test_a_taken_port_gives_the_next_one_where_no_other_page_may_ask(running):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        explorer = running("--title", "mine", "--port", port)
        assert explorer.port > port
    assert explorer.ask("/_dash-layout", Host="evil.example")[0] == 403
    assert explorer.ask("/_dash-update-component", "POST", "{}", Origin="http://evil.example")[0] == 403
    status, body = explorer.ask(
        "/_dash-update-component", "POST", "{", **{"Content-Type": "application/json"}
    )
    assert status >= 400
    assert b"Traceback" not in body
    assert b"site-packages" not in body
    assert b"mine" in explorer.ask("/")[1]
    code, said = explorer.end(signal.SIGINT)
    assert (code, f"port {port} is taken" in said) == (0, True)


def wait_for(found, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come")


def test_mistakes_are_told(call, store, tmp_path):
    for given, told in (
        ((), "expected a STORE"),
        ((tmp_path / "latnets",), "no such store"),
        ((store, "--group", "a"), "NAME=PATH"),
        ((store, "--group", "a=x", "--group", "a=y"), "each name once"),
        ((store, store), "--group NAME=STORE"),
        ((store, "--group", f"a={store}"), "is given twice, as latents and as a"),
        ((store.parent,), f"name one: {store}"),
        ((store / "shards",), "voxloom encode"),
        ((store.parent / "x",), f"There are {store}"),
        ((store, "--encode", "a=x"), "--checkpoint"),
        ((store, "--checkpoint", tmp_path / "run"), "does not exist"),
        ((store, "--color-by", "age"), "no attribute 'age'"),
        ((store, "--field", "image_sgma"), "image_mu"),
        ((store, "--fit", "latnets"), "latents"),
        ((store, "--patient", "key:("), "regular expression"),
        ((store, "--images", tmp_path / "none"), "no such file"),
    ):
        done = call("explore", *given)
        assert done.code != 0
        assert told in done.err, given
        assert "Traceback" not in done.err


def test_help_needs_nothing():
    code = "import sys; from voxloom.cli import cli; cli.main(['explore', '-h'], standalone_mode=False); "
    code += "print(sorted({'dash', 'torch', 'numpy', 'plotly'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--port" in done.stdout


@pytest.fixture
def seen(monkeypatch):
    """The session that would be served."""
    from voxloom.jobs import exploring

    sessions = []
    monkeypatch.setattr(
        exploring, "serve", lambda session, port, ready: sessions.append((session, port)) or True
    )
    yield sessions
    for session, _ in sessions:
        session.close()


def test_folders_are_encoded_first(call, trained, pairs, seen):
    done = call(
        *("explore", "--encode", f"edente={pairs / 'edente'}", "--encode", f"dente={pairs / 'dente'}"),
        *("--checkpoint", trained / "vae", "--max-images", 5, "--patch-size", 32, 32, "--device", "cpu"),
        *("--method", "umap", "--n-neighbors", 3, "--fit", "dente", "--port", 9),
        *("--patient", r"key:([^_/]+?)(?:\.[A-Za-z]+)?$"),
    )
    assert (done.code, done.err) == (0, "")
    ((session, port),) = seen
    assert (len(session.points), session.groups, session.points.shape) == (
        10,
        ("edente", "dente"),
        (2, 16, 16),
    )
    assert (session.has_images, session.can_decode, port) == (True, True, 9)
    assert session.image(7).problem == ""
    assert len(set(session.along(0, 7, 3))) == 3
    assert next(iter(session.methods)) == "umap"
    assert session.methods["umap"][0].default == 3
    assert session.facts(7).attributes["patient"] == session.facts(7).key[-6:-4]


SCRIPT = Path(__file__).parents[2] / "scripts" / "analyze_interactive.py"
PATIENT = r"key:([^_/]+?)(?:\.[A-Za-z]+)?$"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (
            "--vae-weights w.pt --config-file c.json --folder-edente e --folder-dente d --port 8051 --debug",
            "--checkpoint w.pt --config-file c.json --encode edente=e --encode dente=d --max-images 3000 "
            "--method umap --n-neighbors 40 --min-dist 0.5 --perplexity 30 --fit edente "
            f"--patient {PATIENT} --port 8051",
        ),
        (
            "--vae-weights w.pt --folder-edente e --method tsne --perplexity 9 --color-by-patient "
            "--subtitle x --max-images 9",
            "--checkpoint w.pt --title x --encode edente=e --max-images 9 --method tsne "
            f"--n-neighbors 40 --min-dist 0.5 --perplexity 9 --patient {PATIENT} --color-by {PATIENT}",
        ),
    ],
)
def test_the_older_command_asks_for_the_same(monkeypatch, given, asked):
    monkeypatch.setattr("voxloom.cli.main", lambda: None)
    monkeypatch.setattr(sys, "argv", ["analyze_interactive.py", *given.split()])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert sys.argv[1:] == ["explore", *asked.split()]


def test_the_older_command_does_nothing_where_it_is_only_read(monkeypatch):
    """As the process in the background does."""
    monkeypatch.setattr(sys, "argv", ["analyze_interactive.py", "--port", "1"])
    runpy.run_path(str(SCRIPT), run_name="__mp_main__")
    assert sys.argv[1:] == ["--port", "1"]
