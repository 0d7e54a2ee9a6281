"""What was measured, said: a JSON line for each figure as it comes, and a table for people at the end."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN: Final = "<!-- figures: written by `python -m bench --write-docs` -->"
END: Final = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        bench: its name.
        subject: what was measured.
        value: in `unit`.
        baseline: what it is compared with: another program, another state of ours, or "goal"; empty where with nothing.
        baseline_value: in the same unit, measured in the same run, unless it is the goal.
        most: the ratio that it should not exceed; None where there is no goal.
        note: how this one was measured, where that differs.
    """

    bench: str
    subject: str
    value: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline_value if self.baseline_value else None

    @property
    def reached(self) -> str:
        """In a word, whether its goal was reached."""
        if self.most is None or self.baseline_value is None:
            return ""
        return "yes" if self.value <= self.most * self.baseline_value else "**no**"

    def line(self) -> str:
        said = {name: getattr(self, name) for name in ("bench", "subject", "value", "unit", "baseline", "baseline_value", "ratio")}
        return json.dumps({name: _said(value) for name, value in said.items()}, ensure_ascii=False)


def goal(bench: str, subject: str, value: float, unit: str, most: float, note: str = "") -> Figure:
    """A figure that is to stay at or below a value."""
    return Figure(bench, subject, value, unit, "goal", most, 1.0, note)


HEAD: Final = ("figure", "of", "value", "unit", "against", "its value", "ratio", "at most", "reached", "how")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown, its columns in line for people at a terminal."""
    return _table([_row(figure) for figure in figures])


def _table(body: Sequence[tuple[str, ...]]) -> str:
    rows = [HEAD, *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.bench,
        figure.subject,
        _text(figure.value),
        figure.unit,
        figure.baseline,
        _text(figure.baseline_value),
        _text(figure.ratio),
        _text(figure.most),
        figure.reached,
        figure.note,
    )


def _said(value: object) -> object:
    """As JSON has it, which knows no infinity."""
    if isinstance(value, float):
        return _rounded(value) if math.isfinite(value) else None
    return value


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{_rounded(value):,}" if math.isfinite(value) else "none"


def _rounded(value: float) -> float:
    """Three significant digits: the machine's noise hides all others."""
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) >= 100 else rounded  # noqa: PLR2004


def circumstances(*, quick: bool, rounds: int, open_files: int) -> str:
    """In a line, where and how the run was made."""
    how = f"{rounds} rounds of each, medians" if rounds > 1 else "one round of each"
    return (
        f"{'QUICK run: shorter and noisier than the full one. ' if quick else ''}{how}; {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}, at most {open_files:,} open files a process."
    )


def renew(figures: Sequence[Figure], path: Path = DOCUMENT) -> None:
    """Put these figures into the document's table in place of those of the same names and subjects, and leave the others as they are."""
    document = path.read_text()
    begin, end = document.index(BEGIN) + len(BEGIN), document.index(END)
    first, _, rest = document[begin:end].strip().partition("\n\n")
    there = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in rest.splitlines()[2:]]
    renewed = {(figure.bench, figure.subject) for figure in figures}
    at = next((number for number, row in enumerate(there) if row[:2] in renewed), len(there))
    kept = [row for row in there if row[:2] not in renewed]
    rows = [*kept[:at], *(_row(figure) for figure in figures), *kept[at:]]
    write_document(f"{first}\n\n{_table(rows)}", path)


def write_document(text: str, path: Path = DOCUMENT) -> None:
    """Put the table and its circumstances where the document holds them."""
    document = path.read_text()
    new, times = re.subn(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{text}\n{END}", document, flags=re.DOTALL)
    if times != 1:
        raise ValueError(f"{path.name} should hold one line {BEGIN!r} and below it one {END!r}")
    path.write_text(new)
