import io
import logging

import numpy as np
import pytest
import tifffile
from PIL import Image

from voxloom.conversion.planning import planned, recipe_of
from voxloom.conversion.recipe import FieldRecipe
from voxloom.conversion.settings import Conversion
from voxloom.errors import ConfigError, DataError, SchemaError, UnreadableImageError
from voxloom.formats.encoding import decode, encode
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source, Subset

RNG = np.random.default_rng(0)
SMOOTH = Image.fromarray(RNG.integers(0, 255, (5, 6, 4), dtype=np.uint8), "CMYK").resize((40, 30))
PICTURE = SMOOTH.convert("RGB")
IMAGE = Field(name="image", axes="yxc", dtype="uint8")
TEXT = Field(name="note", kind="text", axes="", dtype="str")


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


class Cells(Source):
    """Cells of one field."""

    def __init__(self, cells, field=IMAGE, mode=None):
        self._cells, self._field, self.mode = cells, field, mode

    keys = property(lambda self: [f"{number}" for number in range(len(self._cells))])
    schema = property(lambda self: Schema([self._field]))

    def read(self, index):
        return Sample(self.keys[index], self.schema, {self._field.name: self._cells[index]})

    def cells(self, index):
        return {self._field.name: self._cells[index]}

    def select(self, *names):
        return self


def made(cell, field=IMAGE, **settings):
    """Return what a store would keep of a cell, and how."""
    source = Cells([cell], field)
    plan = planned(source, Conversion.of(**settings))
    return recipe_of(plan, source).row({field.name: cell}, "a")[field.name], plan


ODD = {
    "cmyk.jpg": file_of(SMOOTH, "jpeg"),
    "cmyk.tif": file_of(SMOOTH, "tiff"),
    "packed.tif": file_of(SMOOTH, "tiff", compression="tiff_lzw"),
    "ycbcr.tif": file_of(PICTURE.convert("YCbCr"), "tiff"),
    "lab.tif": file_of(Image.merge("LAB", PICTURE.split()), "tiff"),
}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("name", ODD)
def test_other_colours_are_turned_into_a_mode_as_pillow_does(name, mode):
    wanted = np.asarray(Image.open(io.BytesIO(ODD[name])).convert("RGB").convert(mode))
    found, _ = made(ODD[name], mode=mode, encoding="npy")
    np.testing.assert_array_equal(decode(found).squeeze(), wanted)


def test_alpha_and_palettes_keep_their_meaning():
    for image in (PICTURE.convert("RGBA"), PICTURE.convert("LA"), PICTURE.quantize(8)):
        for kind in ("png", "tiff"):
            data = file_of(image, kind)
            wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            np.testing.assert_array_equal(decode(made(data, mode="RGB", encoding="npy")[0]), wanted)


@pytest.mark.parametrize("name", ["cmyk.jpg", "lab.tif"])
def test_other_colours_do_not_go_into_a_png_that_would_show_them_wrong(name):
    with pytest.raises(SchemaError, match=r"colours in mode .* do not go into a PNG.* Give mode='RGB'"):
        made(ODD[name], encoding="png")
    np.testing.assert_array_equal(
        decode(made(ODD[name], encoding="png", mode="RGB")[0]),
        np.asarray(Image.open(io.BytesIO(ODD[name])).convert("RGB")),
    )


def test_colours_that_pillow_does_not_know_are_refused():
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 9, 4), np.uint16), photometric="separated", planarconfig="contig")
    with pytest.raises(SchemaError, match="uint16"):
        made(file.getvalue(), mode="RGB")


def test_arrays_of_inks_are_not_taken_for_colours():
    inks = np.asarray(SMOOTH)
    for source in (Cells([inks], mode="CMYK"), Subset(Cells([inks], mode="CMYK"), [0])):
        for settings in ({"mode": "RGB"}, {"encoding": "png"}):
            with pytest.raises(SchemaError, match="arrays in mode CMYK"):
                planned(source, Conversion.of(**settings))
        assert planned(source, Conversion.of()).encodings["image"] == "npy"


