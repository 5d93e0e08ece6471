"""Counts of what happened in the run, and the counts that must not be zero."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

MAX_PRINTED_FAULTS = 20


class Report:
    """Counts for each group of followers and for the whole run, and every fault."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.groups: dict[str, Counter[str]] = {"python": Counter(), "node": Counter()}
        self.faults: list[str] = []

    def fault(self, text: str) -> None:
        """Records a breach of the contract. It is printed at once and fails the run at its end."""
        self.faults.append(text)
        if len(self.faults) <= MAX_PRINTED_FAULTS:
            print(f"FAULT: {text}", file=sys.stderr, flush=True)

    def require(self, totals: Iterable[str], groups: Iterable[str]) -> None:
        """Records a fault for every name that was never counted, because it was not tested."""
        for name in totals:
            if not self.totals[name]:
                self.fault(f"nothing was counted: {name}")
        for name in groups:
            for group, counts in self.groups.items():
                if not counts[name]:
                    self.fault(f"nothing was counted by the {group} followers: {name}")

    def print(self) -> None:
        """Prints the summary."""
        print("\nthe run")
        for name, count in sorted(self.totals.items()):
            print(f"  {name:<44}{count:>9,}")
        print(f"\n{'the followers':<46}{'python':>9}{'node':>10}")
        python, node = self.groups["python"], self.groups["node"]
        for name in sorted(python | node):
            print(f"  {name:<44}{python[name]:>9,}{node[name]:>10,}")
        print()
