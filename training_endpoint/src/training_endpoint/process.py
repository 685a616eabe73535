"""This process: with whom it ends."""

import ctypes
import os
import signal


def die_with_parent(number: signal.Signals) -> None:
    """Asks the kernel for this signal when the starting process is gone, however it ended."""
    pr_set_pdeathsig = 1
    parent = os.getppid()
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)
    if os.getppid() != parent:  # it went in between
        signal.raise_signal(number)
