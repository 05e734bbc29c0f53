import re

import numpy as np

from voxloom.analysis.looking.finding import found
from voxloom.analysis.looking.page import (
    classes_section,
    facts_section,
    findings_section,
    legend_section,
    picture_uri,
    sheet_section,
    table_section,
    write_page,
)
from voxloom.analysis.looking.sheet import Tile


def picture(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_page_needs_nothing_else(tmp_path):
    tiles = [Tile("a<b", [("image", picture(9, 9), False), ("mask", picture(9, 9), True)], "cat"),
             Tile("bad", [], "not readable: x", is_bad=True)]  # fmt: skip
    page = write_page(
        tmp_path / "new" / "page.html", "t", [facts_section([("n", "3", "")]), sheet_section(tiles)]
    )
    text = page.read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert text.count('loading="lazy"') == 2
    assert "a&lt;b" in text
    assert 'class="sample unread"' in text


def test_small_pictures_are_exact_and_large_ones_are_reduced():
    assert picture_uri(picture(20, 20)).startswith("data:image/png")
    large = picture_uri(picture(1000, 400))
    assert large.startswith("data:image/jpeg")
    assert len(large) < 600_000


def test_findings_say_what_why_and_cure():
    text = findings_section([found("sizes", "3 sizes", [f"k{i}" for i in range(20)], field="image")])
    assert "image: 3 sizes" in text
    assert "and 12 more" in text
    assert "A batch needs one size" in text
    assert "Nothing was found" in findings_section([])


def test_what_is_injected_is_text():
    evil = "<script>alert(1)</script>"
    sections = [
        table_section([(evil, evil), (evil, evil)]),
        classes_section({evil: 3}),
        legend_section([(evil, (1, 2, 3))]),
        findings_section([found("sizes", evil, [evil])]),
        sheet_section([Tile(evil, [(evil, picture(3, 3), False)], evil)]),
    ]
    assert "<script>" not in "".join(map(str, sections))


def test_many_classes_show_the_largest():
    text = classes_section({f"c{i}": i for i in range(100)})
    assert "c99" in text
    assert ">c3<" not in text
    assert "and 40 smaller classes" in text
    assert legend_section([]) is None
