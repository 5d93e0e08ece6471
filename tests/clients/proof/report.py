"""Counts of what happened, and what must have happened for the run to prove anything."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

MOST_FAULTS = 20


class Report:
    """One column of counts per crew, one for the world around them; and every fault."""

    def __init__(self) -> None:
        self.world: Counter[str] = Counter()
        self.crews: dict[str, Counter[str]] = {"python": Counter(), "node": Counter()}
        self.faults: list[str] = []

    def fault(self, text: str) -> None:
        """Something is not as the contract says. It is said at once, and fails the run in the end."""
        self.faults.append(text)
        if len(self.faults) <= MOST_FAULTS:
            print(f"FAULT: {text}", file=sys.stderr, flush=True)

    def require(self, world: Iterable[str], crews: Iterable[str]) -> None:
        """What did not happen at all was not tested: a fault."""
        for name in world:
            if not self.world[name]:
                self.fault(f"nothing was counted: {name}")
        for name in crews:
            for crew, counts in self.crews.items():
                if not counts[name]:
                    self.fault(f"nothing was counted by the {crew} followers: {name}")

    def print(self) -> None:
        """The summary."""
        print("\nthe world")
        for name, count in sorted(self.world.items()):
            print(f"  {name:<44}{count:>9,}")
        print(f"\n{'the followers':<46}{'python':>9}{'node':>10}")
        python, node = self.crews["python"], self.crews["node"]
        for name in sorted(python | node):
            print(f"  {name:<44}{python[name]:>9,}{node[name]:>10,}")
        print()
