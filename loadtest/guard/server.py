"""Counts the instructions of requests to a server under callgrind."""

import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import callgrind

EXAMPLE = pathlib.Path(__file__).parents[2] / "data/example/events.ndjson"
USER = "usr_7Qm2Xr9TzKpA"
PROFILE = f"/api/v2/profile/{USER}"
FEEDS = ("identity", "metadata", "self", "eligibility", "schemes", "deadlines", "trust", "predictions", "analytics",
         "consent")
# One worker, one shard, no checkpoint and a clock that stands still: nothing else runs while requests are counted, and
# profiles do not depend on the day.
CONFIG = """
http.workers = 1
actors.shards = 1
checkpoint.interval_s = 3600
time.fixed_clock = "2026-01-21T13:00:00Z"
"""
# The work of each second is not that of a request: how much of it falls into a series depends on the machine's speed.
BACKGROUND = "profile_server::upkeep::Upkeep::round*"
# Seconds; nothing takes a tenth of it.
TIMEOUT = 120
WARM_UP = 100
# Rate limits that no series reaches; calls are counted as usual.
HIGH_LIMITS = pathlib.Path(__file__).parents[2] / "tests" / "support" / "high-limits.toml"
# A request's figure is the median of some series: what the server does at times of its own is in few of them.
SERIES = 3
SERIES_LENGTH = 300
REQUESTS = WARM_UP + SERIES * SERIES_LENGTH
# Reads of one profile in one request, and the requests that are counted.
BATCH_LENGTH, BATCHES = 1_000, 5
# Generated events for the stream: the first half is posted before anything is counted.
STREAM_USERS = 100
STREAM_EVENTS = 3_000


