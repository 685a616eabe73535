"""What this machine computes with: its cores, and what its processor knows about int8."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/cpu.max")
CPUINFO = Path("/proc/cpuinfo")
VNNI = "vnni"
# Instructions that add up products of bytes in 32 bits. Without them pairs are added in 16, which full-range int8
# overflows.
DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})


def cores(cgroup: Path = CGROUP) -> int:
    """The whole cores that this process may use: its affinity, or less where the container has a CPU quota."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = cgroup.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, math.floor(int(quota) / int(period))))


def features(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The words among a form's `needs` that this processor satisfies: `vnni`, or nothing."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset({VNNI}) if DOT_PRODUCTS & set(flags.split()) else frozenset()


def processor(cpuinfo: Path = CPUINFO) -> list[str]:
    """What may have this processor round otherwise than another: its name and instructions, as far as they are told."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return []
    told = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU part", "CPU implementer")
    return sorted({line for line in lines if line.startswith(told)})
