"""What a round came to: the counts, the problems, and everything that is needed to look into them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_PROBLEMS = 40


@dataclass
class Report:
    """One round. `repeat` is the command that runs it again."""

    repeat: str
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{count:>8} {what}" for what, count in sorted(self.counts.items())]
        lines += [f"Repeat it: {self.repeat}"]
        if not self.problems:
            return "\n".join([*lines, "Nothing was lost, doubled or stuck."])
        lines += [f"{len(self.problems)} PROBLEMS; everything is in {self.folder}"]
        lines += [f"  - {problem[:2000]}" for problem in self.problems[:SHOWN_PROBLEMS]]
        return "\n".join(lines)

    def keep(self, name: str, items: Iterable[Any]) -> None:
        """Write a file of the folder, one JSON value for each item."""
        with (self.folder / f"{name}.jsonl").open("w") as file:
            for item in items:
                value = dataclasses.asdict(item) if dataclasses.is_dataclass(item) else item
                file.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
