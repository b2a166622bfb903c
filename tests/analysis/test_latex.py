"""LaTeX tables fit a text width of 6.5 inches: by estimate everywhere, by pdflatex where it is installed."""

import shutil
import subprocess

import numpy as np
import pytest
from simcore_analysis import latex
from simcore_analysis.estimates import Estimate
from simcore_analysis.tables import chosen, spread
from simcore_analysis.writers import Column, Table

from simcore import InputError

WORDS = [
    "isotropic",
    "Gaussian",
    "field:",
    "the",
    "ratio",
    "grows",
    "exponentially,",
    "by",
    "the",
    "exact",
    "rate",
    "a",
    "dimension",
]


def table(rng, rows=None):
    """Return a table of random columns: words, whole numbers, numbers with errors, tiny ones, long headings."""
    columns, made = [], []
    kinds = rng.choice(["words", "name", "whole", "estimate", "tiny", "float"], int(rng.integers(2, 18)))
    for j in range(len(kinds)):
        heading = " ".join(rng.choice(WORDS, int(rng.integers(1, 4))))
        columns.append(Column(f"c{j}", heading))
    for _ in range(int(rng.integers(1, 60)) if rows is None else rows):
        row = {}
        for column, kind in zip(columns, kinds, strict=True):
            value = float(rng.normal(scale=10.0 ** rng.integers(-2, 5)))
            row[column.key] = {
                "words": " ".join(rng.choice(WORDS, int(rng.integers(1, 14)))),
                "name": "pennington_bahri_2017/x,y,z",
                "whole": int(1000 * value),
                "estimate": Estimate(value, abs(value) / 30, value - 1, value + 1),
                "tiny": Estimate(5.64e-6, 2e-7, 5e-6, 6e-6),
                "float": value,
            }[kind]
        made.append(row)
    return Table(columns, made, "A caption with 50 % & more_of it", ["A note."])


def test_wide_tables_stand_in_blocks_that_lose_no_column():
    rng = np.random.default_rng(1)
    several = 0
    for _ in range(30):
        wide = table(rng)
        text = wide.latex()
        assert all(f"c{j}" not in text for j in range(3))
        cells = [latex.Cells(c.heading, ["x"], "S[table-format=4.3(2)]") for c in wide.columns]
        _, _, blocks = latex.layout(cells)
        assert sorted({j for block in blocks for j in block.columns}) == list(range(len(cells)))
        assert all(block.columns[0] == 0 for block in blocks)
        several += len(blocks) > 1
    assert several > 2


def test_the_size_falls_only_as_far_as_it_must():
    short = [latex.Cells("n", ["1"], "S[table-format=1]")] * 3
    long = [latex.Cells("minima", ["1"], "S[table-format=5.4(2)]")] * 7
    assert latex.layout(short)[0] == "\\normalsize"
    assert latex.layout(long)[0] in ("\\footnotesize", "\\scriptsize") and len(latex.layout(long)[2]) == 1


def test_chosen_columns_stand_in_the_order_given():
    given = table(np.random.default_rng(2))
    keys = [c.key for c in given.columns]
    assert [c.key for c in chosen(given, [keys[1], keys[0]]).columns] == [keys[1], keys[0]]
    assert [c.key for c in chosen(spread(given), [keys[0]]).columns] == [keys[0]]
    for column in spread(given).columns:  # any heading of the CSV, in any format
        assert [c.key for c in chosen(given, [column.key]).columns] == [column.key]
    with pytest.raises(InputError, match="unknown column of the table 'c99'"):
        chosen(given, ["c99"])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_no_box_is_overfull_in_a_plain_article(tmp_path):
    rng = np.random.default_rng(3)
    tables = "\n\\clearpage\n".join(table(rng).latex(long=bool(j % 2)) for j in range(12))
    packages = "\\usepackage[letterpaper,margin=1in]{geometry}\\usepackage{array,booktabs,longtable,siunitx}"
    page = f"\\documentclass{{article}}{packages}\\begin{{document}}\n{tables}\n\\end{{document}}\n"
    (tmp_path / "all.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert [line for line in log.splitlines() if line.startswith("Overfull \\hbox")] == []
