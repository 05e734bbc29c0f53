"""The neuroglancer that its Python package ships, served to this machine: no page of the web is needed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from voxloom.errors import ConfigError, MissingExtraError

__all__ = ["serving_client"]


@contextmanager
def serving_client(port: int = 0) -> Iterator[str]:
    """Serve the viewer on 127.0.0.1 for as long as the block runs, and give its address.

    The address holds a token that is drawn at random; without it nothing is given out.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    MissingExtraError
        When the neuroglancer package is not installed.
    ConfigError
        When the port is in use.

    Examples
    --------
    >>> with serving_client() as address:
    ...     address.startswith("http://127.0.0.1:")
    True
    """
    if find_spec("neuroglancer") is None:
        raise MissingExtraError(
            'the neuroglancer package is not installed, which ships the viewer: pip install "voxloom[view]". '
            "Or name a viewer on the web (--viewer)."
        )
    import neuroglancer
    from neuroglancer import server

    _check_free(port)
    neuroglancer.set_server_bind_address("127.0.0.1", port)
    # Its state stands in the link, so that a page that is loaded again keeps what was done in it.
    viewer = neuroglancer.UnsynchronizedViewer()
    try:
        yield f"{server.global_server.server_url}/v/{viewer.token}"
    finally:
        server.stop()


def _check_free(port: int) -> None:
    """Refuse a port in use; neuroglancer would leave a socket open."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left a moment ago is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(f"port {port}: {error.strerror}. Name another (--port), or none.") from error
