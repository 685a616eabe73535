"""Writes docs/what-is-read.md."""

from tests.data_cases import DOCUMENT, document

DOCUMENT.write_text(document())
