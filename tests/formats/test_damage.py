"""Files that are cut, changed, or lie about their size, and the same decoders in several threads."""

import io
import threading
import tracemalloc
import warnings

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, UnreadableImageError
from voxloom.formats.encoding import as_pil, decode, encode, header
from voxloom.formats.ends import refuse_cut

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize(
    (45, 37)
)


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


FRAME = np.random.default_rng(0).integers(0, 200, (37, 45)).astype(np.uint16)
FILES = {
    "jpeg": file_of(PICTURE, "jpeg"),
    "progressive": file_of(PICTURE, "jpeg", progressive=True),
    "inks": file_of(PICTURE.convert("CMYK"), "jpeg"),
    "png": file_of(PICTURE, "png"),
    "palette": file_of(PICTURE.quantize(16), "png"),
    "png16": encode(FRAME, "png"),
    "tiff": tiff(FRAME),
    "deflate": tiff(FRAME, compression="zlib", rowsperstrip=8),
    "lzw": file_of(PICTURE, "tiff", compression="tiff_lzw"),
    "npy": encode(FRAME, "npy"),
    "blosc": encode(FRAME, "blosc"),
    "bmp": file_of(PICTURE, "bmp"),
    "gif": file_of(PICTURE, "gif"),
    "webp": file_of(PICTURE, "webp"),
    "jpeg2000": file_of(PICTURE, "jpeg2000"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_named_and_never_half_an_image(name):
    data = FILES[name]
    whole = decode(data)
    for share in (0.001, 0.01, 0.1, 0.5, 0.9, 0.98):
        cut = data[: int(share * len(data))]
        for out in (None, np.empty_like(whole)):
            if name == "palette" and share == 0.98:  # only the mark of the end is gone
                np.testing.assert_array_equal(decode(cut, out=out), whole)
                continue
            with pytest.raises(UnreadableImageError, match=r"a/cut: "):
                decode(cut, name="a/cut", out=out)


@pytest.mark.parametrize("name", FILES)
def test_what_follows_an_image_is_passed_over(name):
    if name == "blosc":
        with pytest.raises(UnreadableImageError):
            decode(FILES[name] + b"more", name=name)
    else:
        np.testing.assert_array_equal(decode(FILES[name] + b"more of it" * 9), decode(FILES[name]))


def test_a_jpeg_cut_and_closed_again_is_not_filled_up_with_grey():
    data = FILES["jpeg"]
    with pytest.raises(UnreadableImageError, match="a/1: a truncated or damaged JPEG"):
        decode(data[: len(data) // 2] + b"\xff\xd9", name="a/1")
    with pytest.raises(UnreadableImageError, match="a/1: a truncated or damaged JPEG"):
        decode(data[: len(data) // 2] + b"\xff\xd9", name="a/1", out=np.empty((37, 45, 3), np.uint8))


def test_bytes_between_the_markers_of_a_jpeg_are_passed_over_as_pillow_does():
    data = FILES["jpeg"]
    odd = data[:-2] + bytes(40) + data[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(odd)
    np.testing.assert_array_equal(
        decode(odd, out=np.empty((37, 45, 3), np.uint8)), np.asarray(Image.open(io.BytesIO(odd)))
    )


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(FILES)),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    st.booleans(),
)
@example("blosc", 1.0, [(0.03, 255)], False)
@example("png", 1.0, [(0.001, 127), (0.002, 127)], False)
def test_a_damaged_file_gives_an_image_or_an_error_of_ours(name, end, changes, mask):
    data = bytearray(FILES[name])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    damaged = bytes(data[: int(end * len(data))])
    assert "a/1" in outcome(decode, damaged, name="a/1", kind="mask" if mask else "image")
    assert "a/1" in outcome(header, damaged, name="a/1")


def outcome(function, *args, name, **options):
    try:
        function(*args, name=name, **options)
    except DataError as error:
        return str(error)
    return f"{name}: fine"


def claims(name, height, width):
    data = bytearray(FILES[name])
    if name == "png":
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data[29:33] = imagecodecs.zlib_crc32(bytes(data[12:29])).to_bytes(4, "big")
    elif name == "jpeg":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    elif name == "gif":
        data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif name == "bmp":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    else:
        data = data.replace(b"(37, 45)", f"({height}, {width})".encode().ljust(8))
    return bytes(data)


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "bmp"])
def test_a_header_that_claims_too_much_takes_no_memory_and_no_warning(name):
    data = claims(name, 65000, 65000)
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for function in (decode, header, as_pil):
                with pytest.raises(
                    UnreadableImageError, match="bomb: it claims to hold 65000 x 65000 pixels"
                ):
                    function(data, name="bomb")
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["npy", "blosc"])
def test_an_array_that_claims_too_much(name):
    data = FILES[name].replace(b"(37, 45), }     ", b"(2147483647, 9)}", 1)
    assert data != FILES[name]
    with pytest.raises(UnreadableImageError, match="bomb: "):
        decode(data, name="bomb")


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "bmp"])
def test_a_header_that_claims_what_its_file_cannot_hold(name):
    with pytest.raises(UnreadableImageError, match=r"30000 x 20000 pixels, more than its \d+ bytes"):
        decode(claims(name, 30000, 20000), name="bomb")


