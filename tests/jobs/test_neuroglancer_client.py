"""The viewer of neuroglancer's package: served here, under a token, for as long as it is wanted."""

import importlib.util
import socket
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from voxloom.errors import ConfigError, MissingExtraError
from voxloom.jobs import neuroglancer_client
from voxloom.jobs.neuroglancer_client import serving_client


def test_the_client_is_served_and_then_no_more():
    with serving_client() as address:
        with urlopen(f"{address}/", timeout=10) as page:
            assert b"<title>neuroglancer</title>" in page.read()
        guess = f"{address.rpartition('/')[0]}/guess/"
        with pytest.raises(HTTPError) as refused:
            urlopen(guess, timeout=10)
        refused.value.close()
    with pytest.raises(URLError):
        urlopen(f"{address}/", timeout=10)


def test_two_one_after_the_other_are_two():
    with serving_client() as first:
        pass
    with serving_client() as second:
        assert first != second


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*in use. Name another"), serving_client(port):
            pass


def test_without_the_package_the_extra_is_named(monkeypatch):
    def find(name):
        assert name == "neuroglancer"

    monkeypatch.setattr(neuroglancer_client, "find_spec", find)
    assert importlib.util.find_spec("neuroglancer") is not None
    with pytest.raises(MissingExtraError, match=r"voxloom\[view\]"), serving_client():
        pass
