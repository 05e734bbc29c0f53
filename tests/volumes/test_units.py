import pytest

from voxloom.errors import VolumeMetadataError
from voxloom.volumes.units import factor, nanometres

# The lengths that the NGFF specification takes from UDUNITS.
SPECIFIED = [
    "angstrom", "attometer", "centimeter", "decimeter", "exameter", "femtometer", "foot", "gigameter",
    "hectometer", "inch", "kilometer", "megameter", "meter", "micrometer", "mile", "millimeter", "nanometer",
    "parsec", "petameter", "picometer", "terameter", "yard", "yoctometer", "yottameter", "zeptometer",
    "zettameter",
]  # fmt: skip


@pytest.mark.parametrize("unit", SPECIFIED)
def test_every_length_of_the_specification_is_known(unit):
    assert nanometres(unit) > 0
    assert nanometres(unit.replace("meter", "metre")) == nanometres(unit.capitalize()) == nanometres(unit)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nanometer", 1), ("nm", 1), ("um", 1e3), ("µm", 1e3), ("μm", 1e3), ("micron", 1e3), ("microns", 1e3),
        ("millimeter", 1e6), ("mm", 1e6), ("m", 1e9), ("angstrom", 0.1), ("Å", 0.1), ("inch", 25.4e6),
        ("foot", 3.048e8), ("kilometer", 1e12), ("yoctometer", 1e-15), ("yottameter", 1e33),
    ],
)  # fmt: skip
def test_lengths_in_nanometres(unit, expected):
    assert nanometres(unit) == pytest.approx(expected, rel=1e-12)


def test_what_is_no_length_is_refused_with_the_nearest():
    with pytest.raises(VolumeMetadataError, match=r"'pixel'.*expected a length"):
        nanometres("pixel")
    with pytest.raises(VolumeMetadataError, match="Did you mean 'micrometer'"):
        nanometres("micrometr")


def test_the_file_is_believed_before_the_caller_and_one_of_them_must_say():
    assert factor("micrometer", "x", "nanometer") == 1000
    assert factor(None, "x", "micrometer") == 1000
    assert factor("pixel", "x", "nanometer") == 1
    with pytest.raises(VolumeMetadataError, match=r"axis x has no unit.*unit='nanometer'.*spacing="):
        factor(None, "x", None)
    with pytest.raises(VolumeMetadataError, match=r"axis x: unit 'pixel'.*unit='nanometer'"):
        factor("pixel", "x", None)
    with pytest.raises(VolumeMetadataError, match="'parsek'"):
        factor(None, "x", "parsek")
