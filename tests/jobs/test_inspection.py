import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.errors import ConfigError
from voxloom.jobs.inspection import FieldFacts, Inspection, class_counts, inspect
from voxloom.jobs.listing import _stored, listing
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import ImageFolder, write_image
from voxloom.sources.columns import Files
from voxloom.sources.files import class_folder, flat_folder, paired_folders


@pytest.fixture
def pets(tmp_path):
    """Two classes of JPEG and PNG, an empty one, and names that are not ASCII."""
    root = tmp_path / "haus tiere"
    for i, (name, mode) in enumerate([("katze/1.jpg", "RGB"), ("katze/2 ä.png", "L"), ("hund/é.png", "P")]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (5 + i, 4 + 2 * i), 1 + i).save(root / name)
    (root / "vogel").mkdir()
    return root


def field(found, name):
    return next(facts for facts in found.fields if facts.field.name == name)


def test_a_class_folder(pets):
    found = inspect(class_folder(pets))
    assert (found.samples, found.sampled, found.store, found.unreadable) == (3, 3, None, {})
    assert found.classes == {"label": {"hund": 1, "katze": 2, "vogel": 0}}
    images = field(found, "image")
    assert (images.heights, images.widths) == ((4, 8), (5, 7))
    assert images.files == {"png": 2, "jpeg": 1}
    assert images.modes == {"P": 1, "RGB": 1, "L": 1}
    assert images.encoding is None
    assert images.stored_bytes == sum(path.stat().st_size for path in pets.glob("*/*"))
    assert images.decoded_bytes > 0
    assert Inspection.model_validate(found.model_dump(mode="json")) == found


def test_labels_are_counted_without_decoding_images(pets, monkeypatch):
    source = class_folder(pets)
    _ = source.schema
    monkeypatch.setattr(Files, "cell", None)
    assert class_counts(source, "label") == {"hund": 1, "katze": 2, "vogel": 0}


def test_numbers_without_a_name_are_counted_too():
    class Labels(Source):
        schema = Schema([Field(name="label", kind="class", axes="", categories=("a", "b"))])
        keys = tuple(map(str, range(5000)))

        def read(self, index):
            return Sample(self.keys[index], self.schema, {"label": np.array(index % 3 if index else -1)})

    counts = class_counts(Labels(), "label")
    assert counts == {"a": 1666, "b": 1667, "-1": 1, "2": 1666}


def test_values_and_types_of_the_files(tmp_path):
    for i in range(40):
        write_image(tmp_path / "ct" / f"{i:02}.tif", np.full((4, 6), i))
    found = inspect(ImageFolder(tmp_path / "ct"), number=4)
    numbers = found.fields[0].statistics
    assert (found.sampled, numbers.minimum, numbers.maximum, numbers.mean) == (4, 0, 30, 15)
    assert numbers.dtypes == ("float32",)
    with pytest.raises(ConfigError, match="at least 1"):
        inspect(ImageFolder(tmp_path / "ct"), number=0)


