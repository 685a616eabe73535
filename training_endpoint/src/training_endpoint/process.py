"""This process: how old it is, and with whom it ends."""

import ctypes
import os
import signal
import time
from pathlib import Path


def age_s() -> float:
    """Seconds since this process was started, imports and all."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # proc(5): starttime
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def die_with_parent(number: signal.Signals) -> None:
    """Asks the kernel for this signal when the starting process is gone, however it ended."""
    pr_set_pdeathsig = 1
    parent = os.getppid()
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)
    if os.getppid() != parent:  # it went in between
        signal.raise_signal(number)
