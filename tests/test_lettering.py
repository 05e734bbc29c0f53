import pytest

from voxloom import lettering
from voxloom.lettering import drawable


@pytest.fixture
def without_system_fonts(monkeypatch):
    monkeypatch.setattr(lettering, "_of_system", lambda size: ())


def test_plain_text_has_the_font_that_every_machine_has():
    text, font = drawable("images/cat 1.png", 12)
    assert (text, font.getname()) == ("images/cat 1.png", ("Aileron", "Regular"))


@pytest.mark.usefixtures("without_system_fonts")
@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("röntgen é", "rontgen e"),
        ("ro\u0308ntgen", "rontgen"),
        ("straße", r"stra\xdfe"),
        ("断层/一.png", r"\u65ad\u5c42/\u4e00.png"),
        ("a\x00b", r"a\x00b"),
        ("\U0001f408", r"\U0001f408"),
        ("", ""),
    ],
)
def test_what_no_font_has_is_escaped_and_never_a_box(text, drawn):
    assert drawable(text, 12)[0] == drawn


def test_a_font_of_the_system_helps_where_there_is_one():
    if not lettering._of_system(12):
        pytest.skip("no font on this machine")
    text, font = drawable("ä", 12)
    assert lettering._has(font, "ä") if text == "ä" else text == "a"


def test_a_letter_that_a_font_lacks_is_known():
    font = lettering._own(12)
    assert [lettering._has(font, letter) for letter in "aZ~ß断\x00"] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
