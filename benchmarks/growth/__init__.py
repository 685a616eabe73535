"""Runs that cost what is new, and tables that are read without being held: `python -m benchmarks.growth`."""

from benchmarks.training import PACKAGES

__all__ = ["PACKAGES"]
