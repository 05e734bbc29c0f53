import io
import pickle
from collections import namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from voxloom.errors import DataError, SchemaError
from voxloom.sample import Field
from voxloom.sources import DatasetSource
from voxloom.sources.unread import unread_bytes
from voxloom.testing.sources import check_source

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
COLOUR, CLASS = ("image", "yxc", "uint8"), ("class", "", "int64")
Pair = namedtuple("Pair", ["image", "mask"])


class Files:
    """Folders of classes, as torchvision's ImageFolder yields them with a loader that only opens."""

    classes = ("cat", "dog")

    def __init__(self, root, loader=Image.open):
        self.root = root
        self.samples = [(str(root / "cat" / "1.png"), 0), (str(root / "dog" / "2.jpg"), 1)]
        for path, _ in self.samples:
            (root / path).parent.mkdir(exist_ok=True)
            Image.fromarray(PIXELS).save(path)
        self.class_to_idx = {"cat": 0, "dog": 1}
        self.loader = loader

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.loader(path), label


def rgb(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def opened(path):
    """An image that is opened but not read, without a file to be closed later."""
    with open(path, "rb") as file:
        return Image.open(io.BytesIO(file.read()))


def palette(transparency=None):
    image = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5) % 3, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def coded(image, form="png", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_a_dataset_of_files(tmp_path):
    source = DatasetSource(Files(tmp_path, opened))
    check_source(source)
    assert source.keys == ["cat/1.png", "dog/2.jpg"]
    assert source.schema["label"].categories == ("cat", "dog")
    assert source.schema["image"] == Field(name="image", axes="yxc", dtype="uint8")
    for index, key in enumerate(source.keys):
        assert source.cells(index)["image"] == (tmp_path / key).read_bytes()
    assert repr(source) == "2 samples of a Files"


def test_a_loader_that_converts_gives_pixels(tmp_path):
    source = DatasetSource(Files(tmp_path, rgb))
    check_source(source)
    np.testing.assert_array_equal(source.cells(0)["image"], PIXELS)


def test_parts_of_a_dataset_keep_names_and_keys(tmp_path):
    whole = Files(tmp_path, opened)
    source = DatasetSource(torch.utils.data.Subset(whole, [1]))
    assert source.keys == ["dog/2.jpg"]
    assert source.schema["label"].categories == ("cat", "dog")
    assert source[0]["label"] == 1


def test_paths_without_a_root_are_relative_to_what_they_share(tmp_path):
    dataset = Files(tmp_path, opened)
    del dataset.root
    dataset.samples = dataset.samples[:1]
    assert DatasetSource(dataset).keys == ["1.png"]
    dataset.samples = dataset.samples * 2  # the same twice: no key
    assert DatasetSource(dataset).keys == ["0", "1"]


@pytest.mark.parametrize(
    ("items", "fields"),
    [
        ([PIXELS, PIXELS], {"image": COLOUR}),
        ([(PIXELS, 3)] * 11, {"image": COLOUR, "label": CLASS}),
        ([(PIXELS[..., 0], np.int32(1))], {"image": COLOUR, "label": CLASS}),
        ([(PIXELS, 0.5)], {"image": COLOUR, "label": ("attribute", "", "float64")}),
        ([(PIXELS, "a cat")], {"image": COLOUR, "label": ("text", "", "str")}),
        ([(PIXELS, [0, 1, 1])], {"image": COLOUR, "label": ("attribute", "c", "int64")}),
        ([Pair(PIXELS, PIXELS[..., 0])], {"image": COLOUR, "mask": ("mask", "yx", "uint8")}),
        ([(PIXELS, PIXELS[..., :1])], {"image": COLOUR, "mask": ("mask", "yxc", "uint8")}),
        (
            [{"scan": torch.zeros(2, 4, 5).double(), "label": torch.tensor(1), "age": 3, "ok": True}],
            {
                "scan": ("image", "cyx", "float64"),
                "label": CLASS,
                "age": ("attribute", "", "int64"),
                "ok": ("attribute", "", "bool"),
            },
        ),
        ([torch.zeros(1, 3, 4, 5)], {"image": ("image", "czyx", "float32")}),
        (
            [(torch.zeros(3, 4, 5), torch.zeros(4, 5))],
            {"image": ("image", "cyx", "float32"), "mask": ("mask", "yx", "float32")},
        ),
        ([np.zeros((16, 64, 48), np.uint16)], {"image": ("image", "cyx", "uint16")}),
        ([(Image.fromarray(PIXELS), palette())], {"image": COLOUR, "mask": ("mask", "yx", "uint8")}),
        ([(coded(Image.fromarray(PIXELS)), 1)], {"image": COLOUR, "label": CLASS}),
        ([Image.new("I;16", (5, 4), 999)], {"image": ("image", "yxc", "uint16")}),
        ([Image.new("1", (5, 4), 1)], {"image": ("image", "yxc", "bool")}),
        ([Image.new("CMYK", (5, 4), 9)], {"image": COLOUR}),
    ],
)  # fmt: skip
def test_items_of_all_kinds(items, fields):
    source = DatasetSource(items)
    check_source(source)
    assert {name: (f.kind, f.axes, f.dtype) for name, f in source.schema.items()} == fields
    assert source.keys[-1] == str(len(items) - 1)


def test_palettes_are_indices_in_masks_and_colours_in_images():
    source = DatasetSource([Pair(palette(), palette())])
    assert source[0]["image"].shape == (4, 5, 3)
    assert source[0]["mask"].max() == 2
    stored = DatasetSource([Pair(*[Image.open(io.BytesIO(coded(palette()))) for _ in "ab"])])
    assert isinstance(stored.cells(0)["mask"], bytes)
    assert all(np.array_equal(stored[0][name], source[0][name]) for name in ("image", "mask"))
    assert DatasetSource([palette(0)])[0]["image"].shape == (4, 5, 4)


def test_sixteen_bits_of_colour_survive_where_pillow_would_lose_them():
    import imagecodecs

    wide = np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1000
    source = DatasetSource([Image.open(io.BytesIO(imagecodecs.png_encode(wide)))])
    np.testing.assert_array_equal(source[0]["image"], wide)


def test_grey_images_stand_among_colours():
    source = DatasetSource([(PIXELS, 0), (PIXELS[..., 0], 1)])
    assert [source[index]["image"].shape for index in range(2)] == [(4, 5, 3), (4, 5, 1)]
    mixed = DatasetSource([PIXELS, PIXELS.astype(np.uint16)])
    assert [mixed[index].schema["image"].dtype for index in range(2)] == ["uint8", "uint16"]


def test_samples_are_copies():
    tensor, array = torch.zeros(2, 3, 4), np.zeros((4, 3)).T
    source = DatasetSource([{"image": tensor, "depth": array}])
    for name in source[0]:
        sample = source[0][name]
        assert sample.flags.c_contiguous
        sample[...] = 9
    assert tensor.max() == 0
    assert array.max() == 0


class Named(list):
    """A list that can have attributes."""


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("class_to_idx", {"dog": 2, "cat": 0}),
        ("classes", ["cat", "1", "dog"]),
        ("categories", ("cat", "1", "dog")),
    ],
)
def test_names_of_classes(attribute, value):
    dataset = Named([(PIXELS, 2), (PIXELS, 0)])
    setattr(dataset, attribute, value)
    assert DatasetSource(dataset).schema["label"].categories == ("cat", "1", "dog")
    told = Named([(PIXELS, "dog"), (PIXELS, "cow")])
    setattr(told, attribute, value)
    source = DatasetSource(told)
    assert source[0]["label"] == 2
    with pytest.raises(
        SchemaError, match=r"item 1 of Named, label is 'cow'. Expected one of the classes cat"
    ):
        source[1]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "list has no items"),
        (iter([1]), "has no length"),
        ([None], "item 0 of list, image is a NoneType"),
        ([{"image": PIXELS, "more": {"a": 1}}], "item 0 of list, more is a dict"),
        ([np.array(["a"], object)], "of type object"),
        ([np.zeros((2, 2), complex)], "of type complex128"),
        ([(PIXELS, 1, 2)], "item 0 of list is a tuple of 3 parts"),
        ([(PIXELS, 1), (PIXELS,)], r"item 1 of list has the parts \['image'\], and the first one"),
        ([(PIXELS, 1), (PIXELS, "cat")], "item 1 of list, label is 'cat'. Expected an integer"),
        ([(PIXELS, 1), (PIXELS, 0.5)], "item 1 of list, label is float64"),
        (
            [(PIXELS, "cat"), (PIXELS, 1)],
            "item 1 of list, label is a int, and the first item has kind 'text'",
        ),
        ([PIXELS, PIXELS[None]], r"item 1 of list, image has shape \(1, 4, 5, 3\)"),
        ([torch.zeros(2, 2, dtype=torch.bfloat16)], "item 0 of list, image is a Tensor"),
        ([np.zeros((1, 1, 1, 1, 1))], "expected up to 4 axes"),
    ],
)
def test_items_of_the_wrong_kind_are_named(items, message):
    with pytest.raises((SchemaError, DataError), match=message):
        list(DatasetSource(items))


