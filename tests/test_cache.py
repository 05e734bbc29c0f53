"""Where voxloom keeps what it can compute again."""

import sys
from pathlib import Path

import pytest

from voxloom.cache import cache_folder


def test_a_user_without_a_home_has_a_cache_too(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("VOXLOOM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder().name == "voxloom"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "~/.cache/voxloom"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/voxloom"),
        ("darwin", {}, "~/Library/Caches/voxloom"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/voxloom/Cache"),
        ("linux", {"VOXLOOM_CACHE": "~/mine"}, "~/mine"),
    ],
)
def test_the_folder_is_the_platforms(monkeypatch, platform, variables, expected):
    for name in ("VOXLOOM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected).expanduser()
