"""A process to supervise: says when it starts and stops, answers /health/ready, misbehaves as told.

fake_process.py JOURNAL NAME PORT [exit-after=SECONDS] [exit-code=N] [deaf] [slow=SECONDS] [fail-once=FILE] [grandchild]
"""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

journal, name, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
options = dict(option.partition("=")[::2] for option in sys.argv[4:])


def note(event: str) -> None:
    with journal.open("a") as file:
        file.write(f"{event} {name} {os.getpid()}\n")


def stop(number: int, frame: object) -> None:
    note("stopping")
    if "deaf" not in options:
        os._exit(0)


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        # First: whoever has the answer goes on, and what it starts writes into the journal too.
        note("probed")
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


signal.signal(signal.SIGTERM, stop)
note("started")
print(f"hello from {name}", flush=True)
if "fail-once" in options and not Path(options["fail-once"]).exists():
    Path(options["fail-once"]).touch()
    sys.exit("first time: no luck")
if "grandchild" in options:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with journal.open("a") as file:
        file.write(f"grandchild {name} {child.pid}\n")
if "exit-after" in options:
    time.sleep(float(options["exit-after"]))
    sys.exit(int(options.get("exit-code", "1")))
time.sleep(float(options.get("slow", "0")))
server = HTTPServer(("127.0.0.1", port), Ready)
thread = threading.Thread(target=server.serve_forever, daemon=True)
thread.start()
thread.join()
