"""Tests of how callgrind's output is read: `python3 -m unittest discover loadtest/guard`."""

import pathlib
import tempfile
import unittest

import callgrind

# `main` calls `work` twice and `sha2::sha256::compress256` once; names stand once and are numbers afterwards.
TEXT = """# callgrind format
positions: line
events: Ir
summary: 1160

fl=(1) main.rs
fn=(1) main
10 100
cfn=(2) work
calls=2 0
+1 1050
+2 10

fl=(1)
fn=(2)
20 30
cfn=(3) sha2::sha256::compress256
calls=1 0
* 1000
-1 20

fn=(3)
0 1000

totals: 1160
"""


class CountTest(unittest.TestCase):
    def test_the_cost_of_called_functions_counts_once(self):
        functions = callgrind.Count(TEXT).functions
        self.assertEqual((functions["main"], functions["work"]), (110, 50))

    def test_portable_hashing_counts_as_a_tenth(self):
        self.assertAlmostEqual(callgrind.Count(TEXT).instructions(), 110 + 50 + 100)

    def test_a_profile_names_the_most_expensive_function_first(self):
        with tempfile.TemporaryDirectory() as directory:
            callgrind.Count(TEXT).write_profile(pathlib.Path(directory), "GET, 200", 2)
            lines = pathlib.Path(directory, "GET-200.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["130", "55", "50", "25"])
        self.assertTrue(lines[1].endswith("main"), lines[1])

    def test_parts_come_in_the_order_of_their_numbers(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory, "out")
            for name in ("out", "out.2", "out.10", "out.1", "other.3"):
                pathlib.Path(directory, name).touch()
            self.assertEqual([part.name for part in callgrind.parts(out)], ["out.1", "out.2", "out.10"])


if __name__ == "__main__":
    unittest.main()
