import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from voxloom.errors import DataError, UnreadableImageError
from voxloom.formats.encoding import (
    as_pil,
    cell_array,
    cell_bytes,
    decode,
    encode,
    header,
    sniff,
    suffix_of,
)
from voxloom.sample import Field

RGBA = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12, 4), dtype=np.uint8)).resize((45, 37))
)
PICTURE = Image.fromarray(RGBA).convert("RGB")


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def in_mode(mode):
    if mode == "I;16":
        return Image.fromarray(RGBA[..., 0].astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        return Image.fromarray(RGBA).convert(mode)
    return PICTURE.convert("L").convert(mode) if mode in ("1", "I", "F") else PICTURE.convert(mode)


def by_pillow(data):
    """What Pillow makes of a file, with the colours of a palette."""
    image = Image.open(io.BytesIO(data))
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    pixels = np.asarray(image)
    return pixels.astype(pixels.dtype.newbyteorder("="))


def same(got, expected):
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    assert got.flags.writeable
    assert got.flags.c_contiguous
    assert got.dtype.isnative


MODES = {
    "jpeg": ["L", "RGB", "CMYK"],
    "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "tiff": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"],
    "gif": ["1", "L", "P", "RGB"],
    "bmp": ["1", "L", "P", "RGB", "RGBA"],
    "webp": ["RGB", "RGBA", "L"],
    "jpeg2000": ["L", "LA", "RGB", "RGBA", "I;16"],
    "ppm": ["1", "L", "RGB", "I;16", "F"],
}
CASES = [(kind, mode) for kind, modes in MODES.items() for mode in modes]


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_the_bits_are_those_of_pillow(kind, mode):
    data = file_of(in_mode(mode), kind)
    expected = by_pillow(data)
    same(decode(data), expected)
    same(decode(memoryview(data)), expected)
    out = np.empty_like(expected)
    assert decode(data, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(("kind", "mode"), CASES)
@pytest.mark.parametrize("use", ["image", "mask"])
def test_a_header_says_what_decoding_gives(kind, mode, use):
    data = file_of(in_mode(mode), kind)
    pixels, head = decode(data, kind=use), header(data, kind=use)
    assert (head.shape, head.dtype) == (pixels.shape, pixels.dtype.name)
    assert head.axes == ("yx" if pixels.ndim == 2 else "yxc")
    if kind != "tiff":
        assert head.mode == as_pil(data).mode


@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (45, 37)])
def test_jpeg_is_exact(quality, progressive, subsampling, size):
    image = PICTURE.crop((0, 0, *size))
    data = file_of(image, "jpeg", quality=quality, progressive=progressive, subsampling=subsampling)
    out = np.zeros((size[1], size[0], 3), np.uint8)
    same(decode(data, out=out), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("transform", [0, 2])
def test_inks_of_jpeg(transform):
    data = bytearray(file_of(PICTURE.convert("CMYK"), "jpeg"))
    data[data.index(b"Adobe") + 11] = transform  # 2 is YCCK
    data = bytes(data)
    same(decode(data), by_pillow(data))
    same(decode(data, "yxc", out=np.empty((37, 45, 4), np.uint8)), by_pillow(data))


def test_jpeg_without_a_change_of_colours():
    data = file_of(PICTURE, "jpeg", keep_rgb=True)
    same(decode(data), by_pillow(data))


def test_grey_jpeg_into_a_channel_and_into_none():
    data = file_of(PICTURE.convert("L"), "jpeg")
    same(decode(data, "yxc", out=np.empty((37, 45, 1), np.uint8))[..., 0], by_pillow(data))
    same(decode(data, "yx", out=np.empty((37, 45), np.uint8)), by_pillow(data))


def test_a_batch_of_another_shape_or_type_is_refused():
    grey, colour = file_of(PICTURE.convert("L"), "jpeg"), file_of(PICTURE, "jpeg")
    for data, out in [
        (grey, np.empty((37, 45, 3), np.uint8)),
        (colour, np.empty((37, 45, 1), np.uint8)),
        (colour, np.empty((40, 45, 3), np.uint8)),
        (colour, np.empty((37, 45, 3), np.uint16)),
        (colour, np.empty((37, 45, 3), np.float32)),
        (file_of(PICTURE, "png"), np.empty((9, 9, 3), np.uint8)),
    ]:
        with pytest.raises(DataError, match=r"a/1\.jpg: .* where the batch takes .*--size"):
            decode(data, "yxc", name="a/1.jpg", out=out)


def test_a_batch_that_is_not_contiguous_is_filled_all_the_same():
    data = file_of(PICTURE, "jpeg")
    out = np.empty((3, 37, 45), np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(decode(data, "yxc", out=out), by_pillow(data))


@pytest.mark.parametrize(
    ("asked", "shape"),
    [((5, 6), (5, 6)), ((6, 6), (10, 12)), ((10, 13), (19, 23)), ((20, 1), (37, 45)), ((90, 90), (37, 45))],
)
def test_jpeg_is_decoded_smaller_where_that_suffices(asked, shape):
    data = file_of(PICTURE, "jpeg")
    small = decode(data, at_least=asked)
    assert small.shape == (*shape, 3)
    same(decode(data, "yxc", at_least=asked, out=np.empty((*shape, 3), np.uint8)), small)
    pillow = Image.open(io.BytesIO(data))
    pillow.draft("RGB", (45 * shape[1] // 46, 37 * shape[0] // 38))
    np.testing.assert_array_equal(small, np.asarray(pillow))


def test_other_files_have_one_size():
    data = file_of(PICTURE, "png")
    assert decode(data, at_least=(3, 3)).shape == (37, 45, 3)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("clear", [{}, {"transparency": 1}])
def test_palettes_give_colours_to_an_image_and_indices_to_a_mask(bits, clear):
    image = PICTURE.quantize(2**bits)
    data = file_of(image, "png", bits=bits, **clear)
    same(decode(data), np.asarray(image.convert("RGB")) if not clear else by_pillow(data))
    same(decode(data, kind="mask"), np.asarray(image))
    assert as_pil(data).getpalette()[: 3 * 2**bits] == image.getpalette()[: 3 * 2**bits]
    assert decode(data).shape[-1] == (4 if clear else 3)


@pytest.mark.parametrize("options", [{"transparency": (1, 2, 3)}, {"compress_level": 0}])
def test_png_with_a_colour_that_is_transparent_keeps_its_channels(options):
    data = file_of(PICTURE, "png", **options)
    same(decode(data), np.asarray(PICTURE))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_8_and_16_bits(dtype, channels):
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, channels)).astype(dtype)
    data = encode(array, "png")
    same(decode(data, "yxc"), array)
    assert header(data).dtype == np.dtype(dtype).name
    assert header(data).shape == (array.shape if channels > 1 else (9, 7))


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_stay_where_a_colour_is_transparent(channels):
    array = np.arange(9 * 7 * channels, dtype=np.uint16).reshape(9, 7, channels) * 300
    data = encode(array, "png")
    chunk = b"tRNS" + bytes(2 * channels)
    clear = (2 * channels).to_bytes(4, "big") + chunk + imagecodecs.zlib_crc32(chunk).to_bytes(4, "big")
    same(decode(data[:33] + clear + data[33:], "yxc"), array)


DTYPES = [bool, "u1", "u2", "u4", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8"]
LAYOUTS = [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": "zstd"}]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_tiff_keeps_every_type(dtype, layout):
    array = (np.random.default_rng(0).random((19, 17)) * 100).astype(dtype)
    data = tiff(array, photometric="minisblack", **layout)
    same(decode(data), array)
    assert header(data).dtype == array.dtype.name


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_of_tiff(planar):
    stored = np.moveaxis(RGBA[..., :3], -1, 0) if planar == "separate" else RGBA[..., :3]
    data = tiff(stored, photometric="rgb", planarconfig=planar)
    same(decode(data), np.ascontiguousarray(RGBA[..., :3]))
    same(decode(data, "cyx"), np.ascontiguousarray(np.moveaxis(RGBA[..., :3], -1, 0)))
    assert header(data).shape == (37, 45, 3)


def test_white_stored_as_0_is_turned_round_but_in_masks():
    flags = RGBA[..., 0] > 128
    data = tiff(flags)  # tifffile says of flags that white is 0
    same(decode(data), by_pillow(data))
    same(decode(data, kind="mask"), flags)
    grey = tiff(RGBA[..., 0], photometric="miniswhite")
    same(decode(grey), 255 - RGBA[..., 0])


def test_several_pages():
    stack = np.arange(5 * 9 * 7, dtype=np.uint16).reshape(5, 9, 7)
    data = tiff(stack)
    same(decode(data), stack)
    same(decode(data, "zyx"), stack)
    assert header(data).axes == "zyx"
    for axes in ("yx", "yxc", "cyx"):
        with pytest.raises(
            DataError, match=r"s\.tif: 5 pages, where the field has axes '\w+'\. Split the stack"
        ):
            decode(data, axes, name="s.tif")


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_is_refused(kind):
    data = file_of(PICTURE, kind, save_all=True, append_images=[PICTURE.rotate(90)])
    with pytest.raises(UnreadableImageError, match=r"film: an animation of 2 frames"):
        decode(data, name="film")


@pytest.mark.parametrize("encoding", ["npy", "blosc"])
@pytest.mark.parametrize("dtype", [*DTYPES, ">u2", "<U5", "M8[s]"])
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 5), (2, 3, 4)])
def test_arrays_as_bytes(encoding, dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype("i8").astype(dtype)
    data = encode(array, encoding)
    got = decode(data)
    same(got, array.astype(array.dtype.newbyteorder("=")))
    assert got.shape == shape
    assert header(data).shape == shape
    same(decode(data, "yxc", out=np.zeros_like(got)), got)


def test_numpy_reads_our_npy_and_we_read_numpys(tmp_path):
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    (tmp_path / "a.npy").write_bytes(encode(array, "npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    np.save(tmp_path / "b.npy", array)
    same(decode((tmp_path / "b.npy").read_bytes()), np.ascontiguousarray(array))


def test_nothing_is_unpickled():
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableImageError, match=r"evil\.npy: .*never unpickled"):
        decode(file.getvalue(), name="evil.npy")
    for encoding in ("npy", "blosc"):
        with pytest.raises(DataError, match="pickle"):
            encode(np.array([{"a": 1}], dtype=object), encoding)


def test_blosc_makes_frames_of_a_camera_smaller_by_half():
    frame = np.random.default_rng(0).poisson(40, (256, 256)).astype(np.uint16)
    assert len(encode(frame, "blosc")) < frame.nbytes / 2


@pytest.mark.parametrize("encoding", ["npy", "blosc", "png"])
@pytest.mark.parametrize("axes", ["cyx", "yx", "yxc"])
def test_what_a_field_holds_comes_back(encoding, axes):
    shape = tuple({"c": 1, "y": 6, "x": 7}[axis] for axis in axes)
    array = np.arange(42, dtype=np.uint16).reshape(shape)
    field = Field(name="image", axes=axes)
    same(cell_array(cell_bytes(array, encoding, field), field, encoding=encoding), array)


def test_lossless_encodings_of_masks_and_the_lossy_one():
    flags = RGBA[..., 0] > 100
    same(decode(encode(flags, "png")), flags)
    close = decode(encode(np.asarray(PICTURE), "jpeg", quality=100))
    assert np.abs(close.astype(int) - np.asarray(PICTURE)).mean() < 2
    assert decode(encode(RGBA[..., :1], "jpeg")).shape == (37, 45)


@pytest.mark.parametrize(
    ("array", "encoding"),
    [
        (np.zeros((4, 4), np.float32), "png"),
        (np.zeros((4, 4, 5), np.uint8), "png"),
        (np.zeros((4, 4), np.uint16), "jpeg"),
        (np.zeros((4, 4, 4), np.uint8), "jpeg"),
        (np.zeros((2, 2, 4, 4), np.uint8), "png"),
        (np.zeros(4, np.uint8), "png"),
        (np.zeros((4, 4)), "file"),
        (np.zeros((4, 4)), "fixed"),
    ],
)
def test_what_an_encoding_cannot_hold_is_refused(array, encoding):
    with pytest.raises(DataError, match=r"a/1: "):
        encode(array, encoding, name="a/1")


def test_cells():
    colour, grey = file_of(PICTURE, "png"), file_of(PICTURE.convert("L"), "jpeg")
    assert cell_array(colour, Field(name="image", axes="cyx")).shape == (3, 37, 45)
    assert cell_array(grey, Field(name="image", axes="yxc")).shape == (37, 45, 1)
    assert cell_array(grey, Field(name="image", axes="yx")).shape == (37, 45)
    with pytest.raises(DataError, match=r"a/1: 3 channels, where the field has axes 'yx'"):
        cell_array(colour, Field(name="image", axes="yx"), name="a/1")
    array = np.zeros((2, 2))
    assert cell_array(array, Field(name="image")) is array
    note = Field(name="note", kind="text", axes="")
    assert cell_array("été".encode(), note).item() == "été"
    assert cell_bytes(np.array("été"), "text", note) == "été".encode()
    with pytest.raises(UnreadableImageError, match=r"a/1: .*utf-8"):
        cell_array(b"\xff\xfe", note, name="a/1")
    assert cell_bytes(grey, "file", Field(name="image")) is grey
    same(decode(cell_bytes(grey, "png", Field(name="image"))), by_pillow(grey))
    with pytest.raises(DataError, match="an array is no file"):
        cell_bytes(array, "file", Field(name="image"))


def test_kinds_and_endings():
    found = {kind: suffix_of(file_of(PICTURE, kind)) for kind in MODES}
    assert found == {
        "jpeg": "jpg", "png": "png", "tiff": "tif", "gif": "gif", "bmp": "bmp", "webp": "webp", "ppm": "ppm",
        "jpeg2000": "jp2",
    }  # fmt: skip
    assert [suffix_of(encode(RGBA, encoding)) for encoding in ("npy", "blosc")] == ["npy", "blosc"]
    for data, what in [(b"", "an empty file"), (b"\0\0\0\0", "none of JPEG"), (b"hello", "none of JPEG")]:
        for function in (sniff, decode, header, as_pil):
            with pytest.raises(UnreadableImageError, match=f"odd: {what}"):
                function(data, name="odd")


def test_as_pil_is_lazy_and_keeps_the_mode():
    image = as_pil(file_of(in_mode("I;16"), "png"))
    assert (image.mode, image.format, image.size) == ("I;16", "PNG", (45, 37))
    assert as_pil(encode(RGBA, "npy")).mode == "RGBA"
    with pytest.raises(UnreadableImageError, match="a/1: "):
        as_pil(encode(np.zeros((3, 3, 3, 3)), "npy"), name="a/1")
