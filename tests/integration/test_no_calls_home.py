"""In a network that has nothing but this test, the libraries of our processes look for nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_contract import QUIET
from tests.services import ROOT

# Runs with a network and mounts of its own: every name that anything looks up is asked of this script.
WATCH = r"""
import fcntl, json, os, pathlib, socket, struct, subprocess, sys, threading, time
folder, seconds, *command = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 1 | 64))  # up
for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("hosts", "127.0.0.1 localhost\n")):
    own = pathlib.Path(folder, name)
    own.write_text(text)
    subprocess.run(["mount", "--bind", str(own), os.path.realpath(f"/etc/{name}")], check=True)
asked = set()
def names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, client = server.recvfrom(2000)
        at, parts = 12, []
        while query[at]:
            parts.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        asked.add(".".join(parts))
        server.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0\0\0\0\0\0" + query[12:], client)  # no such name
threading.Thread(target=names, daemon=True).start()
child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
worked = child.stdout.readline() == "worked\n"
deadline = time.monotonic() + float(seconds)
while worked and time.monotonic() < deadline and child.poll() is None and not asked:
    time.sleep(0.2)
child.kill()
print(json.dumps({"asked": sorted(asked), "worked": worked}))
"""
# What the processes do with the libraries, small.
WORK = """
import sys, time
if "quiet" in sys.argv: import mlops_contract
import onnx, onnxruntime
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
import mlflow, transformers, huggingface_hub, datasets
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1] + "/mlflow.db")
mlflow.create_experiment("one")
with mlflow.start_run(experiment_id="1"): mlflow.log_metric("a", 1)
print("worked", flush=True)
time.sleep(600)
"""


def looked_up(folder: Path, seconds: float, *options: str) -> list[str]:
    """The names that WORK looks up until `seconds` after its work, or the first of them."""
    unwanted = {*QUIET, "CI", "PYTEST_CURRENT_TEST", "HF_HUB_OFFLINE", "PYTEST_VERSION"}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"PYTHONPATH": str(ROOT / "contract/src"), "TRANSFORMERS_VERBOSITY": "error"}
    work = [sys.executable, "-c", WORK, str(folder), *options]
    command = ["unshare", "--net", "--mount", sys.executable, "-c", WATCH, str(folder), str(seconds), *work]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    if "unshare failed" in done.stderr:
        pytest.skip("this machine does not allow a network of one's own")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["worked"], done.stderr
    return list(found["asked"])


def test_nothing_is_looked_up(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a network of its own")
    assert looked_up(tmp_path, 20, "quiet") == []


def test_without_our_settings_it_would_be_seen(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a network of its own")
    assert looked_up(tmp_path, 60)
