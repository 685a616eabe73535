"""What a request carries: its body, and what is known of it on the way."""

from flask import request

from model_endpoint.compression import plain
from model_endpoint.errors import WrongContentType
from model_endpoint.front import EXCHANGE, Exchange


def payload() -> bytes:
    """The request's body, expanded where it is compressed."""
    most = request.max_content_length or 0
    return plain(request.get_data(), request.headers.get("Content-Encoding", ""), most)


def body() -> bytes:
    """The request's body, which must be said to be JSON."""
    if request.mimetype != "application/json":
        raise WrongContentType("Send JSON, with the header 'Content-Type: application/json'.")
    return payload()


def exchange() -> Exchange:
    """The current request's."""
    found: Exchange = request.environ[EXCHANGE]
    return found
