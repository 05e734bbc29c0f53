from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from voxloom.errors import ConfigError, UnknownNameError
from voxloom.registry import Registry, did_you_mean

TABLE = {"load": "json:loads", "dump": "json:dumps"}


def test_a_name_is_imported_when_it_is_asked_for():
    registry = Registry("codec", {**TABLE, "broken": "no_such_module:x"})
    assert registry["load"] is json.loads
    assert "broken" in registry
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry["broken"]


def test_it_is_a_sorted_mapping():
    registry = Registry("codec", TABLE)
    assert (list(registry), len(registry), "load" in registry, "x" in registry) == (
        ["dump", "load"], 2, True, False,
    )  # fmt: skip


@pytest.mark.parametrize("caught", [UnknownNameError, ConfigError, KeyError, ValueError])
def test_an_unknown_name_lists_the_known_and_the_nearest(caught):
    with pytest.raises(caught) as error:
        Registry("codec", TABLE)["dmup"]
    assert str(error.value) == "unknown codec 'dmup'. Known: dump, load. Did you mean 'dump'?"


def test_get_gives_the_default_for_an_unknown_name():
    assert Registry("codec", TABLE).get("zzz", 3) == 3


def test_other_packages_add_names_but_do_not_take_ours(monkeypatch):
    groups = []

    def plugged(group):
        groups.append(group)
        return [EntryPoint("load", "json:dumps", group), EntryPoint("new", "json:dumps", group)]

    monkeypatch.setattr("voxloom.registry.entry_points", plugged)
    registry = Registry("codec", TABLE)
    assert registry["new"] is json.dumps
    assert registry["load"] is json.loads
    assert groups == ["voxloom.codecs"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("eular", "euler"), ("ddmi", "ddim"), ("zzz", None), ("", None)]
)
def test_the_nearest_name(name, nearest):
    assert did_you_mean(name, ["ddim", "euler"]) == (f" Did you mean '{nearest}'?" if nearest else "")
