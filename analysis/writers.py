"""A table of numbers with errors, written in Markdown, LaTeX (booktabs, siunitx) or CSV.

Cells hold numbers and Estimates; rounding happens here alone: an uncertain number shows two digits of its error.
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass, field
from typing import Any

from simcore.errors import unknown_name

from .estimates import LEAST_DRAWS, Estimate

FORMATS = ("markdown", "latex", "csv")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    key : CSV heading, and the key of a row's dictionary.
    heading : heading in Markdown.
    latex : heading in LaTeX (default: the heading with its special characters escaped).
    digits : significant digits of plain floats.
    places : decimal places of plain floats, in place of ``digits``.
    """

    key: str
    heading: str
    latex: str = ""
    digits: int = 5
    places: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows (dictionaries keyed by column), a caption and footnotes; a missing key or None is a blank cell."""

    columns: list[Column]
    rows: list[dict[str, Any]]
    caption: str = ""
    notes: list[str] = field(default_factory=list)

    def write(self, format: str) -> str:
        """Return the table as text, in "markdown", "latex" or "csv"; ``InputError`` for another format."""
        writers = {"markdown": self.markdown, "latex": self.latex, "csv": self.csv}
        if format not in writers:
            raise unknown_name("table format", format, FORMATS)
        return writers[format]()

    def texts(self) -> tuple[list[bool], list[str], list[list[str]]]:
        """Return which columns are numeric, the headings, and the cells of each row as plain text."""
        cells = [[_text(row.get(c.key), c, " ± ") for c in self.columns] for row in self.rows]
        return [self._numeric(c) for c in self.columns], [c.heading for c in self.columns], cells

    def markdown(self) -> str:
        """Return a pipe table with the caption above and the notes below; uncertain numbers read ``14.93 ± 0.41``."""
        numeric, headings, cells = self.texts()
        headings = [escape_markdown(text) for text in headings]
        cells = [[escape_markdown(text) for text in row] for row in cells]
        widths = [max(len(h), 3, *(len(r[j]) for r in cells)) for j, h in enumerate(headings)]

        def line(parts: list[str]) -> str:
            sides = zip(parts, widths, numeric, strict=True)
            return "| " + " | ".join(p.rjust(w) if right else p.ljust(w) for p, w, right in sides) + " |"

        rule = (
            "|"
            + "|".join("-" * (w + 1) + (":" if right else "-") for w, right in zip(widths, numeric, strict=True))
            + "|"
        )
        parts = [self.caption, ""] if self.caption else []
        parts += [line(headings), rule, *(line(r) for r in cells)]
        parts += ["", *(f"{note}  " for note in self.notes)] if self.notes else []
        return "\n".join(p.rstrip() if not p.endswith("  ") else p for p in parts).rstrip() + "\n"

    def latex(self, *, long: bool = False) -> str:
        """Return a ``table`` environment for booktabs and siunitx (version 3): S columns, errors in brackets.

        It fits a text width of 6.5 inches as it stands (``simcore_analysis.latex``).

        long : a ``longtable``, which may run over several pages, in place of it; also where there are many rows.
        """
        from . import latex

        long = long or len(self.rows) > latex.LONGEST
        cells = [[_latex(row.get(c.key), c) for c in self.columns] for row in self.rows]
        columns = []
        for j, c in enumerate(self.columns):
            own = [r[j] for r in cells]
            columns.append(latex.Cells(c.latex or escape(c.heading), own, _s_column(own) if self._numeric(c) else ""))
        size, gap, blocks = latex.layout(columns)
        caption = [f"  \\caption{{{latex.breakable(escape(self.caption))}}}"] if self.caption else []
        notes = [f"  \\par\\footnotesize\\raggedright {latex.breakable(escape(note))}" for note in self.notes]
        setting = f"{size}\\setlength{{\\tabcolsep}}{{{gap:g}pt}}"
        names = ("array", "booktabs", *(("longtable",) if long else ()), "siunitx")
        packages = [f"\\usepackage{{{name}}}" for name in names]
        lines = [f"% needs {', '.join(packages[:-1])} and {packages[-1]}"]
        lines += [f"\\begingroup{setting}"] if long else ["\\begin{table}", "  \\centering", *caption, f"  {setting}"]
        for number, block in enumerate(blocks):
            preamble = f"{{{' '.join(block.specifications)}}}"
            head = ["    \\toprule", f"    {' & '.join(block.headings)} \\\\", "    \\midrule"]
            body = [f"    {' & '.join(latex.row(r, block))} \\\\" for r in cells]
            if long:
                lines += [f"\\begin{{longtable}}{preamble}", *(f"{c} \\\\" for c in caption if not number), *head]
                lines += ["    \\endfirsthead", *head, "    \\endhead", "    \\bottomrule", "    \\endlastfoot"]
                lines += [*body, "\\end{longtable}"]
            else:
                lines += ["  \\par\\medskip"] if number else []
                lines += [f"  \\begin{{tabular}}{preamble}", *head, *body, "    \\bottomrule", "  \\end{tabular}"]
        return "\n".join([*lines, *notes, "\\endgroup" if long else "\\end{table}", ""])

    def csv(self) -> str:
        """Return the table at full precision; an Estimate takes the columns key, key_se, key_low, key_high.

        ``key_low`` and ``key_high`` are left out where a row gives its own (or the column holds no Estimate).
        """
        uncertain = {c.key for c in self.columns if any(isinstance(r.get(c.key), Estimate) for r in self.rows)}
        header: list[str] = []
        for c in self.columns:
            header += [c.key, f"{c.key}_se", f"{c.key}_low", f"{c.key}_high"] if c.key in uncertain else [c.key]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        for row in self.rows:
            values: list[str] = []
            for c in self.columns:
                cell = row.get(c.key)
                if c.key not in uncertain:
                    values.append(_exact(cell))
                elif isinstance(cell, Estimate):
                    values += [_exact(v) for v in (cell.value, cell.se, cell.low, cell.high)]
                else:
                    values += [_exact(cell), "", "", ""]
            writer.writerow(values)
        return out.getvalue()

    def _numeric(self, column: Column) -> bool:
        values = [r.get(column.key) for r in self.rows]
        return all(v is None or (isinstance(v, (int, float, Estimate)) and not isinstance(v, bool)) for v in values)


def rounded(value: float, se: float) -> tuple[str, str]:
    """Return value and error as text, both rounded to the error's second digit; powers of ten are written out."""
    if not (math.isfinite(se) and se > 0):
        return number(value), "0" if se == 0 else ""
    places = 1 - math.floor(math.log10(se))
    if float(f"{se:.1e}") >= 10 ** (2 - places):  # 0.0996 rounds up to 0.10: one place fewer
        places -= 1
    if places < 0:
        scale = 10.0**-places
        return f"{round(value / scale) * scale:.0f}", f"{round(se / scale) * scale:.0f}"
    return f"{value:.{places}f}", f"{se:.{places}f}"


