#!/usr/bin/env python3
"""Compares what the hot paths cost with the figures in figures.toml: instructions, allocations and bytes.

Fails if a figure is worse than its tolerance allows. See README.md of the folder above.
"""

import argparse
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys

import callgrind
import figures
import server

#: How often everything is measured again if a figure fails. Threads of one operation meet differently in each run; what they cost
#: more by chance in one run, they do not in all.
FURTHER_RUNS = 2
FILE = pathlib.Path(__file__).with_name("figures.toml")


def main():
    """Measures, compares, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="folder of the release build")
    parser.add_argument("--update", action="store_true", help="write the measured figures to the file")
    parser.add_argument("--server", type=pathlib.Path, help="compare requests to the built server with those to this one")
    arguments = parser.parse_args()
    built = arguments.programs / "profile-server"
    profiles = arguments.programs / "guard"
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir()
    if arguments.server:
        return compare_servers(arguments.server, built, profiles)
    measured = measure(arguments.programs, built, profiles)
    stored = FILE.read_text(encoding="utf-8")
    comparisons = figures.compare(stored, measured)
    for _ in range(0 if arguments.update else FURTHER_RUNS):
        if not any(comparison.failed for comparison in comparisons):
            break
        measured = figures.least(measured, measure(arguments.programs, built, profiles))
        comparisons = figures.compare(stored, measured)
    print(*figures.table(comparisons), sep="\n")
    if arguments.update:
        FILE.write_text(figures.renew(stored, measured), encoding="utf-8")
        return 0
    failed = sum(comparison.failed for comparison in comparisons)
    improved = sum(comparison.improved for comparison in comparisons)
    print(f"\n{len(comparisons)} figures, {failed} failed, {improved} better by more than their tolerance")
    if failed:
        print("docs/recipes.md says what to do: “A hot path became more expensive”")
    elif improved:
        print("`make guard UPDATE=1` renews the figures; commit them with the change")
    return 1 if failed else 0


def measure(programs, built, profiles):
    """Returns all figures by section and name, and writes a profile of each operation to the folder `profiles`."""
    examples = programs / "examples"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        requests = pool.submit(server.measure, built, built, profiles)
        operations = pool.submit(callgrind.measure, examples / "guard_instructions", profiles)
        memory = pool.submit(measure_memory, examples / "guard_memory")
        return {"instructions": requests.result() | operations.result(), **memory.result()}


def measure_memory(program):
    """Returns the allocations of operations, and sizes in bytes, by section and name."""
    output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    measured = {}
    for line in output.splitlines():
        section, value, name = line.split(" ", 2)
        measured.setdefault(section, {})[name] = float(value)
    return measured


def compare_servers(other, built, profiles):
    """Prints the requests to both servers beside each other. Returns 0: there is nothing to fail."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        (profiles / "other").mkdir()
        before = pool.submit(server.measure, other, built, profiles / "other")
        now = pool.submit(server.measure, built, built, profiles)
        before, now = before.result(), now.result()
    comparisons = [figures.Comparison("instructions", name, before[name], now[name]) for name in before]
    print(*figures.table(comparisons, heads=("other", "built"), verdicts=False), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
