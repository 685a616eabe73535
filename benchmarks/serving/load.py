"""Load from wrk: a program that is no bottleneck, with sentences that differ from request to request."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local bodies = {}
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
local paths = PATHS
local headers = {["Content-Type"] = "application/json"}
local next = 0
request = function()
  next = next + 1
  local path = #paths > 0 and paths[next % #paths + 1] or nil
  return wrk.format("POST", path, headers, bodies[next % #bodies + 1])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %.6f %.6f %.6f\\n", summary.requests, summary.duration,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
"""


@dataclass(frozen=True)
class Reading:
    """One run of wrk: requests a second, latencies in seconds, failed requests."""

    requests: int
    rate: float
    failed: int
    p50: float
    p99: float
    longest: float


def wrk(
    url: str, bodies: list[object], connections: int, seconds: float, folder: Path, paths: Sequence[str] = ()
) -> Reading:
    """Asks `url`, or `paths` there by turns, with `bodies`, one after the other, on `connections` connections."""
    lines = folder / "bodies.jsonl"
    lines.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    script = folder / "load.lua"
    script.write_text(SCRIPT.replace("BODIES", str(lines)).replace("PATHS", f"{{{', '.join(map(json.dumps, paths))}}}"))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        url,
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", printed)
    if not found:
        raise RuntimeError(f"wrk printed no result: {printed}")
    requests, microseconds, failed = (int(found[index]) for index in (1, 2, 3))
    return Reading(requests, requests / microseconds * 1e6, failed, *(float(found[index]) for index in (4, 5, 6)))
