"""What judges found: one line of JSON for every check, for the task that started them."""

from __future__ import annotations

import json
import sys
from typing import TextIO


class Report:
    """Checks, counted and written as they come."""

    def __init__(self, out: TextIO = sys.stdout, *, is_silent: bool = False) -> None:
        self.out, self.is_silent = out, is_silent
        self.passed = self.failed = 0

    def judged(self, operation: str, judge: str, check: str, found: list[str]) -> None:
        """One check: it passed where nothing was found."""
        self.passed += not found
        self.failed += bool(found)
        if not self.is_silent:
            record = {"operation": operation, "judge": judge, "check": check, "found": found}
            self.out.write(json.dumps(record) + "\n")
            self.out.flush()

    def right(self, operation: str, judge: str, check: str) -> None:
        self.judged(operation, judge, check, [])

    def wrong(self, operation: str, judge: str, check: str, what: str) -> None:
        self.judged(operation, judge, check, [what])
