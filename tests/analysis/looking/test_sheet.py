import numpy as np
import pytest

from voxloom.analysis.looking.sheet import Tile, contact_sheet, evenly_spread, sheet_of
from voxloom.errors import SchemaError, UnreadableImageError
from voxloom.label_colours import colour_of_label
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Made(Source):
    """Samples of given arrays; None cannot be read."""

    def __init__(self, fields, arrays, keys=None):
        self._schema, self._arrays = Schema(fields), arrays
        self._keys = keys or [f"s/{i}.png" for i in range(len(arrays))]

    schema = property(lambda self: self._schema)
    keys = property(lambda self: self._keys)

    def read(self, index):
        if self._arrays[index] is None:
            raise UnreadableImageError(f"{self._keys[index]}: truncated")
        return Sample(self._keys[index], self._schema, self._arrays[index])


def image(axes="yxc", **more):
    return Field(name="image", axes=axes, **more)


def drawn(sheet, colour):
    """Count the pixels of one colour."""
    return int((sheet == np.array(colour)).all(-1).sum())


def test_samples_are_spread_over_all():
    assert evenly_spread(100, 4) == [0, 25, 50, 75]
    assert evenly_spread(3, 16) == [0, 1, 2]
    assert evenly_spread(0, 4) == []


def test_an_image_is_neither_flipped_nor_turned():
    glyph = np.zeros((4, 6, 3), np.uint8)
    glyph[0, 0], glyph[0, 5], glyph[3, 0] = (255, 1, 2), (3, 255, 4), (5, 6, 255)
    sheet = contact_sheet(Made([image()], [{"image": glyph}]), size=60)
    red, green, blue = (
        np.argwhere((sheet == c).all(-1)).mean(0) for c in ((255, 1, 2), (3, 255, 4), (5, 6, 255))
    )
    assert red[0] == green[0] < blue[0]
    assert red[1] == blue[1] < green[1]
    assert drawn(sheet, (255, 1, 2)) == 100


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("yx", (8, 8)), ("cyx", (1, 8, 8)), ("yxc", (8, 8, 2)), ("cyx", (5, 8, 8)), ("czyx", (1, 3, 8, 8)),
     ("nyxc", (2, 8, 8, 1)), ("yxc", (8, 8, 4))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool", "int64"])
def test_any_axes_and_types_are_drawn(axes, shape, dtype):
    array = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    assert contact_sheet(Made([image(axes, dtype=dtype)], [{"image": array}]), size=32).dtype == np.uint8


def test_wide_ranges_are_drawn_between_their_percentiles():
    ramp = np.linspace(1000, 1100, 64 * 64).reshape(64, 64)
    for dtype in ("uint16", "float32"):
        sheet = contact_sheet(Made([image("yx", dtype=dtype)], [{"image": ramp.astype(dtype)}]), size=64)
        assert drawn(sheet, (0, 0, 0)) > 10
        assert drawn(sheet, (255, 255, 255)) > 10
    dark = contact_sheet(Made([image("yx")], [{"image": np.full((8, 8), 9, np.uint8)}]), size=64)
    assert drawn(dark, (9, 9, 9)) == 64 * 64  # 8 bits are drawn as they are


def test_a_class_of_a_mask_has_one_colour_in_all_samples():
    fields = [image("yx"), Field(name="mask", kind="mask", axes="yx")]
    masks = [np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)]
    masks[0][:2], masks[1][:] = 3, 3
    grey = np.full((4, 4), 77, np.uint8)
    sheet = contact_sheet(Made(fields, [{"image": grey, "mask": mask} for mask in masks]), size=40)
    tinted = tuple(round((77 + channel) / 2) for channel in colour_of_label(3))
    assert drawn(sheet, (77, 77, 77)) == 2 * 1600 + 800
    assert drawn(sheet, tinted) == 800 + 1600
    assert drawn(sheet, colour_of_label(3)) == 12 * 12  # in the legend


