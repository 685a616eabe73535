"""What requests carry: JSON objects with known fields, printable texts, whole numbers."""

import re
from typing import Any

from flask import request

from training_endpoint.errors import InvalidOverride, InvalidRequest, JobNotFound, WrongContentType

# Control characters, and halves of surrogate pairs, which no database takes.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def body() -> dict[str, Any]:
    """The request's JSON object; {} for an empty body."""
    if request.mimetype != "application/json":
        raise WrongContentType("Send JSON with the header 'Content-Type: application/json'.")
    if not request.get_data():
        return {}
    try:
        found = request.get_json()
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be a JSON object, such as {}.")
    return found


def only(*names: str) -> dict[str, Any]:
    """The body, with no other fields than `names`."""
    found = body()
    for name in found:
        if name not in names:
            raise InvalidOverride(f"{name[:50]!r} is not a field of this request; it takes {', '.join(names)}.")
    return found


def text(fields: dict[str, Any], name: str, longest: int) -> str:
    """The printable text of a field."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest or UNFIT.search(value):
        raise InvalidOverride(f"{name} must be text of 1 to {longest} characters, without control characters.")
    return value.strip()


def job_id(found: str) -> str:
    """An id of the path, which no database is asked for when it cannot be one."""
    if not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", found):
        raise JobNotFound("There is no such job: GET /train lists the jobs.")
    return found


def limit(name: str, usual: int, most: int) -> int:
    """A whole number of the query string, from 1 to `most`."""
    found = request.args.get(name, str(usual))
    if not (found.isascii() and found.isdigit() and len(found) < 10 and 1 <= int(found) <= most):
        raise InvalidOverride(f"{name} is {found[:20]!r}: it must be a whole number from 1 to {most}.")
    return int(found)


def whole(fields: dict[str, Any], name: str, most: int) -> int:
    """The whole number of a field, from 1 to `most`; in JSON 2.0 is the same number as 2."""
    value = fields.get(name)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidOverride(f"{name} must be a whole number from 1 to {most}.")
    return value