def test_bytes_that_are_no_image():
    with pytest.raises(DataError, match="item 0 of list, image"):
        _ = DatasetSource([b"no image"]).schema
    with pytest.raises(DataError, match=r"1 \(image\)"):
        DatasetSource([coded(Image.fromarray(PIXELS)), b"no image"])[1]


def test_images_that_were_touched_are_no_files():
    data = coded(Image.fromarray(PIXELS), "jpeg", quality=90)

    def fresh():
        return Image.open(io.BytesIO(data))

    assert unread_bytes(fresh()) == data
    image = fresh()
    assert unread_bytes(image) == data
    np.testing.assert_array_equal(np.asarray(image), np.asarray(fresh()))  # asking changed nothing
    assert unread_bytes(image) is None  # it is read now
    drafted = fresh()
    drafted.draft("L", (2, 2))
    touched = [
        drafted,
        fresh().convert("RGB"),
        fresh().resize((2, 2)),
        fresh().copy(),
        ImageOps.exif_transpose(fresh()),
        Image.new("L", (2, 2)),
    ]
    assert [unread_bytes(image) for image in touched] == [None] * len(touched)
    painted = fresh()
    painted.putpixel((0, 0), (1, 2, 3))
    assert unread_bytes(painted) is None
    frames = Image.open(
        io.BytesIO(coded(Image.new("L", (2, 2)), "gif", save_all=True, append_images=[palette()]))
    )
    frames.seek(1)
    assert unread_bytes(frames) is None
    frames.seek(0)
    assert unread_bytes(frames) is None
    closed = fresh()
    closed.fp.close()
    assert unread_bytes(closed) is None