class Server:
    """A server under callgrind, and one connection to it."""

    def __init__(self, program, directory):
        self.program, self.data = program, directory / "data"
        self.data.mkdir()
        (self.data / "config.local.toml").write_text(CONFIG, encoding="utf-8")
        (self.data / "limits.toml").write_bytes(HIGH_LIMITS.read_bytes())
        self.out = directory / "server.out"
        valgrind, environment = callgrind.command(self.out, f"--toggle-collect={BACKGROUND}", "--collect-atstart=yes")
        self.process = subprocess.Popen(
            [*valgrind, program, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0",
             "--admin-listen", "127.0.0.1:0"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{program} does not start under valgrind")
        host, port = json.loads(line)["listen"].rsplit(":", 1)
        self.address = host, int(port)
        self.connect()

    def connect(self):
        """Opens the connection."""
        self.socket = socket.create_connection(self.address, TIMEOUT)

    def token(self, *arguments):
        """Returns a token."""
        command = [self.program, "token", "--data-dir", self.data, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def send(self, method, path, token, expected, body=b"", **headers):
        """Sends one request in one piece. Returns the answer, whose status must be `expected`, and its body."""
        headers |= {"Host": "localhost", "Authorization": f"Bearer {token}"}
        if body:
            headers["Content-Length"] = len(body)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = http.client.HTTPResponse(self.socket, method=method)
        answer.begin()
        text = answer.read()
        if answer.will_close:
            self.socket.close()
            self.connect()
        if answer.status != expected:
            raise SystemExit(f"{method} {path}: status {answer.status}, expected {expected}: {text[:500]}")
        return answer, text

    def count(self, requests):
        """Sends requests, and returns what they cost."""
        self.control("--zero")
        for request in requests:
            request()
        self.control("--dump")
        return callgrind.Count(callgrind.parts(self.out)[-1].read_text(encoding="utf-8"))

    def control(self, what):
        """Tells callgrind to write what it counted to a file, or to count from 0."""
        subprocess.run(["callgrind_control", what, str(self.process.pid)], capture_output=True, check=True,
                       timeout=TIMEOUT)

    def stop(self):
        """Ends the server, without its last checkpoint."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def measure(program, generator, profiles):
    """Returns the instructions of each kind of request to the server `program`, by name, and writes a profile of each to the
    folder `profiles`.

    `generator` is the server binary that generates the events, the same for all servers that are compared.
    """
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, pathlib.Path(directory))
        try:
            measured = {}
            for name, count, operations in requests(server, generated(generator, directory)):
                count.write_profile(profiles, name, operations)
                measured[name] = count.instructions() / operations
            return measured
        finally:
            server.stop()


def requests(server, streams):
    """Yields the name of each kind of request, what requests of it cost, and how many they were."""
    feeder = server.token("--sub", "svc:feeder", "--role", "service", "--scope", " ".join(f"feed:{name}" for name in FEEDS))
    citizen = server.token("--sub", USER, "--role", "self")
    posts = [post_request(server, feeder, number) for number in range(REQUESTS)]
    yield "POST of one event", *repeated(server, posts)

    def get():
        return server.send("GET", PROFILE, citizen, 200)

    yield "GET, 200", *repeated(server, [get] * REQUESTS)
    tag = get()[0].getheader("etag")
    unchanged = [lambda: server.send("GET", PROFILE, citizen, 304, If_None_Match=tag)]
    yield "GET, 304", *repeated(server, unchanged * REQUESTS)
    reader = server.token("--sub", "svc:reader", "--role", "service", "--scope", "profile:read")
    by_service = [lambda: server.send("GET", PROFILE, reader, 200)]
    yield "GET by a service, 200", *repeated(server, by_service * REQUESTS)
    batch = [lambda: get_batch(server, reader)] * BATCHES
    get_batch(server, reader)
    yield "batch-get, one profile", server.count(batch), BATCHES * BATCH_LENGTH
    for feed, lines in streams.items():
        post_stream(server, feeder, feed, lines[:len(lines) // 2])
    counted = {feed: lines[len(lines) // 2:] for feed, lines in streams.items()}
    all_feeds = [lambda feed=feed: post_stream(server, feeder, feed, counted[feed]) for feed in counted]
    yield "POST of NDJSON, one event", server.count(all_feeds), sum(map(len, counted.values()))


def repeated(server, equal):
    """Returns what the median series of equal requests cost, and its length. The first requests prepare caches and are not
    counted."""
    for request in equal[:WARM_UP]:
        request()
    series = [equal[start:start + SERIES_LENGTH] for start in range(WARM_UP, len(equal), SERIES_LENGTH)]
    counts = sorted((server.count(counted) for counted in series), key=callgrind.Count.instructions)
    return counts[len(counts) // 2], SERIES_LENGTH


def post_request(server, feeder, number):
    """Returns a request that posts an event of the metadata engine, with a value that differs from the last."""
    event = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])
    event |= {"id": f"e{number}", "type": "user.metadata.updated", "source": "/engines/metadata",
              "time": f"2026-01-15T00:{number // 60:02}:{number % 60:02}Z",
              "data": {"fields": {"demographics": {"residency_years": number % 100}}}}
    body = json.dumps(event).encode()
    return lambda: server.send("POST", "/api/v2/feeds/metadata", feeder, 200, body,
                               Content_Type="application/cloudevents+json")


def get_batch(server, reader):
    """Reads one profile many times in one request."""
    body = json.dumps({"user_ids": [USER] * BATCH_LENGTH}).encode()
    _, text = server.send("POST", "/api/v2/profiles/batch-get", reader, 200, body, Content_Type="application/json")
    if text.count(b'"status":200') != BATCH_LENGTH:
        raise SystemExit(f"batch-get: {text[:500]}")


def post_stream(server, feeder, feed, lines):
    """Posts events as NDJSON. All must be accepted."""
    _, text = server.send("POST", f"/api/v2/feeds/{feed}", feeder, 200, b"\n".join(lines) + b"\n",
                          Content_Type="application/x-ndjson")
    result = json.loads(text.splitlines()[-1])
    if result["busy"] or result["rejected"] or result["total"] != len(lines):
        raise SystemExit(f"POST of NDJSON to {feed}: {result}")


def generated(generator, directory):
    """Returns generated events by feed, in the order of their arrival."""
    out = pathlib.Path(directory, "events")
    out.mkdir()
    subprocess.run([generator, "generate", "--users", str(STREAM_USERS), "--events", str(STREAM_EVENTS), "--out", out],
                   check=True, capture_output=True)
    files = {path.stem: path.read_bytes().splitlines() for path in sorted(out.iterdir())}
    return {re.sub(r"\W.*", "", name): lines for name, lines in files.items()}
