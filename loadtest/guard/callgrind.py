"""Runs a program under callgrind, and reads the totals that callgrind writes."""

import pathlib
import re
import subprocess
import tempfile

MARK = "*count_starts_or_stops*"


def totals(out):
    """Returns the instructions of each part that callgrind wrote to `out`.1, `out`.2 and so on, in this order."""
    out = pathlib.Path(out)
    parts = [path for path in out.parent.glob(f"{out.name}.*") if path.suffix[1:].isdigit()]
    parts.sort(key=lambda path: int(path.suffix[1:]))
    return [int(re.search(r"^(?:summary|totals): (\d+)", part.read_text(encoding="utf-8"), re.MULTILINE)[1])
            for part in parts]


def measure(program):
    """Returns the instructions of each operation that the example `guard_instructions` runs, by name."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory, "out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--dump-before={MARK}", program]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(f"{program} failed under valgrind:\n{run.stderr}")
        # Every second part is set-up.
        counted = totals(out)[1::2]
        names = [line.split(" ", 1) for line in run.stdout.splitlines()]
        if len(names) != len(counted):
            raise SystemExit(f"callgrind wrote {len(counted)} counts for {len(names)} operations: is `{MARK}` in {program}?")
        return {name: count / int(operations) for (operations, name), count in zip(names, counted)}