def scaled(value: float, se: float) -> tuple[str, str, int]:
    """Return value and error as ``rounded`` does, over ten to the power that follows: not 0 where both are tiny.

    An error below the rounding of the value, 1e-13 of it, is none.
    """
    if se <= 1e-13 * abs(value):
        return number(value), "0", 0
    largest = max(abs(value), se)
    power = math.floor(math.log10(largest)) if se > 0 and largest < 1e-4 else 0
    return *rounded(value / 10.0**power, se / 10.0**power), power


def number(value: float | int, digits: int = 5) -> str:
    """Return a number as text: whole numbers in full, others with so many significant digits."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return f"{value:.{digits}g}" if "e" in text else text


def escape_markdown(text: str) -> str:
    """Return text for a cell: no pipe ends it, no line break, and nothing in it is taken for HTML."""
    text = " ".join(text.split("\n")).replace("|", "\\|")
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)


def escape(text: str) -> str:
    """Return text with LaTeX's special characters escaped, and the few non-ASCII signs that we use spelt out."""
    signs = {
        "\\": "\\textbackslash{}",
        **{c: f"\\{c}" for c in "_%&#{}$"},
        "~": "\\textasciitilde{}",
        "[": "{[}",  # after the end of a row a bracket would be read as the distance to the next
        "]": "{]}",
        "±": "$\\pm$",
        "≤": "$\\leq$",
        "≥": "$\\geq$",
        "^": "\\^{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "²": "$^2$",
    }
    return "".join(signs.get(c, c) for c in text)


