#!/usr/bin/env bash
# kopf 1.45.2: with `settings.posting.enabled = False` the events of `kopf.warn` are posted all the same.
#
# The guess, from the documentation of the setting, which names `kopf.event`, `kopf.info`, `kopf.warn` and `kopf.exception`: no
# event is posted. Seen: the other three look at the setting, `kopf.warn` looks at the level alone.
#
# Why it matters: events are switched off where an operator has no right to create them, or where they would fill etcd. There
# the warnings, which come in numbers when something is wrong, are sent nonetheless, and each that is refused is tried again for a
# minute, with a line in the log each time. `settings.posting.level` above WARNING stops them.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
./environment/bin/pip install --quiet --disable-pip-version-check kopf==1.45.2
cat >run.py <<'PROGRAM'
import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kopf

handled = []
stored = []
all_verbs = ["create", "get", "list", "patch", "watch"]
resources = [
    {"name": f"{name}s", "singularName": name, "kind": name.title(), "namespaced": name != "namespace", "verbs": all_verbs}
    for name in ("event", "namespace", "pod")
]
metadata = {"name": "web", "namespace": "default", "uid": "1", "resourceVersion": "1"}
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


# An API server with one pod.
class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if "watch=true" in query:
            time.sleep(60)
        elif path == "/api":
            self.answer(200, {"versions": ["v1"]})
        elif path == "/apis":
            self.answer(200, {"groups": []})
        elif path == "/api/v1":
            self.answer(200, {"resources": resources})
        else:
            self.answer(200, {"metadata": {"resourceVersion": "1"}, "items": [pod]})

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stored.append(event["message"])
        self.answer(201, event)


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
stop = threading.Event()


@kopf.on.login()
def login(**_):
    return kopf.ConnectionInfo(server=f"http://127.0.0.1:{server.server_port}")


@kopf.on.startup()
def configure(settings, **_):
    settings.scanning.disabled = True
    settings.posting.enabled = False


@kopf.on.event("v1", "pods")
def handle(body, **_):
    kopf.event(body, type="Warning", reason="Step", message="event")
    kopf.info(body, reason="Step", message="info")
    kopf.warn(body, reason="Step", message="warn")
    kopf.exception(body, reason="Step", message="exception", exc=ValueError())
    handled.append(1)


threading.Timer(4, stop.set).start()
asyncio.run(kopf.operator(standalone=True, namespaces=["default"], stop_flag=stop))
print(f"handled: {bool(handled)}, posted: {' '.join(stored)}")
PROGRAM
seen="$(./environment/bin/python run.py 2>/dev/null)"
expected="handled: True, posted: warn"
echo "event, info, warn and exception while posting is off, kopf 1.45.2: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
