import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, UnreadableImageError
from voxloom.formats.encoding import encode
from voxloom.sources import ReadPolicy, read_image
from voxloom.sources.images import read_cell

LUMA = ReadPolicy(color="luma")


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def png(image, **options):
    file = io.BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


RAMP = np.random.default_rng(0).integers(1, 60000, (48, 40)).astype(np.uint16)
VARIANTS = {
    "plain": {},
    "strips": {"rowsperstrip": 8},
    "deflate": {"compression": "zlib", "rowsperstrip": 8, "predictor": True},
    "lzw": {"compression": "lzw"},
    "zstd": {"compression": "zstd"},
    "packbits": {"compression": "packbits"},
    "tiles": {"tile": (16, 16), "compression": "deflate"},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "imagej": {"imagej": True},
    "jpeg2000": {"compression": "jpeg2000"},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_variants_of_tiff(tmp_path, options):
    (tmp_path / "a.tif").write_bytes(tiff(RAMP, **options))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], RAMP)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_of_another_writer(tmp_path, glyph, compression):
    Image.fromarray(glyph).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UnreadableImageError, match=rf"{name}: an empty file \(0 bytes\)"):
        read_image(tmp_path / name)


FILES = {
    **{name: tiff(RAMP, **options) for name, options in VARIANTS.items()},
    "jpeg": tiff((RAMP >> 8).astype(np.uint8), compression="jpeg"),
    "png": png(Image.fromarray(RAMP)),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_a_truncated_file_is_never_half_an_image(tmp_path, data):
    path = tmp_path / "cut.tif"
    for share in (0.01, 0.05, 0.3, 0.5, 0.9, 0.98):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UnreadableImageError, match=r"cut\.tif: ") as caught:
            read_image(path)
        assert isinstance(caught.value, OSError)


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_file_gives_an_image_or_a_data_error(tmp_path_factory, name, changes):
    data = bytearray(FILES[name])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damaged") / "a.tif"
    path.write_bytes(data)
    try:
        image = read_image(path, ReadPolicy(color="luma", pages="first"))
    except DataError as error:
        message = str(error)
    else:
        message = f"{path}: {image.shape}"
        assert image.ndim == 3
    assert str(path) in message


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    data = bytearray(FILES["png"])
    data[16:24] = b"\x7f\xff\xff\xff" * 2
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImageError, match="claims to hold 2147483647 x 2147483647"):
        read_image(tmp_path / "a.png")


def colors():
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    return np.dstack([grey, grey[::-1], grey // 2])


def expected_luma(rgb):
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(rgb.dtype)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_png(tmp_path, mode):
    path = tmp_path / "a.png"
    path.write_bytes(png(Image.fromarray(colors()).convert(mode)))
    with pytest.raises(DataError, match=rf"a\.png: {len(mode)} channels .*expected one.*color='luma'"):
        read_image(path)
    got = read_image(path, LUMA)[0]
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), expected_luma(colors()), atol=1 if mode == "LA" else 0)


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_tiff(tmp_path, scale, planar):
    rgb = colors().astype(np.uint16) * scale if scale > 1 else colors()
    stored = np.moveaxis(rgb, -1, 0) if planar == "separate" else rgb
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    with pytest.raises(DataError, match=r"a\.tif: 3 channels \(RGB\)"):
        read_image(tmp_path / "a.tif")
    got = read_image(tmp_path / "a.tif", LUMA)[0]
    assert got.dtype == rgb.dtype
    np.testing.assert_array_equal(got, expected_luma(rgb))


def test_channels_that_are_no_colours_are_refused_whatever_the_policy(tmp_path):
    stored = np.zeros((6, 8, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"a\.tif: a page with axes YXS .*each channel as a file"):
        read_image(tmp_path / "a.tif", LUMA)


def test_a_palette_of_greys_is_one_channel(tmp_path):
    grey = Image.fromarray(colors()[..., 0])
    (tmp_path / "a.png").write_bytes(png(grey.convert("P")))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], colors()[..., 0])
    grey.convert("P").save(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif")[0], colors()[..., 0])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_palette_of_colours_is_colour(tmp_path, name):
    few = Image.fromarray(colors()).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    few.save(tmp_path / name)
    with pytest.raises(DataError, match="channels"):
        read_image(tmp_path / name)
    expected = expected_luma(np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(read_image(tmp_path / name, LUMA)[0], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_white_stored_as_zero_is_turned_round(tmp_path, glyph, dtype):
    stored = (glyph > 0) if dtype == np.bool_ else glyph.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    highest = 1 if dtype == np.bool_ else np.iinfo(dtype).max
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], highest - stored.astype(int))


@pytest.mark.parametrize("imagej", [False, True])
@pytest.mark.parametrize(("pages", "index"), [("first", 0), ("middle", 2)])
def test_several_pages(tmp_path, imagej, pages, index):
    stack = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=imagej)
    with pytest.raises(DataError, match=r"stack\.tif: 5 pages, expected one.*pages='first'"):
        read_image(tmp_path / "stack.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "stack.tif", ReadPolicy(pages=pages))[0], stack[index]
    )