@pytest.mark.parametrize("codec", ["zlib", "zstd", "lzw"])
def test_a_tiff_that_claims_strips_that_are_not_there(codec):
    data = tiff(FRAME, compression=codec, rowsperstrip=8)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[0].tags["ImageLength"].valueoffset
    taller = data[:place] + bytes([72]) + data[place + 1 :]
    with pytest.raises(UnreadableImageError, match=r"tall: .* 5 of its 9 strips or tiles are there"):
        decode(taller, name="tall")


def test_a_large_image_that_is_sound_opens_without_a_warning():
    data = file_of(Image.new("1", (14000, 14000)), "png")
    assert header(data).shape == (14000, 14000)
    assert as_pil(data).size == (14000, 14000)


def test_many_threads_decode_at_once():
    expected = {name: decode(data) for name, data in FILES.items()}
    wrong = []

    def work():
        for name, data in list(FILES.items()) * 3:
            if not (decode(data) == expected[name]).all():
                wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


THUMB = b"Exif\0\0II*\0" + file_of(PICTURE.resize((20, 16)), "jpeg")
WHOLE = FILES | {
    "thumbnail": file_of(PICTURE, "jpeg", exif=THUMB),
    "big tiff": tiff(FRAME, bigtiff=True),
    "other order": tiff(FRAME, byteorder=">"),
    "tiles": tiff(FRAME, tile=(16, 16), compression="zlib"),
    "stack": tiff(np.stack([FRAME] * 3), photometric="minisblack"),
    "planes": tiff(np.stack([FRAME] * 3), photometric="rgb", planarconfig="separate"),
    "fax": file_of(PICTURE.convert("1"), "tiff", compression="group4"),
    "webp lossless": file_of(PICTURE, "webp", lossless=True),
    "bmp palette": file_of(PICTURE.quantize(16), "bmp"),
    "bmp flags": file_of(PICTURE.convert("1"), "bmp"),
    "ppm": file_of(PICTURE, "ppm"),
    "pgm": file_of(PICTURE.convert("L"), "ppm"),
    "pbm": file_of(PICTURE.convert("1"), "ppm"),
    "pgm16": file_of(Image.fromarray(FRAME), "ppm"),
    "pfm": file_of(PICTURE.convert("F"), "ppm"),
    "avif": file_of(PICTURE, "avif"),
    "j2k": file_of(PICTURE, "jpeg2000", no_jp2=True),
    "jp2 tiles": file_of(PICTURE, "jpeg2000", tile_size=(16, 16)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_end_of_a_file_is_missed_without_decoding(name):
    data = WHOLE[name]
    for whole in (data, memoryview(data), data if name == "blosc" else data + b"\0\0\0\x08free"):
        refuse_cut(whole, name=name)
    for share in np.linspace(0.02, 0.99, 50):
        with pytest.raises(UnreadableImageError, match="a/1: "):
            refuse_cut(data[: int(share * len(data))], name="a/1")


def test_ends_that_decoders_do_not_miss_are_not_missed():
    refuse_cut(FILES["gif"][:-1])  # the trailer
    refuse_cut(b"P3 1 1 255 1 2 3")  # plain text is not checked
    last = bytearray(tiff(FRAME))
    with tifffile.TiffFile(io.BytesIO(last)) as file:
        place = file.pages[0].tags["StripByteCounts"].valueoffset
    last[place : place + 4] = (2**20).to_bytes(4, "little")  # it speaks of rows that are not there
    np.testing.assert_array_equal(decode(bytes(last)), FRAME)
    refuse_cut(bytes(last))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(WHOLE)), st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)))
)
def test_a_damaged_file_has_an_end_or_an_error_of_ours(name, end, changes):
    data = bytearray(WHOLE[name])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    assert "a/1" in outcome(refuse_cut, bytes(data[: int(end * len(data))]), name="a/1")