def thumbed():
    """A JPEG whose EXIF holds a smaller one, with a mark of the end of its own."""
    thumb = b"Exif\0\0II*\0" + file_of(PICTURE.resize((9, 8)), "jpeg")
    return file_of(PICTURE, "jpeg", exif=thumb)


@pytest.mark.parametrize("encoding", ["auto", "file", "png"])
def test_a_cut_file_is_not_copied(encoding):
    data = file_of(PICTURE, "png") if encoding == "png" else thumbed()
    assert made(data, encoding=encoding)[0] == data
    source = Cells([data])
    recipe = recipe_of(planned(source, Conversion.of(encoding=encoding)), source)
    for share in (0.7, 0.9, 0.99):
        with pytest.raises(UnreadableImageError, match="a: cut off"):
            recipe.row({"image": data[: int(len(data) * share)]}, "a")


def test_damage_inside_is_found_where_each_file_is_to_be_decoded():
    data = file_of(PICTURE.resize((300, 300)), "jpeg")
    hurt = data[:-900] + bytes(800) + data[-100:]
    for check, recipe in (
        (each, FieldRecipe(IMAGE, IMAGE, "file", Conversion(check=each))) for each in ("ends", "decode")
    ):
        assert recipe.cell(data, "a") == data
        if check == "ends":
            assert recipe.cell(hurt, "a") == hurt
        else:
            with pytest.raises(UnreadableImageError, match="a: a truncated or damaged JPEG"):
                recipe.cell(hurt, "a")


@pytest.mark.parametrize(("text", "why"), [("abc\0", "NUL"), ("a\udcffb", "no Unicode")])
def test_text_that_would_change_is_refused(text, why):
    recipe = FieldRecipe(TEXT, TEXT, "text", Conversion())
    assert recipe.cell(np.array("a\0b"), "a") == b"a\0b"
    if "\0" in text:
        with pytest.raises(DataError, match=why):
            recipe.cell(text.encode(), "a")
    else:
        with pytest.raises(DataError, match=why):
            recipe.cell(np.array(text), "a")


def test_raw_is_the_name_of_plain_arrays():
    same = Cells([file_of(PICTURE, "png"), file_of(PICTURE, "jpeg")])
    plan = planned(same, Conversion.of(encoding="raw"))
    assert (plan.encodings["image"], plan.fields[0].shape) == ("fixed", (30, 40, 3))
    other = Cells([file_of(PICTURE, "png"), file_of(PICTURE.resize((5, 4)), "png")])
    assert planned(other, Conversion.of(encoding="raw")).encodings["image"] == "npy"
    assert planned(other, Conversion.of(encoding="raw", size=(8, 8))).encodings["image"] == "fixed"
    latent = Field(name="z", kind="latent", axes="cyx", dtype="float32")
    one = Cells([np.zeros((4, 2, 2), np.float32)] * 2, latent)
    assert planned(one, Conversion.of(encoding="raw")).encodings["z"] == "fixed"


def test_a_quality_without_jpeg_is_refused():
    with pytest.raises(ConfigError, match="quality=80 is that of JPEG, and encoding='png' makes none"):
        Conversion.of(encoding="png", quality=80)
    assert Conversion.of(encoding="jpeg", quality=80).quality == 80
    assert Conversion.of(encoding="png").quality == 95


def test_what_a_mode_does_not_hold_is_refused_before_any_work():
    wide = Field(name="image", axes="yx", dtype="float64")
    with pytest.raises(SchemaError, match=r"float64.*mode 'F', which holds float32.*\n?.*Leave mode out"):
        planned(Cells([np.zeros((2, 2))], wide), Conversion.of(mode="F"))


def test_nothing_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        made(ODD["cmyk.jpg"], mode="RGB")
        made(encode(np.zeros((3, 4), np.uint8), "png"))
    assert not caplog.records
