"""Makes the pictures of the README from a real run: `make pictures`.

The demo runs in an empty directory, as `make demo` starts it, and `watch` follows its citizen while consent is withdrawn.
What both print on a terminal becomes an SVG file in a light and a dark colour scheme. Needs Python 3.11 and nothing else,
and the ports 8080 and 8081.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.request

import svg
from terminal import Program

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = "target/release/profile-server"
COLUMNS = 92
# Rows of the picture of `watch`: the newest that its terminal shows.
WATCH_ROWS = 34
# What must not be in a picture: tokens, and where this machine keeps things.
TOKEN = re.compile(r"eyJ[\w-]+(\.[\w-]+)*")


def read_variables(path):
    """The variables that the demo writes for a shell."""
    lines = (line.removeprefix("export ") for line in path.read_text().splitlines() if line.startswith("export "))
    return dict(line.split("=", 1) for line in lines)


def put_consent(variables, level):
    request = urllib.request.Request(
        f"{variables['API']}/profile/{variables['WHO']}/consent",
        method="PUT",
        data=json.dumps({"data_sharing_level": level}).encode(),
        headers={"authorization": f"Bearer {variables['CITIZEN']}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


def mask(rows, directory):
    """The rows with `…` in the place of tokens and of paths of this machine."""
    private = [re.compile(re.escape(text)) for text in (directory, str(pathlib.Path.home()))] + [TOKEN]
    masked = []
    for row in rows:
        text = "".join(character for character, _ in row)
        for pattern in private:
            while found := pattern.search(text):
                row = row[: found.start()] + [("…", row[found.start()][1])] + row[found.end() :]
                text = "".join(character for character, _ in row)
        masked.append(row)
    return masked


def trim(rows):
    """The rows without empty ones at either end."""
    is_empty = [not "".join(character for character, _ in row).strip() for row in rows]
    first = is_empty.index(False)
    return rows[first : len(rows) - is_empty[::-1].index(False)]


def write(name, title, rows, directory):
    rows = [row[:COLUMNS] for row in mask(trim(rows), directory)]
    for theme in svg.THEMES:
        path = HERE / f"{name}-{theme}.svg"
        path.write_text(svg.picture(title, rows, theme, COLUMNS), encoding="utf-8")
        print(f"{path.relative_to(HERE.parent.parent)}: {len(rows)} rows")


def typed(command):
    """A row as a shell shows a command that was typed."""
    return [(character, "prompt") for character in "$ "] + [(character, None) for character in command]


def run(program, directory):
    place = pathlib.Path(directory) / PROGRAM
    place.parent.mkdir(parents=True)
    shutil.copy2(program, place)
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}
    demo = Program([str(place), "demo"], directory, environment, COLUMNS)
    try:
        if not demo.run_until(lambda text: "Ctrl-C" in text, 120):
            sys.exit(f"the demo did not start:\n{demo.screen.text()}")
        started = [list(row) for row in demo.screen.rows]
        variables = read_variables(pathlib.Path(directory) / "var/demo/demo.env")
        server = variables["API"].removeprefix("http://").removesuffix("/api/v2")
        environment["PROFILE_SERVER_TOKEN"] = variables["SERVICE"]
        watch = Program(
            [str(place), "watch", variables["WHO"], "--server", server], directory, environment, COLUMNS
        )
        try:
            # The profile, and three changes of it.
            watch.run_until(lambda text: text.count("revision ") >= 4, 30)
            before = watch.screen.text().count("revision ")
            put_consent(variables, "minimal")
            watch.run_until(lambda text: text.count("revision ") > before, 10)
            time.sleep(1)
            watch.run_until(lambda _: False, 0.5)
            watched = [list(row) for row in watch.screen.rows]
        finally:
            watch.stop()
    finally:
        demo.stop()
    write("demo", "make demo", [typed("make demo"), [], *trim(started)], directory)
    command = f"{PROGRAM} watch $WHO"
    write("watch", command, [typed(command), [("…", "prompt")], *trim(watched)[-WATCH_ROWS:]], directory)


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else PROGRAM).resolve()
    if not program.is_file():
        sys.exit(f"`{program}` is missing: build it with `cargo build --release`")
    with tempfile.TemporaryDirectory() as directory:
        run(program, directory)


main()
