#!/usr/bin/env python3
"""Counts the instructions that one request costs the server, with callgrind (Debian package `valgrind`).

Usage: count.py SERVER [SERVER …], each the path of a release build of `profile-server`.

Prints one row for each kind of request: instructions for each server, and the ratio of each to the first. Unlike rates,
counts repeat to about 0.3 % on every machine. Two cautions: valgrind offers no SHA extensions, so hashing counts about
ten times what it costs elsewhere, and waits for the disk or for locks do not count at all.
"""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

USER = "usr_7Qm2Xr9TzKpA"
PROFILE = f"/api/v2/profile/{USER}"
EVENTS = pathlib.Path(__file__).parents[2] / "data/example/events.ndjson"
# One worker, one shard and no checkpoint: nothing else runs while requests are counted.
CONFIG = "[http]\nworkers = 1\n[actors]\nshards = 1\n[checkpoint]\ninterval_s = 3600\n"
WARM_UP = 200
COUNTED = 1_000
DONE = re.compile(r"Collected : (\d+)")


class Server:
    """A server under callgrind, and one connection to it."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        pathlib.Path(directory, "config.local.toml").write_text(CONFIG, encoding="utf-8")
        self.process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null", program, "serve",
             "--data-dir", directory, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        host, port = json.loads(self.process.stdout.readline())["listen"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))

    def token(self, *arguments):
        command = [self.program, "token", "--data-dir", self.directory, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def send(self, method, path, token, expected, body=b"", headers=""):
        """Sends one request, and returns the head of its answer, whose status must be `expected`."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(f"{head}{length}\r\n".encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, rest = answer.split(b"\r\n\r\n", 1)
        head = head.decode()
        if f" {expected} " not in head.splitlines()[0]:
            raise SystemExit(f"{method} {path}: {head.splitlines()[0]}, expected {expected}")
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        # A 304 names the length of the body that it spares.
        missing = int(length[1]) - len(rest) if length and expected != 304 else 0
        while missing > 0:
            missing -= len(self.receive())
        return head

    def receive(self):
        data = self.socket.recv(65_536)
        return data or sys.exit("the server closed the connection")

    def count(self, request):
        """Returns the instructions of one call of `request(number)`, and stops the server."""
        for number in range(WARM_UP):
            request(number)
        self.instrument("on")
        for number in range(WARM_UP, WARM_UP + COUNTED):
            request(number)
        self.instrument("off")
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=300)
        return int(DONE.search(errors)[1]) / COUNTED

    def instrument(self, state):
        subprocess.run(["callgrind_control", "-i", state, str(self.process.pid)], capture_output=True, check=True)


def post_request(server, feeder):
    """One event of the metadata engine, every one with a value that differs from the last."""
    event = json.loads(EVENTS.read_text(encoding="utf-8").splitlines()[0])
    event |= {"type": "user.metadata.updated", "source": "/engines/metadata"}

    def post(number):
        event["id"] = f"e{number}"
        event["time"] = f"2026-01-15T00:{number // 60 % 60:02}:{number % 60:02}Z"
        event["data"] = {"fields": {"demographics": {"residency_years": number % 100}}}
        headers = "Content-Type: application/cloudevents+json\r\n"
        server.send("POST", "/api/v2/feeds/metadata", feeder, 200, json.dumps(event).encode(), headers)

    return post


def measure(program, kind):
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, directory)
        scopes = "feed:identity feed:metadata"
        feeder = server.token("--sub", "svc:feeder", "--role", "service", "--scope", scopes)
        citizen = server.token("--sub", USER, "--role", "self")
        first = EVENTS.read_text(encoding="utf-8").splitlines()[0].encode()
        server.send("POST", "/api/v2/feeds/identity", feeder, 200, first,
                    "Content-Type: application/cloudevents+json\r\n")
        if kind == "POST, one event":
            return server.count(post_request(server, feeder))
        if kind == "GET, 200":
            return server.count(lambda _: server.send("GET", PROFILE, citizen, 200))
        tag = re.search(r"etag: (\S+)", server.send("GET", PROFILE, citizen, 200), re.IGNORECASE)[1]
        return server.count(lambda _: server.send("GET", PROFILE, citizen, 304, headers=f"If-None-Match: {tag}\r\n"))


def main():
    programs = sys.argv[1:]
    if not programs or programs[0].startswith("-"):
        raise SystemExit(__doc__)
    for kind in ("POST, one event", "GET, 200", "GET, 304"):
        counts = [measure(program, kind) for program in programs]
        columns = "".join(f"  {count:>9,.0f} {count / counts[0]:6.3f}" for count in counts)
        print(f"{kind:<16}{columns}", flush=True)


if __name__ == "__main__":
    main()
