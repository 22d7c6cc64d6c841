"""The upstream of docker-compose.yml: mutual TLS, recorded streams, and an echo of what arrived.

It needs Python's standard library only. `--folder` is what `cargo xtask demo --prepare` wrote.
"""

import argparse
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECORDINGS = {"/v1/chat/completions": "openai-chat.sse", "/v1/messages": "anthropic-messages.sse"}
PACE = 0.04  # seconds between events, so that eyes can follow


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()

    def do_POST(self):
        recording = RECORDINGS.get(self.path)
        if recording is None:
            self.send_error(404)
            return
        body = self.body()
        print(f"{self.path} by {self.client()}: {body.decode('utf-8', 'replace')}", flush=True)
        if json.loads(body).get("stream") is True:
            self.stream(self.folder / recording)
        else:
            self.echo(body)

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def client(self):
        subject = self.connection.getpeercert().get("subject", ())
        return ", ".join(f"{name}={value}" for part in subject for name, value in part)

    def stream(self, recording):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in recording.read_bytes().split(b"\n\n")[:-1]:
            self.chunk(event + b"\n\n")
            time.sleep(PACE)
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def echo(self, body):
        text = f"the upstream received {body.decode('utf-8', 'replace')}"
        if self.path == "/v1/messages":
            answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": text}]}
        else:
            message = {"role": "assistant", "content": text}
            answer = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Silent: what arrived is printed above, with the certificate it came under."""


class Server(ThreadingHTTPServer):
    """Shakes hands in the connection's own thread, so that one slow caller does not hold up the others."""

    def __init__(self, address, context):
        super().__init__(address, Upstream)
        self.context = context

    def finish_request(self, request, client_address):
        request.settimeout(30)
        with self.context.wrap_socket(request, server_side=True) as secured:
            self.RequestHandlerClass(secured, client_address, self)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--address", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=9443)
    arguments = parser.parse_args()
    pki = arguments.folder / "pki"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki / "upstream-ca.pem")
    context.load_cert_chain(pki / "upstream.pem", pki / "upstream.key")
    Upstream.folder = arguments.folder
    server = Server((arguments.address, arguments.port), context)
    print(f"listening on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
