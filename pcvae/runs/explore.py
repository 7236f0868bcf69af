"""A page on this machine to play with the model of a run."""

import importlib
import ipaddress
import os
import socket
from types import ModuleType

import numpy as np

from pcvae import models
from pcvae.checks import check_package
from pcvae.errors import UserError
from pcvae.progress import with_progress
from pcvae.runs.explore_page import make_app
from pcvae.runs.load import load


def explore(
    *,
    run_dir: str | os.PathLike,
    host: str = "127.0.0.1",
    port: int = 7860,
    fallback: bool = True,
) -> None:
    """Serves the page until a signal ends it.

    Args:
        run_dir: a directory that `train` left.
        host: the address to listen at; by default this machine alone reaches it.
        port: the port; 0 takes a free one.
        fallback: whether an older checkpoint will do; see `load`.

    Raises:
        UserError: Flask is missing, the port is taken, the run is damaged, or its model needs a
            condition that no picture gives.
    """
    flask = import_flask()
    with listening_socket(host, port) as listener:
        model = load(run_dir, fallback)
        app = make_app(flask, model, str(run_dir), trusted_hosts(host))
        trace(model)
        serving = importlib.import_module("werkzeug.serving")

        class QuietHandler(serving.WSGIRequestHandler):
            def log_request(self, *unused):
                """Prints nothing for each request."""

        server = serving.make_server(
            host, port, app, threaded=True, request_handler=QuietHandler, fd=listener.fileno()
        )
        shown = f"[{host}]" if ":" in host else host
        print(f"pcvae-explore: http://{shown}:{server.port}/ (Ctrl-C ends it)", flush=True)
        server.serve_forever()


def import_flask() -> ModuleType:
    """Returns the module ``flask``.

    Raises:
        UserError: it is not installed.
    """
    check_package("flask", "explore", "the page")
    return importlib.import_module("flask")


def listening_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that listens, before anything long has begun.

    Raises:
        UserError: there is no such address here, or its port is taken.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address, family=family, backlog=16)
    except (OSError, UnicodeError) as error:
        # Python appends the address to the system's words.
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise UserError(
            f"cannot listen at --host={host} --port={port}: {reason.lower()}; --port=0 takes a "
            "free port"
        ) from error


def trusted_hosts(host: str) -> list[str] | None:
    """Returns the names by which browsers may ask for a page on this machine; None for any.

    Another site whose name leads to this machine gets nothing.
    """
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    # An IPv6 address has no form in Flask's list.
    return ["127.0.0.1", "localhost", host] if is_local and ":" not in host else None


def trace(model: models.HierarchicalModel) -> None:
    """Calls what the page asks for first, once, so that nobody waits for it later."""
    image = np.zeros((1, *model.image_shape), np.uint8)
    calls = [lambda: model.rate_per_level(image), lambda: model.reconstruct(image)]
    if model.condition is None:
        calls.append(lambda: model.sample(1))
    for call in with_progress(calls, len(calls), "tracing graphs"):
        call()
