import numpy as np
import ome_zarr_models.v04
import ome_zarr_models.v05
import pytest
import yaozarrs
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import ConfigError, VolumeMetadataError
from voxloom.label_colours import colour_of_label
from voxloom.volumes.ome import (
    Axis,
    Multiscale,
    StoredLevel,
    parse,
    parse_image_label,
    parse_labels,
    parse_plate,
    parse_well,
    series_of,
)
from voxloom.volumes.ome_write import render, render_labels
from voxloom.volumes.transforms import Placement, compose

KINDS = {"t": "time", "c": "channel"}


def image(axes="zyx", levels=2, *, channels=(), version="0.5", name="em"):
    stored = tuple(Axis(axis, KINDS.get(axis, "space")) for axis in axes)
    scales = [tuple(float(i + 2) * 2**k for i in range(len(axes))) for k in range(levels)]
    placed = [StoredLevel(f"s{k}", Placement(s, tuple(v / 3 for v in s))) for k, s in enumerate(scales)]
    return Multiscale(stored, tuple(placed), name, channels, version)


def attributes(axes=("z", "y", "x"), transforms=None, *, unit="micrometer", **more):
    listed = [
        {"name": a, "type": KINDS.get(a, "space"), **({"unit": unit} if a in "zyx" and unit else {})}
        for a in axes
    ]
    transforms = transforms or [{"type": "scale", "scale": [1.0] * len(axes)}]
    datasets = [{"path": "0", "coordinateTransformations": transforms}]
    return {"multiscales": [{"version": "0.4", "axes": listed, "datasets": datasets, **more}]}


def test_both_places_of_transformations_are_composed():
    own = [{"type": "scale", "scale": [4, 2, 1]}, {"type": "translation", "translation": [8, 0, 3]}]
    common = [{"type": "scale", "scale": [10, 10, 5]}, {"type": "translation", "translation": [1, 0, 0]}]
    found = parse(attributes(transforms=own, coordinateTransformations=common))
    assert found.levels[0].placement == Placement((40e3, 20e3, 5e3), (81e3, 0, 15e3))


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.floats(-1e3, 1e3)), min_size=1, max_size=5),
    st.floats(-1e3, 1e3),
)
def test_a_composed_placement_moves_points_as_its_parts_do(steps, index):
    transforms, point = [], index
    for scale, move in steps:
        transforms += [{"type": "scale", "scale": [scale]}, {"type": "translation", "translation": [move]}]
        point = point * scale + move
    placed = compose([{"type": "sequence", "transformations": transforms}, {"type": "identity"}], 1)
    assert placed.scale[0] * index + placed.translation[0] == pytest.approx(point, rel=1e-9, abs=1e-6)


AXES = st.sampled_from(["yx", "zyx", "cyx", "tyx", "czyx", "tzyx", "tcyx", "tczyx"])


@settings(max_examples=40, deadline=None)
@given(AXES, st.integers(1, 4), st.sampled_from(["0.4", "0.5"]), st.booleans())
def test_what_we_render_is_valid_and_read_back_as_it_was(axes, levels, version, is_labels):
    channels = ("DAPI", "mito") if "c" in axes and not is_labels else ()
    made = image(axes, levels, channels=channels, version=version)
    rendered = render(made, dtype="uint16", classes={1: "mito", 7: "er"} if is_labels else None)
    assert parse(rendered) == made
    assert parse_image_label(rendered) == ({1: "mito", 7: "er"} if is_labels else None)
    own = rendered["ome"] if version == "0.5" else rendered
    yaozarrs.validate_ome_object(own)
    rooms = ome_zarr_models.v05 if version == "0.5" else ome_zarr_models.v04
    model = rooms.image_label.ImageLabelAttrs if is_labels else rooms.image.ImageAttrs
    model.model_validate(own)


