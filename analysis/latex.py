"""LaTeX tables that fit a text width of 6.5 inches: a type size, column gaps and broken headings chosen by width.

Widths are estimated in Computer Modern's ems: a digit is half an em, a letter at most that on average, and a little is
spared. Numbers never break; words do, in columns that share what the numbers leave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

TEXT_WIDTH = 6.5 * 72.27
"""Points: a plain article on letter paper with margins of an inch."""
SPARE = 0.95
LONGEST = 40
"""Rows beyond which a table runs over pages."""
SIZES = (
    ("\\normalsize", 10.0, 6.0),
    ("\\small", 9.25, 5.0),
    ("\\footnotesize", 8.5, 4.0),
    ("\\scriptsize", 8.0, 3.0),
)
"""Command, points of two digits (small sizes are cut wider), points of column separation; the largest first."""
LETTER = 0.52
"""Ems a character of running text, on average, with a little to spare."""
NARROWEST_WORDS = 8.0
"""Ems that a column of running text has at least, or its longest word if that is more."""


@dataclass(frozen=True)
class Cells:
    """One column: its heading and cells in LaTeX, and the ``S`` format of a numeric one ("" for words)."""

    heading: str
    cells: Sequence[str]
    number: str = ""

    def heading_lines(self) -> list[str]:
        """Return the heading in lines no wider than its cells or its longest word; mathematics stays whole."""
        if "$" in self.heading or ems(self.heading) <= self.content():
            return [self.heading]
        words = self.heading.split(" ")
        room = max(self.content(), *(ems(word) for word in words))
        lines = words[:1]
        for word in words[1:]:
            longer = f"{lines[-1]} {word}"
            lines[-1:] = [longer] if ems(longer) <= room else [lines[-1], word]
        return lines

    def content(self) -> float:
        """Width of the widest cell in ems."""
        if self.number:
            format = re.search(r"table-format=([^]]*)", self.number)
            text = format.group(1) if format else "1"
            whole, _, rest = text.lstrip("-").partition(".")
            digits = int(re.match(r"\d+", whole).group())  # type: ignore[union-attr]
            decimals = int(re.match(r"\d+", rest).group()) if rest else 0  # type: ignore[union-attr]
            error = re.search(r"\((\d+)\)", text)
            power = re.search(r"e(\d+)", text)
            width = 0.5 * (digits + decimals) + (0.28 if decimals else 0) + (0.78 if text.startswith("-") else 0)
            width += 0.5 * int(error.group(1)) + 0.8 if error else 0.0
            width += 0.5 * int(power.group(1)) + 2.8 if power else 0.0
            return max([width, *(ems(cell) for cell in self.cells if cell.startswith("{"))])
        return max((ems(cell) for cell in self.cells), default=0.0)

    def narrowest(self) -> float:
        """Width in ems below which words would stick out."""
        if self.number:
            return max(self.content(), *(ems(line) for line in self.heading_lines()))
        words = [word for cell in (*self.cells, self.heading) for word in broken(cell).split()]
        return max([0.0, *(ems(word) for word in words)])

    def natural(self) -> float:
        """Width in ems with every cell on one line."""
        return max(self.content(), *(ems(line) for line in self.heading_lines()))


@dataclass(frozen=True)
class Block:
    """Columns that stand side by side: which, the specification of each, and their headings in LaTeX."""

    columns: list[int]
    specifications: list[str]
    headings: list[str]


def layout(columns: Sequence[Cells]) -> tuple[str, float, list[Block]]:
    """Return size command, column separation in points, and the blocks that stand one below the other.

    One block in the largest size in which it fits; where none does, several in the smallest size, the first column
    repeated in each.
    """
    everything = list(range(len(columns)))
    for command, em, gap in SIZES:
        found = _fitted(columns, everything, em, gap)
        if found:
            return command, gap, [found]
    command, em, gap = SIZES[-1]
    blocks: list[Block] = []
    waiting = everything[1:]
    while waiting:
        taken = next(
            (m for m in range(len(waiting), 0, -1) if _fitted(columns, [0, *waiting[:m]], em, gap)),
            1,
        )
        chosen = [0, *waiting[:taken]]
        blocks.append(_fitted(columns, chosen, em, gap) or _forced(columns, chosen, em, gap))
        waiting = waiting[taken:]
    return command, gap, blocks or [_forced(columns, everything, em, gap)]


def _fitted(columns: Sequence[Cells], chosen: list[int], em: float, gap: float) -> Block | None:
    """Return these columns as a block, words broken where they must be; None where they do not fit in this size."""
    room = SPARE * TEXT_WIDTH / em - 2 * gap * len(chosen) / em
    natural = {j: columns[j].natural() for j in chosen}
    words = [j for j in chosen if not columns[j].number and natural[j] > NARROWEST_WORDS]
    if sum(natural.values()) <= room:
        return _block(columns, chosen, {}, em)
    least = {j: max(NARROWEST_WORDS, columns[j].narrowest()) if j in words else natural[j] for j in chosen}
    if words and sum(least.values()) <= room:
        return _block(columns, chosen, _shared(least, natural, words, room), em)
    return None


def _forced(columns: Sequence[Cells], chosen: list[int], em: float, gap: float) -> Block:
    """Return a block of columns of which even the smallest are too wide: words share the width evenly."""
    words = [j for j in chosen if not columns[j].number]
    room = SPARE * TEXT_WIDTH / em - 2 * gap * len(chosen) / em
    left = room - sum(columns[j].natural() for j in chosen if j not in words)
    return _block(columns, chosen, dict.fromkeys(words, max(left / max(len(words), 1), NARROWEST_WORDS)), em)


def _block(columns: Sequence[Cells], chosen: list[int], widths: dict[int, float], em: float) -> Block:
    specifications = [
        f">{{\\raggedright\\arraybackslash}}p{{{widths[j] * em:.0f}pt}}" if j in widths else (columns[j].number or "l")
        for j in chosen
    ]
    return Block(chosen, specifications, [_heading(columns[j], wrapped=j in widths) for j in chosen])


def _shared(least: dict[int, float], natural: dict[int, float], words: list[int], room: float) -> dict[int, float]:
    """Return the widths of the columns of words: they share what is left by what each still wants."""
    left = room - sum(least.values())
    total = sum(natural[j] - least[j] for j in words)
    return {j: least[j] + (left * (natural[j] - least[j]) / total if total > 0 else 0.0) for j in words}


def _heading(column: Cells, *, wrapped: bool) -> str:
    """Return a heading in LaTeX: in lines of its own, but where the column breaks its words anyway."""
    lines = column.heading_lines()
    if wrapped:
        return breakable(column.heading)
    text = column.heading if len(lines) == 1 else _stacked(lines, "r" if column.number else "l")
    return f"{{{text}}}" if column.number else text


def _stacked(lines: list[str], side: str) -> str:
    return f"\\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}" + "\\\\".join(lines) + "\\end{tabular}"


def row(cells: Sequence[str], block: Block) -> list[str]:
    """Return a row's cells in a block, those of broken words with places to break."""
    pairs = zip(block.columns, block.specifications, strict=True)
    return [breakable(cells[j]) if "p{" in text else cells[j] for j, text in pairs]


def broken(text: str) -> str:
    """Return LaTeX text with places to break: after an underscore, a slash, a comma without a space."""
    return text.replace("\\_", "\\_ ").replace("/", "/ ").replace(",", ", ")


def breakable(text: str) -> str:
    """Return LaTeX text that may break where ``broken`` says, without a space that shows."""
    parts = re.split(r"(\$[^$]*\$)", text)
    spots = [part if part.startswith("$") else re.sub(r"(\\_|/|,(?! ))", r"\1\\allowbreak{}", part) for part in parts]
    return "".join(spots)


def ems(text: str) -> float:
    """Return the width of LaTeX text in ems, a little generously."""
    plain = re.sub(r"\\[a-zA-Z]+\{?\}?", "m", text.replace("\\_", "n"))
    plain = re.sub(r"[{}$^\\]", "", plain)
    wide = sum(plain.count(c) for c in "mwMW")
    return LETTER * len(plain) + 0.35 * wide
