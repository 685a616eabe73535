"""Compressed bodies: what Content-Encoding may say, and a bound on what they become."""

import zlib

from model_endpoint.errors import InvalidInput, TooLarge, UnknownEncoding

GZIP, ZLIB, BARE = 31, 15, -15
"""zlib's words for the three forms; "deflate" means the second, and some clients send the third."""


def plain(data: bytes, encoding: str, most: int) -> bytes:
    """`data` as it was before the compression that the header Content-Encoding names; at most `most` bytes.

    Raises UnknownEncoding, TooLarge, or InvalidInput for what is damaged.
    """
    names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if not names:
        return data
    if names in (["gzip"], ["x-gzip"]):
        return _expand(data, GZIP, most)
    if names == ["deflate"]:
        headed = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return _expand(data, ZLIB if headed else BARE, most)
    raise UnknownEncoding(
        f"Content-Encoding {encoding[:50]!r} is not known here: send gzip, deflate, or no compression."
    )


def _expand(data: bytes, form: int, most: int) -> bytes:
    found = bytearray()
    while data:  # a file of gzip may be several, one after the other
        expander = zlib.decompressobj(form)
        try:
            found += expander.decompress(data, most + 1 - len(found))
        except zlib.error as error:
            raise InvalidInput(f"The compressed body is damaged: {error}.") from None
        if len(found) > most:
            raise TooLarge(f"The body is more than {most} bytes when it is expanded: send fewer texts at a time.")
        if not expander.eof:
            raise InvalidInput("The compressed body is cut off.")
        data = expander.unused_data
        if data and form != GZIP:
            raise InvalidInput("Something follows the compressed body.")
    return bytes(found)