def test_pairs_with_a_mask(tmp_path):
    for name in ("images/1.png", "masks/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (5, 4), 3).save(tmp_path / name)
    found = inspect(paired_folders({"image": tmp_path / "images", "mask": tmp_path / "masks"}))
    assert [facts.field.kind for facts in found.fields] == ["image", "mask"]
    assert [facts.field.axes for facts in found.fields] == ["yxc", "yx"]


def test_what_cannot_be_read_is_named_and_not_counted(pets):
    (pets / "katze" / "1.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    found = inspect(class_folder(pets))
    assert list(found.unreadable) == ["katze/1.jpg"]
    assert field(found, "image").files == {"png": 2}
    assert "not readable: katze/1.jpg: " in listing(found)


def test_nothing_readable_at_all(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    (tmp_path / "b.png").touch()
    source = flat_folder(tmp_path)
    with pytest.raises(Exception, match=r"a\.png"):
        inspect(source)


def test_the_lines_say_what_is_there(pets):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(pets / "hund" / "zero.png")
    lines = listing(inspect(class_folder(pets))).splitlines()
    assert lines[0] == f"4 samples of {pets}"
    header, image, label = (line.split("  ") for line in lines[2:5])
    assert header[0] == "field"
    assert image[0] == "image"
    assert "4-8 x 4-7 x 1-3" in lines[3]
    assert "png (3) jpeg (1)" in lines[3]
    assert label[0] == "label"
    assert "one value" in lines[4]
    start = lines.index("label: 3 classes, 1 of them empty")
    assert lines[start + 1 : start + 4] == [
        f"  hund   2  {'#' * 40}",
        f"  katze  2  {'#' * 40}",
        "  vogel  0",
    ]
    told = "warning: image: 4 of 4 images: one value alone ("
    assert any(line.startswith(told) and "hund/zero.png" in line for line in lines), lines


def test_many_classes_are_shown_by_their_ends():
    found = Inspection(
        source="x", samples=1, sampled=0, fields=(), unreadable={},
        classes={"label": {f"c{i:03}": i for i in range(100)}},
    )  # fmt: skip
    lines = listing(found).splitlines()
    start = lines.index("label: 100 classes, 1 of them empty")
    assert lines[start + 1].startswith("  c099  99  ####")
    assert lines[start + 11] == "  ... 80 classes between"
    assert lines[start + 21] == "  c000   0"
    assert len(lines) == start + 24


def test_a_source_of_other_shapes_and_of_text():
    class Odd(Source):
        schema = Schema(
            [Field(name="v", kind="attribute", axes="n"), Field(name="t", kind="text", axes="", dtype="str")]
        )
        keys = ("a", "b")

        def read(self, index):
            arrays = {"v": np.full((2,) * (index + 1), np.nan), "t": np.array("ä" * index)}
            return Sample(self.keys[index], self.schema, arrays)

    found = inspect(Odd())
    assert field(found, "t").statistics is None
    text = listing(found)
    assert "2 to 2 x 2" in text
    assert "no finite value" in text
    assert "warning: v: 2 samples with NaN or infinite values (a, b)" in text


def test_each_file_is_read_once(pets, monkeypatch):
    read = []
    taken = Files.cell
    monkeypatch.setattr(
        Files, "cell", lambda self, index: read.append(self.path(index)) or taken(self, index)
    )
    source = class_folder(pets)
    _ = source.schema
    read.clear()
    inspect(source)
    assert len(read) == len(set(read)) == 3


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("blosc", "blosc, not compressed"), ("png", "png, L, not compressed"), ("fixed", "fixed"),
     ("file", "file, png, L, not compressed"), ("npy", "npy, not compressed")],
)  # fmt: skip
def test_what_a_store_holds_is_said_once_and_what_is_not_compressed_too(tmp_path, encoding, said):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    (tmp_path / "p").mkdir()
    Image.fromarray(noise).save(tmp_path / "p" / "1.png")
    store = convert(tmp_path / "p", tmp_path / "s", encoding=encoding).store()
    lines = listing(inspect(store)).splitlines()
    assert "1 shard, 4." in lines[0] or "1 shard, 5." in lines[0] or "1 shard, 6." in lines[0]
    assert lines[0].endswith(" kB, not compressed")
    assert lines[4].split("  ")[-1] == said
    assert lines[-1] == "(types, shapes and values over 1 sample)"


def test_two_names_alike_are_one():
    facts = FieldFacts(
        field=Field(name="image"), encoding="png", statistics=None, heights=None, widths=None,
        files={"png": 2}, modes={"png": 2}, stored_bytes=10, decoded_bytes=30,
    )  # fmt: skip
    assert list(_stored(facts)) == ["png", "compressed 3:1"]


def test_one_class_is_no_plural(pets):
    found = inspect(class_folder(pets)).model_copy(update={"classes": {"label": {"cat": 1}}})
    assert "label: 1 class" in listing(found).splitlines()