def test_what_stands_below(monkeypatch):
    fields = [image("yx"), Field(name="label", kind="class", axes="", categories=("cat", "dog")),
              Field(name="age", kind="attribute", axes="")]  # fmt: skip
    grey = np.zeros((4, 4), np.uint8)
    arrays = [{"image": grey, "label": np.array(i), "age": np.array(40 + i / 3)} for i in (0, 1, 7)]
    lines = []
    monkeypatch.setattr(
        "voxloom.analysis.looking.sheet._shortened", lambda text, *_: lines.append(text) or text
    )
    contact_sheet(Made(fields, arrays))
    assert lines == [
        "s/0.png",
        "cat, age 40",
        "s/1.png",
        "dog, age 40.3333",
        "s/2.png",
        "label 7, age 42.3333",
    ]


def test_long_and_foreign_names_fit(tmp_path):
    keys = ["röntgen/" + "sehr lang " * 40 + "ende.png", "断层/一.png", ""]
    grey = np.zeros((4, 4), np.uint8)
    assert contact_sheet(Made([image("yx")], [{"image": grey}] * 3, keys), size=64).shape[1] < 400


def test_a_row_of_text_is_there_only_where_there_is_text():
    grey = {"image": np.zeros((4, 4), np.uint8)}
    without = contact_sheet(Made([image("yx")], [grey]), size=64)
    label = Field(name="label", kind="class", axes="", categories=("cat",))
    beside = contact_sheet(Made([image("yx"), label], [{**grey, "label": np.array(0)}]), size=64)
    assert beside.shape[0] - without.shape[0] == 16
    bad = contact_sheet(Made([image("yx")], [grey, None]), size=64)  # says why in a second row
    assert bad.shape[0] == beside.shape[0]


def test_letters_that_no_font_has_are_escaped(monkeypatch):
    monkeypatch.setattr("voxloom.lettering._of_system", lambda size: ())
    grey = {"image": np.zeros((4, 4), np.uint8)}
    sheets = [contact_sheet(Made([image("yx")], [grey], [key]), size=160) for key in ("ß断", r"\xdf\u65ad")]
    assert np.array_equal(*sheets)


def test_a_sample_that_cannot_be_read_says_so():
    good = {"image": np.full((4, 4), 99, np.uint8)}
    sheet = contact_sheet(Made([image("yx")], [good, None, good]), size=40)
    assert drawn(sheet, (99, 99, 99)) == 2 * 1600
    assert drawn(sheet, (248, 113, 113))


def test_nothing_to_draw_is_told():
    with pytest.raises(SchemaError, match="nothing to draw"):
        contact_sheet(Made([Field(name="age", kind="attribute", axes="")], [{"age": np.array(1)}]))
    with pytest.raises(SchemaError, match="no samples"):
        contact_sheet(Made([image()], []))
    with pytest.raises(SchemaError, match="cannot be drawn"):
        contact_sheet(Made([image("c")], [{"image": np.zeros(3)}]))


def test_a_long_name_takes_two_lines_before_letters_are_left_out(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "voxloom.analysis.looking.sheet._shortened", lambda text, *_: lines.append(text) or text
    )
    grey = {"image": np.zeros((4, 4), np.uint8)}
    contact_sheet(Made([image("yx")], [grey], ["Platelets/BloodImage_00003_16.png"]), size=160)
    assert lines == ["Platelets/BloodImage_", "00003_16.png"]


def test_a_long_line_above_goes_on_below():
    tile = Tile("a", [("a", np.zeros((4, 4, 3), np.uint8), False)])
    short, long = (sheet_of([tile, tile], "word " * number, size=176) for number in (3, 60))
    assert long.shape[1] == short.shape[1] < 400
    assert long.shape[0] > short.shape[0]


def test_latents_make_no_sheet_that_is_larger_than_a_screen():
    latent = {"axes": "cyx", "kind": "latent"}
    fields = [Field(name=f"{side}_{part}", **latent) for side in "ab" for part in ("mu", "sigma")]
    arrays = [{field.name: np.random.default_rng(0).normal(size=(4, 8, 8)) for field in fields}] * 40
    height, width, _ = contact_sheet(Made(fields, arrays), number=32).shape
    assert width < 2000
    assert height < 2000
