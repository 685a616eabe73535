import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FIRST_RUN = Path(__file__).parents[3] / "launch/first_run.py"


def test_a_proxy_of_the_machine_is_not_asked_for_its_own_services() -> None:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"model": {"version": "7"}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Door) as door:
        thread = threading.Thread(target=door.serve_forever, args=(0.02,))
        thread.start()
        try:
            proxy = "http://127.0.0.1:9"
            done = subprocess.run(
                [sys.executable, str(FIRST_RUN), "served"],
                env={"NGINX_URL": f"http://127.0.0.1:{door.server_port}", "HTTP_PROXY": proxy, "http_proxy": proxy},
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        finally:
            door.shutdown()
            thread.join()
    assert done.returncode == 0 and "version 7" in done.stdout, done.stdout + done.stderr