def _text(cell: Any, column: Column, between: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and column.places is not None and math.isfinite(cell):
        return f"{cell:.{column.places}f}"
    if isinstance(cell, (int, float)):
        return number(cell, column.digits)
    if not isinstance(cell, Estimate):
        return str(cell)
    if not cell.tells:
        return _untold(cell, column.digits)
    if cell.sides == 1 and math.isnan(cell.se):
        return _bound(cell, column.digits)
    value, error, power = scaled(cell.value, cell.se)
    if error in ("", "0"):
        return value
    return f"({value}{between}{error})e{power:+03d}" if power else value + between + error


def _untold(cell: Estimate, digits: int) -> str:
    """A number whose draws cannot tell its error, in words: ``14.9 (too few draws)``, ``6 (cannot tell)``."""
    why = "too few draws" if cell.draws < LEAST_DRAWS else "cannot tell"
    return why if math.isnan(cell.value) else f"{number(cell.value, min(digits, 3))} ({why})"


def _bound(cell: Estimate, digits: int) -> str:
    """A one-sided interval in words: ``> 12``, ``< 0.3``, or nothing where both sides are open."""
    if math.isfinite(cell.low) and math.isinf(cell.high):
        return f"> {number(cell.low, 3)}" if math.isnan(cell.value) else number(cell.value, digits)
    if math.isfinite(cell.high):
        return f"< {number(cell.high, 3)}"
    return number(cell.value, digits)


def _latex(cell: Any, column: Column) -> str:
    if isinstance(cell, Estimate):
        if not cell.tells:
            return f"{{{escape(_untold(cell, column.digits))}}}"
        if cell.sides == 1 and math.isnan(cell.se):
            bound = _bound(cell, column.digits)
            return f"{{${bound}$}}" if bound[:1] in "<>" and bound else bound
        value, error, power = scaled(cell.value, cell.se)
        if error in ("", "0"):
            return value
        last = error.lstrip("0.").replace(".", "") if "." in error else error
        return f"{value}({last}){f'e{power}' if power else ''}"
    if isinstance(cell, (int, float)) or cell is None:
        text = _text(cell, column, "")
        return f"{{{text}}}" if "inf" in text else text
    return escape(str(cell))


def _s_column(cells: list[str]) -> str:
    """An S column wide enough for these cells, such as ``S[table-format=4.2(2)]``."""
    before = after = error = 1
    after = error = sign = 0
    exponent = 0
    for cell in cells:
        if not cell or cell.startswith("{"):
            continue
        plain, _, power = cell.partition("e")
        mantissa, _, bracket = plain.partition("(")
        sign = max(sign, mantissa.startswith("-"))
        whole, _, decimals = mantissa.lstrip("-").partition(".")
        before, after = max(before, len(whole)), max(after, len(decimals))
        error = max(error, len(bracket.rstrip(")")))
        exponent = max(exponent, len(power.lstrip("+-0")) if power else 0)
    text = f"{'-' if sign else ''}{before}.{after}" if after else f"{'-' if sign else ''}{before}"
    return f"S[table-format={text}{f'({error})' if error else ''}{f'e{exponent}' if exponent else ''}]"


def _exact(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return str(value)