def test_label_images_of_instances_have_no_empty_lists():
    rendered = render(image(), classes={})["ome"]["image-label"]
    assert "properties" not in rendered
    assert rendered["colors"]
    assert parse_image_label(render(image(), classes={})) == {}
    assert parse_image_label(render(image())) is None


def test_the_list_of_labels_is_valid_and_read_back():
    for version in ("0.4", "0.5"):
        assert parse_labels(render_labels(["a", "b"], version)) == ("a", "b")
    yaozarrs.validate_ome_object(render_labels(["a"], "0.5")["ome"])
    assert parse_labels({}) == parse_labels({"labels": "a"}) == ()


def test_windows_span_the_type_and_colours_differ():
    def window(dtype):
        return render(image("czyx", channels=("a", "b")), dtype=dtype)["ome"]["omero"]["channels"][1][
            "window"
        ]

    assert window("uint16") == {"min": 0, "max": 65535, "start": 0, "end": 65535}
    assert window("float32")["max"] == 1.0
    assert len({colour_of_label(value) for value in range(50)}) == 50


def test_only_versions_that_we_write_are_written():
    with pytest.raises(ConfigError, match=r"'0\.6'.*'0\.5' or '0\.4'"):
        render(image(version="0.6"))
    unplaced = Multiscale(image().axes, (StoredLevel("s0", None),))
    with pytest.raises(ConfigError, match="'s0' has no placement"):
        render(unplaced)


@pytest.mark.parametrize(
    ("axes", "named"),
    [("zyx", "zyx"), ("xyz", "xyz"), ("xyzct", "xyzct"), ("ZYX", "zyx"), ("czxy", "czxy"), ("abc", "zyx")],
)
def test_axes_of_any_order_have_our_names(axes, named):
    listed = [{"name": a, "type": KINDS.get(a, "space"), "unit": "nm"} for a in axes]
    if axes == "abc":  # names of one's own, in the order z, y, x that the specification wants
        listed = [{"name": a, "type": "space", "unit": "nm"} for a in axes]
    stated = attributes(transforms=[{"type": "scale", "scale": [1] * len(axes)}])
    stated["multiscales"][0]["axes"] = listed
    assert "".join(axis.name for axis in parse(stated).axes) == named


def test_units_missing_or_wrong_name_the_option():
    with pytest.raises(VolumeMetadataError, match=r"axis z has no unit.*unit='nanometer'"):
        parse(attributes(unit=None))
    with pytest.raises(VolumeMetadataError, match=r"unit 'parrot'.*unit='nanometer'"):
        parse(attributes(unit="parrot"))
    assert parse(attributes(unit=None), unit="um").levels[0].placement.scale == (1000, 1000, 1000)
    assert parse(attributes(), unit="mm").levels[0].placement.scale == (1000, 1000, 1000)


def test_a_stated_spacing_scales_translations_and_coarser_levels():
    first = [{"type": "scale", "scale": [1, 2, 2]}, {"type": "translation", "translation": [10, 0, 0]}]
    second = [{"type": "scale", "scale": [1, 4, 4]}, {"type": "translation", "translation": [10, 1, 1]}]
    stated = attributes(unit=None)
    stated["multiscales"][0]["datasets"] = [
        {"path": "0", "coordinateTransformations": first},
        {"path": "1", "coordinateTransformations": second},
    ]
    levels = parse(stated, spacing=(40, 8, 8)).levels
    assert levels[0].placement == Placement((40, 8, 8), (400, 0, 0))
    assert levels[1].placement == Placement((40, 16, 16), (400, 4, 4))
    assert parse(stated, spacing=(40, 16, 16), only="1").levels[0].placement == Placement(
        (40, 16, 16), (400, 4, 4)
    )


