"""Tests of how figures are compared: `python3 -m unittest discover loadtest/guard`."""

import unittest

import figures

STORED = """# About the file.

[instructions]
# Reads.
"GET, 200" = { value = 10_000, tolerance = 3 }
"GET, 304" = { value = 5_000, tolerance = 10 }

[allocations]
"merge" = { value = 40.5, tolerance = 3 }
"""
SAME = {"instructions": {"GET, 200": 10_000, "GET, 304": 5_000}, "allocations": {"merge": 40.5}}


def with_figures(**sections):
    """Returns `SAME` with other figures."""
    return {name: figures | sections.get(name, {}) for name, figures in SAME.items()}


def verdicts(measured):
    """Returns (failed, improved) by name."""
    return {comparison.name: (comparison.failed, comparison.improved)
            for comparison in figures.compare(STORED, measured)}


class CompareTest(unittest.TestCase):
    def test_equal_figures_pass(self):
        self.assertEqual(set(verdicts(SAME).values()), {(False, False)})

    def test_a_figure_beyond_its_own_tolerance_fails(self):
        measured = with_figures(instructions={"GET, 200": 10_301, "GET, 304": 5_499})
        self.assertEqual(verdicts(measured), {"GET, 200": (True, False), "GET, 304": (False, False),
                                              "merge": (False, False)})

    def test_of_several_runs_the_least_of_each_figure_counts(self):
        one = with_figures(instructions={"GET, 200": 10_400, "GET, 304": 5_600})
        other = with_figures(instructions={"GET, 304": 5_700}, allocations={"merge": 43})
        self.assertEqual(verdicts(figures.least(one, other)), {"GET, 200": (False, False), "GET, 304": (True, False),
                                                               "merge": (False, False)})

    def test_a_figure_at_its_tolerance_passes(self):
        self.assertEqual(verdicts(with_figures(instructions={"GET, 200": 10_299}))["GET, 200"], (False, False))

    def test_a_better_figure_passes_and_is_reported(self):
        measured = with_figures(allocations={"merge": 20})
        self.assertEqual(verdicts(measured)["merge"], (False, True))
        self.assertIn("renew", figures.compare(STORED, measured)[-1].verdict)

    def test_a_figure_that_was_not_measured_fails(self):
        measured = {"instructions": {"GET, 200": 10_000, "GET, 304": 5_000}}
        self.assertEqual(verdicts(measured)["merge"], (True, False))

    def test_a_figure_that_is_not_stored_fails(self):
        self.assertEqual(verdicts(with_figures(allocations={"pack": 1}))["pack"], (True, False))

    def test_a_stored_zero_allows_only_zero(self):
        self.assertFalse(figures.Comparison("allocations", "merge", 0, 0).failed)
        self.assertTrue(figures.Comparison("allocations", "merge", 0, 0.01).failed)

    def test_the_table_has_a_line_for_every_figure(self):
        lines = figures.table(figures.compare(STORED, with_figures(allocations={"pack": 1})))
        for name in ("GET, 200", "GET, 304", "merge", "pack"):
            self.assertEqual(sum(line.startswith(name) for line in lines), 1, name)


    def test_a_table_without_verdicts_says_nothing_of_its_figures(self):
        comparisons = figures.compare(STORED, with_figures(allocations={"merge": 80}))
        self.assertIn("FAILED", "".join(figures.table(comparisons)))
        self.assertNotIn("FAILED", "".join(figures.table(comparisons, verdicts=False)))


class RenewTest(unittest.TestCase):
    def test_equal_figures_leave_the_file_as_it_is(self):
        self.assertEqual(figures.renew(STORED, SAME), STORED)

    def test_noise_leaves_the_file_as_it_is(self):
        self.assertEqual(figures.renew(STORED, with_figures(instructions={"GET, 200": 10_049})), STORED)

    def test_a_value_is_replaced_and_its_tolerance_stays(self):
        renewed = figures.renew(STORED, with_figures(instructions={"GET, 304": 4_000}))
        self.assertEqual(renewed, STORED.replace("5_000", "4_000"))

    def test_renewed_figures_pass(self):
        measured = {"instructions": {"GET, 200": 20_000.4, "new": 0.5}, "bytes": {"frame": 262}}
        renewed = figures.renew(STORED, measured)
        comparisons = figures.compare(renewed, measured)
        self.assertEqual({comparison.name for comparison in comparisons}, {"GET, 200", "new", "frame"})
        self.assertFalse(any(comparison.failed for comparison in comparisons), renewed)
        self.assertIn("# About the file.", renewed)
        self.assertIn("# Reads.", renewed)


if __name__ == "__main__":
    unittest.main()