def test_a_dataset_of_torch_survives_pickling():
    data = torch.utils.data.TensorDataset(torch.arange(24.0).reshape(2, 1, 3, 4), torch.tensor([1, 0]))
    source = pickle.loads(pickle.dumps(DatasetSource(data)))
    check_source(source)
    assert source.schema["image"].axes == "cyx"
    assert source[0]["label"] == 1


@given(
    arrays.arrays(
        st.one_of(
            arrays.integer_dtypes(endianness="="), arrays.floating_dtypes(endianness="=", sizes=(32, 64))
        ),
        arrays.array_shapes(min_dims=2, max_dims=3, max_side=5),
    )
)
def test_arrays_come_back_bit_for_bit(array):
    found = DatasetSource([array])[0]["image"]
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


class Numbered:
    """Images of classes, with labels as numbers."""

    def __init__(self, classes, label=0):
        self.classes, self.label = classes, label

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return PIXELS, self.label


def test_classes_of_joined_datasets_are_kept_where_they_agree(caplog):
    both = torch.utils.data.ConcatDataset([Numbered(["cat", "dog"]), Numbered(["cat", "dog"])])
    assert DatasetSource(both).schema["label"].categories == ("cat", "dog")
    part = torch.utils.data.Subset(both, [3])
    assert DatasetSource(part).schema["label"].categories == ("cat", "dog")
    assert not caplog.records
    odd = torch.utils.data.ConcatDataset([Numbered(["cat", "dog"]), Numbered(["dog", "cat"])])
    assert DatasetSource(odd).schema["label"].categories == ()
    assert "give each dataset the same class list" in caplog.text


@pytest.mark.parametrize("label", [2**63 + 1, np.uint64(2**64 - 1)])
def test_a_class_number_that_is_too_large_is_refused(label):
    with pytest.raises(SchemaError, match=r"label is \d+\. Expected the number of a class, up to"):
        DatasetSource(Numbered([], label))[0]
    assert DatasetSource(Numbered([], np.uint64(2**63 - 1)))[0]["label"] == 2**63 - 1