TURNED = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
SHEARED = [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
BAD_TRANSFORMS = {
    "a scale of another length": [{"type": "scale", "scale": [1, 1]}],
    "a scale of 0": [{"type": "scale", "scale": [1, 0, 1]}],
    "a negative scale": [{"type": "scale", "scale": [1, -1, 1]}],
    "a scale that is none": [{"type": "scale", "scale": [1, float("nan"), 1]}],
    "text in a scale": [{"type": "scale", "scale": [1, "2", 1]}],
    "a scale in an array": [{"type": "scale", "path": "scales"}],
    "no list": {"type": "scale"},
    "text for a transformation": ["scale"],
    "a rotation": [{"type": "rotation", "rotation": TURNED}],
    "a shear": [{"type": "affine", "affine": SHEARED}],
    "an affine of another size": [{"type": "affine", "affine": [[1, 0], [0, 1]]}],
}


@pytest.mark.parametrize("what", BAD_TRANSFORMS)
def test_transformations_that_are_no_grid_are_refused(what):
    with pytest.raises(VolumeMetadataError, match=r"expected|upright"):
        parse(attributes(transforms=BAD_TRANSFORMS[what]))


ZYX = attributes()["multiscales"][0]["axes"]
TWO_CHANNELS = [{"name": "c", "type": "channel"}, {"name": "d", "type": "channel"}, *ZYX]
BAD = {
    "no multiscales": {},
    "an empty list": {"multiscales": []},
    "two axes of one name": attributes(("x", "x")),
    "a single axis": attributes(("x",)),
    "one axis of space": attributes(("t", "x")),
    "two channel axes": {"multiscales": [{"axes": TWO_CHANNELS, "datasets": [{"path": "0"}]}]},
    "no datasets": {"multiscales": [{"axes": ZYX, "datasets": []}]},
    "a path that is no text": {"multiscales": [{"axes": ZYX, "datasets": [{"path": 0}]}]},
    "no axes": {"multiscales": [{"version": "0.4", "datasets": [{"path": "0"}]}]},
    "a system that is not there": {
        "multiscales": [{"coordinateSystems": [{"name": "a", "axes": ZYX}], "datasets": [{"path": "0"}]}]
    },
}


@pytest.mark.parametrize("what", BAD)
def test_wrong_metadata_are_refused(what):
    with pytest.raises(VolumeMetadataError, match=r"expected|upright"):
        parse(BAD[what])


def test_metadata_of_old_versions_need_a_spacing():
    oldest = {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}]}
    with pytest.raises(VolumeMetadataError, match=r"no scale.*spacing=\(z, y, x\)"):
        parse(oldest)
    found = parse(oldest, spacing=(40, 8, 8))
    assert ("".join(a.name for a in found.axes), found.levels[0].placement) == ("tczyx", None)
    names_alone = {"multiscales": [{"version": "0.3", "axes": ["z", "y", "x"], "datasets": [{"path": "0"}]}]}
    assert [axis.kind for axis in parse(names_alone, spacing=(1, 1, 1)).axes] == ["space"] * 3


def test_class_names_are_taken_from_any_of_their_keys():
    properties = [
        {"label-value": 1, "class": "mito"},
        {"label-value": 2, "name": "er", "area": 3},
        {"label-value": 3, "area": 5},
        {"class": "without a value"},
        "no object",
    ]
    assert parse_image_label({"ome": {"image-label": {"properties": properties}}}) == {1: "mito", 2: "er"}
    assert parse_image_label({"image-label": {"properties": None}}) == {}


def test_plates_wells_and_series():
    assert parse_plate({"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}}) == ("A/1", "B/2")
    assert parse_plate({"plate": {}}) == ()
    assert parse_plate({}) is None
    assert parse_well({"ome": {"well": {"images": [{"path": "0"}]}}}) == ("0",)
    assert series_of({"bioformats2raw.layout": 3}) == ()
    assert series_of({"ome": {"bioformats2raw.layout": 3, "series": ["0", "1"]}}) == ("0", "1")
    assert series_of({}) is None


def test_numbers_of_any_kind_can_be_rendered():
    made = image()
    assert parse(render(made, dtype=np.dtype("float64"))) == made
