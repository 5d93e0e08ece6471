"""Checks that Ctrl-C on a terminal ends `make demo` with exit status 0.

`make demo` runs under a pseudo-terminal, with a replacement for cargo that exits with 0 when it is interrupted.
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
    """Reads the terminal until `text` or the end, and returns what was read."""
    seen = b""
    while text not in seen:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # Linux reports the end of the other side as an error.
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
            # A shell that starts this test in the background makes it ignore interrupts, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
            # These variables would make the child a part of an outer make.
            for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
                environment.pop(name, None)
            os.execvpe("make", ["make", "-C", str(root), "demo"], environment)
        # A demo that does not stop is killed, and the test fails.
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(60)
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        seen = read_until(terminal, b"drained")
        read_until(terminal, b"never")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or b"drained" not in seen:
        sys.exit(f"make demo ended with {status} after Ctrl-C: {seen!r}")
    print("make demo exits with 0 after Ctrl-C")


main()