def test_a_thumbnail_is_no_page(tmp_path, glyph):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(glyph)
        writer.write(glyph[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)


def outcome(function, *args, **options):
    try:
        return function(*args, **options)
    except DataError as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("policy", [ReadPolicy(), LUMA])
def test_bytes_are_read_as_the_file_is(tmp_path, name, policy):
    path = tmp_path / "a.tif"
    for data in (FILES[name], FILES[name][:-300], b""):
        path.write_bytes(data)
        expected = outcome(read_image, path, policy)
        for cell in (data, memoryview(data)):
            got = outcome(read_cell, cell, policy, name=str(path))
            np.testing.assert_equal(got, expected)


def test_colours_pages_and_blank_files_as_bytes():
    stack = tiff(np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7))
    with pytest.raises(DataError, match=r"a/1: 5 pages, expected one"):
        read_cell(stack, name="a/1")
    assert read_cell(stack, ReadPolicy(pages="middle"))[0, 0, 0] == 84
    with pytest.raises(DataError, match=r"a/1: 3 channels \(RGB\), expected one"):
        read_cell(png(Image.fromarray(colors())), name="a/1")
    with pytest.raises(DataError, match="a/1: all pixels are 0"):
        read_cell(tiff(np.zeros((4, 4), np.uint8)), ReadPolicy(blank="error"), name="a/1")


@pytest.mark.parametrize("encoding", ["jpeg", "npy", "blosc"])
def test_the_other_kinds_of_bytes(encoding):
    grey = np.full((16, 24), 77, np.uint8)
    np.testing.assert_array_equal(read_cell(encode(grey, encoding), axes="yx"), grey[np.newaxis])
    with pytest.raises(DataError, match="a/1: 3 channels"):
        read_cell(encode(colors(), encoding), name="a/1", axes="yxc")
    assert read_cell(encode(colors(), encoding), LUMA, axes="yxc").shape == (1, 6, 8)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("yx", (6, 8)), ("cyx", (1, 6, 8)), ("yxc", (6, 8, 1)), ("zyx", (1, 6, 8)), ("czyx", (1, 1, 6, 8))],
)
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_of_one_plane(axes, shape, packed):
    plane = np.arange(48, dtype=np.uint16).reshape(6, 8)
    array = plane.reshape(shape)
    got = read_cell(encode(array, "blosc") if packed else array, axes=axes)
    assert got.dtype == np.uint16
    assert got.flags.writeable
    np.testing.assert_array_equal(got, plane[np.newaxis])


def test_a_policy_holds_for_arrays_too():
    with pytest.raises(DataError, match=r"a/1: 3 channels \(RGB\)"):
        read_cell(colors(), name="a/1", axes="yxc")
    for array, axes in ((colors(), "yxc"), (np.moveaxis(colors(), -1, 0), "cyx")):
        np.testing.assert_array_equal(read_cell(array, LUMA, axes=axes)[0], expected_luma(colors()))
    stack = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)
    with pytest.raises(DataError, match="a/1: 4 pages, expected one"):
        read_cell(stack, name="a/1", axes="zyx")
    np.testing.assert_array_equal(read_cell(stack, ReadPolicy(pages="first"), axes="zyx")[0], stack[0])
    broken = np.array([[1, np.nan]])
    with pytest.raises(DataError, match="a/1: 1 of 2 pixels are NaN"):
        read_cell(broken, name="a/1", axes="yx")
    np.testing.assert_array_equal(
        read_cell(broken, ReadPolicy(nonfinite="zero"), axes="yx"), np.float32([[[1, 0]]])
    )
    with pytest.raises(DataError, match=r"a/1: shape \(2, 3\) with axes 'cyx'"):
        read_cell(np.zeros((2, 3)), name="a/1")


def test_an_array_of_the_source_is_not_changed():
    array = np.array([[[1.0, np.inf]]], np.float32)
    got = read_cell(array, ReadPolicy(nonfinite="zero"))
    assert np.isinf(array[0, 0, 1])
    assert got[0, 0, 1] == 0
