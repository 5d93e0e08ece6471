"""Runs a program under callgrind, and reads what callgrind writes."""

import collections
import os
import pathlib
import re
import subprocess
import tempfile

MARK = "*count_starts_or_stops*"
# Without these, glibc fills and copies large blocks with single instructions that callgrind counts once for each byte.
TUNABLES = ":".join(f"glibc.cpu.x86_rep_{name}_threshold=1000000000" for name in ("movsb", "stosb"))
# Valgrind offers no SHA extensions, so SHA-256 runs as portable code, which takes about ten times as long as the
# processor's own instructions do. Its instructions count as this part, so that figures show the rest of the work, too.
WEIGHTS = {"sha2::sha256::compress256": 0.1}
FUNCTION = re.compile(r"(c?fn)=\((\d+)\)(?: (.*))?")
COST = re.compile(r"[-+*\d]\S* (\d+)")
# Functions in a profile.
MOST_FUNCTIONS = 60


class Count:
    """What callgrind counted in one part of a run, of which it wrote `text`: the instructions of each function, without
    those of functions that it calls."""

    def __init__(self, text):
        names, costs, function = {}, collections.Counter(), None
        lines = iter(text.splitlines())
        for line in lines:
            if named := FUNCTION.fullmatch(line):
                kind, number, name = named.groups()
                if name:
                    names[number] = name
                if kind == "fn":
                    function = number
            elif line.startswith("calls="):
                # The next line is the cost of the called function.
                next(lines)
            elif function and (cost := COST.fullmatch(line)):
                costs[function] += int(cost[1])
        self.functions = collections.Counter()
        for number, cost in costs.items():
            self.functions[names[number]] += cost * WEIGHTS.get(names[number], 1)

    def instructions(self):
        """Returns the instructions of all functions."""
        return sum(self.functions.values())

    def write_profile(self, folder, name, operations):
        """Writes the most expensive functions to a file of the folder, with the instructions for one operation. There are no
        shares, so that two profiles differ only in the functions that do."""
        costs = [(name, self.instructions()), *self.functions.most_common(MOST_FUNCTIONS)]
        lines = [f"{cost / operations:12,.0f}  {function}" for function, cost in costs]
        path = folder / (re.sub(r"\W+", "-", name) + ".txt")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def command(out, *options):
    """Returns the start of a command that runs a program under callgrind, and the environment for it. Callgrind writes to
    the file `out` and to others beside it."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options]
    return valgrind, os.environ | {"GLIBC_TUNABLES": TUNABLES}


def parts(out):
    """Returns the files `out`.1, `out`.2 and so on that callgrind wrote, in this order."""
    files = [path for path in out.parent.glob(f"{out.name}.*") if path.suffix[1:].isdigit()]
    return sorted(files, key=lambda path: int(path.suffix[1:]))


def measure(program, profiles):
    """Returns the instructions of each operation that the example `guard_instructions` runs, by name, and writes a profile
    of each to the folder `profiles`."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory, "out")
        valgrind, environment = command(out, f"--dump-before={MARK}", "--fair-sched=yes")
        run = subprocess.run([*valgrind, program], env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(f"{program} failed under valgrind:\n{run.stderr}")
        # Every second part is set-up.
        counted = [Count(part.read_text(encoding="utf-8")) for part in parts(out)[1::2]]
    names = [line.split(" ", 1) for line in run.stdout.splitlines()]
    if len(names) != len(counted):
        raise SystemExit(f"callgrind wrote {len(counted)} counts for {len(names)} operations: is `{MARK}` in {program}?")
    measured = {}
    for (operations, name), count in zip(names, counted):
        count.write_profile(profiles, name, int(operations))
        measured[name] = count.instructions() / int(operations)
    return measured
