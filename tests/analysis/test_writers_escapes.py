"""Whatever a name or value holds, a table stays one: Markdown without HTML, LaTeX that compiles, nobody's folders."""

from __future__ import annotations

import json

import numpy as np
from simcore_analysis.samples import Sample
from simcore_analysis.tables import hits_table
from simcore_analysis.writers import Column, Table, escape

NASTY = "a<script>alert(1)</script> | $x_1$ `c` [l](u) ~ 50% & #1 {b} \\x ^2\nline"


ROWS = [{"name": NASTY, "n": 1}, {"name": "[x] < 0.1", "n": 2}]


def table():
    return Table(
        [Column("name", "<b>name</b> $"), Column("n", "n")], [{"name": NASTY, "n": 1}, {"name": "[x] < 0.1", "n": 2}]
    )


def test_markdown_cells_hold_no_html_and_no_further_cell():
    lines = table().markdown().splitlines()
    assert len(lines) == 4 and len({line.replace("\\|", "").count("|") for line in lines}) == 1
    text = "\n".join(lines).replace("\\<", "")
    assert "<script" not in text and "</" not in text and "<b" not in text
    assert "[x] < 0.1" in lines[-1], "a bare < is no HTML"


def test_every_special_of_latex_is_escaped():
    assert escape("$_%&#{}~^\\[]") == ("\\$\\_\\%\\&\\#\\{\\}\\textasciitilde{}\\^{}\\textbackslash{}{[}{]}")
    body = table().latex()
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 3 and all(line.replace("\\&", "").count("&") == 1 for line in rows)
    assert "\\$x\\_1\\$" in body


def test_tables_do_not_tell_where_data_lie():
    cell = json.dumps({"kind": "npz", "path": "/home/someone/secret/d.npz", "sha256": "ab"})
    sample = Sample(
        {"landscape": "mlp", "n": 3, "data": cell}, 3, np.zeros((2, 4)), np.ones((2, 4)), np.zeros((2, 4)),
        np.zeros(2, bool), np.full(2, 4.0), "newton", {"critical": 8},
    )  # fmt: skip
    assert json.loads(sample.told["data"])["path"] == "d.npz" and sample.parameters["data"] == cell
    told = hits_table([sample]).write("markdown")
    assert "d.npz" in told and "secret" not in told and "someone" not in told
