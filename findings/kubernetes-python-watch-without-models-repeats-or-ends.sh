#!/usr/bin/env bash
# kubernetes 37.0.2 (PyPI): `Watch.stream(…, deserialize=False)` forgets its position: each connection repeats the events since the
# first one, or the stream ends, and an expired position is a KeyError.
#
# The guess: `deserialize=False` gives dictionaries in place of models, which is faster, and changes nothing else. Seen: the
# resourceVersion to go on from is taken from the models alone. Where a server closes the watch, as each does after a while,
# the stream with a `resource_version` begins there again, every time; the one without it ends, without an error, where the other
# goes on. The answer 410 raises `KeyError('raw_object')`, not the ApiException with status 410 that the documentation tells to
# recover from.
#
# Why it matters: an exporter of events that was made faster so sends the same events again for as long as it runs, stops at a close
# that is not seen in a test, or takes an expired position for a fault of its own.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
./environment/bin/pip install --quiet --disable-pip-version-check kubernetes==37.0.2
cat >run.py <<'PROGRAM'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from kubernetes import client, watch


# An API server that sends two events and closes the watch; the position 5 is too old.
class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        version = int(query.get("resourceVersion", ["0"])[0])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if version == 5:
            status = {"apiVersion": "v1", "kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            lines = [{"type": "ERROR", "object": status}]
        else:
            lines = [{"type": "ADDED", "object": event(n)} for n in (version + 1, version + 2)]
        self.wfile.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def event(n):
    metadata = {"name": str(n), "namespace": "default", "resourceVersion": str(n)}
    return {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": {}}


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
configuration = client.Configuration()
configuration.host = f"http://127.0.0.1:{server.server_port}"
api = client.CoreV1Api(client.ApiClient(configuration))


def first_six(**options):
    seen = []
    stream = watch.Watch()
    try:
        for line in stream.stream(api.list_event_for_all_namespaces, **options):
            object = line["object"]
            name = object["metadata"]["name"] if isinstance(object, dict) else object.metadata.name
            seen.append(name)
            if len(seen) == 6:
                stream.stop()
    except client.ApiException as error:
        seen.append(f"status {error.status}")
    except KeyError as error:
        seen.append(repr(error))
    return " ".join(seen)


for name, position in ("from 10", {"resource_version": "10"}), ("from now", {}), ("expired", {"resource_version": "5"}):
    print(f"{name}: {first_six(**position)} | {first_six(**position, deserialize=False)}")
PROGRAM
seen="$(./environment/bin/python run.py)"
expected="from 10: 11 12 13 14 15 16 | 11 12 11 12 11 12
from now: 1 2 3 4 5 6 | 1 2
expired: status 410 | KeyError('raw_object')"
echo "names of events as models, and with deserialize=False, kubernetes 37.0.2:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
