"""The README tells in one screen what this is, shows a picture, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\(([^)#]+)[^)]*\)", README)


def test_it_fits_one_screen():
    assert len(README.splitlines()) <= 70


def test_it_gives_the_two_commands():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in ("demo", "test"):
        assert re.search(rf"^make {target}\b", README, re.MULTILINE)
        assert target in targets


@pytest.mark.parametrize("link", [link for link in LINKS if not link.startswith("https://")])
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


def test_it_shows_a_picture_that_can_be_read():
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).stat().st_size < 500_000
    with Image.open(ROOT / picture) as image:
        assert image.width >= 600


def test_it_links_every_page_of_the_guide():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    elsewhere = {"index.md", "changelog.md", "configuration-reference.md", "api.md"}
    assert {Path(link).name for link in LINKS} >= pages - elsewhere


def test_each_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f": {path.name}" in navigation
