"""Runs that cost what is new, and tables that are read without being held: `python -m benchmarks.growth`."""

import os

from benchmarks.training import PACKAGES
from training_endpoint.learn import device

__all__ = ["PACKAGES"]

for name, value in device.ENVIRONMENT.items():  # as a job's process has it, before PyTorch is imported
    os.environ.setdefault(name, value)
