"""Ctrl-C on a terminal ends `make demo` well: make's exit status is 0, as the demo's own.

`make demo` runs under a pseudo-terminal, with a stand-in for cargo that ends well when it is interrupted.
"""

import os
import pathlib
import pty
import signal
import stat
import sys
import tempfile

STAND_IN = """#!/bin/sh
trap 'echo drained; exit 0' INT
echo ready
while :; do sleep 0.1; done
"""


def read_until(terminal, text):
    """Reads the terminal until `text` has come; what came before the end otherwise."""
    seen = b""
    while text not in seen:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # Linux says so when the other side is gone.
            break
        if not piece:
            break
        seen += piece
    return seen


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    with tempfile.TemporaryDirectory() as directory:
        cargo = pathlib.Path(directory) / "cargo"
        cargo.write_text(STAND_IN)
        cargo.chmod(cargo.stat().st_mode | stat.S_IXUSR)
        child, terminal = pty.fork()
        if child == 0:
            # A shell that starts this test in the background has it ignore interrupts, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
            # What an outer make hands down would make this one part of it.
            for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
                environment.pop(name, None)
            os.execvpe("make", ["make", "-C", str(root), "demo"], environment)
        # A demo that does not stop is a failure, not a test without end.
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(60)
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        seen = read_until(terminal, b"drained")
        read_until(terminal, b"never")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or b"drained" not in seen:
        sys.exit(f"make demo ended with {status} after Ctrl-C: {seen!r}")
    print("make demo ends well after Ctrl-C")


main()
