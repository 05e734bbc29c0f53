"""What is known of a store that is made unit by unit, whatever happens meanwhile."""

import shutil
import urllib.request
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from voxloom.errors import OutputExistsError, SaveError
from voxloom.volumes import engine, unit_marks
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.place import Place
from voxloom.volumes.unit_marks import UnitMarks

LAYOUT = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", chunk=(8, 8, 8), shard=None, levels=1)


class Made:
    """Marks of a store, and what makes it."""

    def __init__(self, root, plan="one", name="p.zarr"):
        self.store = Place.of(f"{root}/{name}")
        self.marks = UnitMarks(Place.of(f"{root}/marks"), {"plan": plan}, kind="copy")
        self.made = []

    def make(self, anew):
        self.made.append(anew)
        create(str(self.store), shape=(16, 16, 16), layout=LAYOUT, overwrite=anew, resume=not anew)

    def begin(self, **how):
        self.marks.begin([self.store], self.make, **how)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


@pytest.fixture(scope="module")
def bucket():
    """An S3 server on this machine, with one bucket; the address of a folder in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        engine._context.cache_clear()
        yield "s3://bucket"
        engine._context.cache_clear()
    server.stop()


@pytest.mark.parametrize("where", ["root", "bucket"])
def test_from_beginning_to_end(where, request):
    root = request.getfixturevalue(where)
    one = Made(root)
    one.begin()
    for unit in (2, 11):
        one.marks.mark(unit)
    again = Made(root)
    again.begin()
    assert (again.marks.done(), again.made) == ({2, 11}, [])
    with pytest.raises(OutputExistsError, match="holds another copy: plan was 'one', now 'two'"):
        Made(root, "two").begin()
    rest = []
    assert not one.marks.complete(3, lambda: rest.append(1))
    one.marks.mark(0)
    assert [one.marks.complete(3, lambda: rest.append(1)) for _ in range(2)] == [True, True]
    assert (rest, one.marks.is_finished, one.marks.done()) == ([1], True, set())


@pytest.mark.parametrize("finished", [False, True])
def test_marks_of_a_store_that_was_removed_count_for_nothing(root, finished):
    one = Made(root)
    one.begin()
    one.marks.mark(0)
    if finished:
        one.marks.complete(1, list)
    shutil.rmtree(one.store.path)
    again = Made(root)
    again.begin()
    assert (again.marks.done(), again.marks.is_finished, again.made) == (set(), False, [False])
    shutil.rmtree(one.store.path)
    Made(root, "two").begin()


def test_another_plan_that_begins_between_look_and_note_is_refused(root):
    """The second waits until the first has noted and made, and then finds it."""
    one, two, refused = Made(root), Made(root, "two"), []
    real, looks = one.marks._is_made, []

    def look(stores, *, overwrite):
        found = real(stores, overwrite=overwrite)
        if not looks:
            looks.append(1)
            two.begin()
        return found

    one.marks._is_made = look
    with pytest.raises(OutputExistsError, match="plan was 'two', now 'one'"):
        one.begin()
    two.marks.mark(0)
    assert two.marks.done() == {0}
    assert not refused


def test_a_job_whose_place_was_taken_stops(root):
    one = Made(root)
    one.begin()
    Made(root, "two").begin(overwrite=True)
    with pytest.raises(OutputExistsError, match="another job has begun another copy here"):
        one.marks.mark(0)


@pytest.mark.parametrize("moment", ["before the mark", "while it is written"])
def test_another_process_may_make_the_last_unit_meanwhile(root, moment, monkeypatch):
    made = Made(root)
    made.begin()
    made.marks.mark(0)

    def finish():
        assert made.marks.complete(1, lambda: None)

    def write(*_):
        finish()
        raise SaveError("could not write the mark: No such file or directory")

    if moment == "before the mark":
        finish()
    else:
        monkeypatch.setattr(unit_marks, "write_file", write)
    made.marks.mark(0)
    assert made.marks.is_finished
    assert made.marks.done() == set()


def test_a_mark_that_cannot_be_written_is_an_error(root, monkeypatch):
    made = Made(root)
    made.begin()

    def refuse(*_):
        raise SaveError("could not write the mark: No space left on device")

    monkeypatch.setattr(unit_marks, "write_file", refuse)
    with pytest.raises(SaveError, match="No space"):
        made.marks.mark(0)


def test_what_is_not_finished_is_gone_on_with_by_an_overwriting_job_too(root):
    one = Made(root)
    one.begin(overwrite=True)
    one.marks.mark(0)
    again = Made(root)
    again.begin(overwrite=True)
    assert (again.marks.done(), again.made) == ({0}, [])
    again.marks.complete(1, list)
    again.begin(overwrite=True)
    assert (again.marks.done(), again.marks.is_finished, again.made) == (set(), False, [True])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("half", ["before", "after"])
def test_killed_between_note_and_making(root, half):
    def die(made):
        def make(anew):
            if half == "after":
                made.make(anew)
            raise Killed

        with pytest.raises(Killed):
            made.marks.begin([made.store], make)

    die(Made(root))
    one = Made(root)
    one.begin()
    assert one.made == [False]
    one.marks.mark(0)
    assert one.marks.done() == {0}


def test_killed_before_it_has_replaced_nothing_is_replaced_unasked(root):
    old = Made(root, "old")
    old.begin()
    old.marks.complete(0, list)

    def die(anew):
        raise Killed

    new = Made(root)
    with pytest.raises(Killed):
        new.marks.begin([new.store], die, overwrite=True)
    with pytest.raises(OutputExistsError, match="was to be replaced"):
        Made(root).begin()
    again = Made(root)
    again.begin(overwrite=True)
    assert (again.made, again.marks.is_finished) == ([True], False)


def test_what_others_made_stays(root):
    for name in ("mine.txt", "p.zarr/mine.txt"):
        path = Path(root) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("keep")
    one = Made(root)
    with pytest.raises(OutputExistsError, match="does not tell that it is a copy"):
        one.begin()
    for overwrite in (True, False, True):
        with pytest.raises(OutputExistsError):
            one.begin(overwrite=overwrite)
    assert path.read_text() == "keep"
    assert one.marks.folder.read_json("plan.json") is None
