"""A program under a pseudo-terminal, and what its screen shows."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

# CSI sequences, other escape sequences, control characters, and text.
TOKENS = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[^\[]|([\x00-\x1f\x7f])|([^\x00-\x1f\x7f]+)")


class Screen:
    """Rows of (character, colour). A colour is the number of an SGR sequence, or None."""

    def __init__(self):
        self.rows, self.row, self.column, self.colour = [[]], 0, 0, None

    def feed(self, text):
        for parameters, command, control, plain in TOKENS.findall(text):
            if plain:
                self.write(plain)
            elif control == "\n":
                self.move_to(self.row + 1)
            elif control == "\r":
                self.column = 0
            elif command == "m":
                self.select_colour(parameters)
            elif command == "A":
                self.move_to(self.row - int(parameters or 1))
            elif command == "B":
                self.move_to(self.row + int(parameters or 1))
            elif command == "K":
                del self.rows[self.row][0 if parameters == "2" else self.column :]

    def write(self, text):
        row = self.rows[self.row]
        row.extend([(" ", None)] * (self.column - len(row)))
        row[self.column : self.column + len(text)] = [(character, self.colour) for character in text]
        self.column += len(text)

    def move_to(self, row):
        self.row = max(row, 0)
        self.rows.extend([] for _ in range(self.row + 1 - len(self.rows)))

    def select_colour(self, parameters):
        for number in (int(part or 0) for part in parameters.split(";")):
            if number == 0 or number == 39:
                self.colour = None
            elif number == 1 or 30 <= number <= 37:
                self.colour = number

    def text(self):
        return "\n".join("".join(character for character, _ in row) for row in self.rows)


class Program:
    """A program that runs on a terminal of its own."""

    def __init__(self, command, directory, environment, columns=100, lines=50):
        self.screen, self.decoder = Screen(), codecs.getincrementaldecoder("utf-8")()
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(directory)
            os.execve(command[0], command, environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def run_until(self, condition, seconds):
        """Reads until `condition(text of the screen)` holds; returns whether it came to hold in time."""
        end = time.monotonic() + seconds
        while not condition(self.screen.text()):
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                return condition(self.screen.text())
        return True

    def read(self, seconds):
        """Reads what the program has written; returns False when it has ended."""
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                data = os.read(self.terminal, 65_536)
            except OSError:  # Linux reports the end of the other side as an error.
                return False
            self.screen.feed(self.decoder.decode(data))
            return bool(data)
        return True

    def stop(self):
        """Sends Ctrl-C and waits until the program has ended."""
        os.write(self.terminal, b"\x03")
        self.run_until(lambda _: False, 15)
        if os.waitpid(self.process, os.WNOHANG)[0] == 0:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
