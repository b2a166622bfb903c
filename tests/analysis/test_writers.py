"""LaTeX: every special character is escaped, so that a name with an ampersand or a dollar compiles."""

import math

import pytest
from simcore_analysis.estimates import Estimate
from simcore_analysis.writers import Column, Table, escape

SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "{": r"\{", "}": r"\}", "$": r"\$",
    "^": r"\^{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": "$|$", "±": r"$\pm$", "≤": r"$\leq$",
    "≥": r"$\geq$", "²": "$^2$",
}  # fmt: skip


@pytest.mark.parametrize("sign", SPECIAL)
def test_each_special_character_is_escaped(sign):
    assert escape(sign) == SPECIAL[sign]
    assert escape(f"a{sign}b{sign}") == f"a{SPECIAL[sign]}b{SPECIAL[sign]}"


def test_a_table_escapes_headings_cells_caption_and_notes():
    table = Table(
        [Column("name", "name & more"), Column("n", "n")], [{"name": "50 % & $5_a", "n": 1}], "A & B", ["C & D"]
    )
    text = table.latex()
    for words in (r"name \&", r"50 \% \& \$5\_a", r"A \& B", r"C \& D"):
        assert words in text
    import re

    row = next(line for line in text.splitlines() if r"50 \%" in line)
    assert len(re.findall(r"(?<!\\)&", row)) == 1, "one separator for two columns"


def test_a_column_that_is_uncertain_in_one_row_has_its_error_columns_in_all():
    rows = [{"a": "x, y", "r": Estimate(0.1, 0.25, -1 / 3, math.inf)}, {"a": "z", "r": 0.5}, {"a": "", "r": None}]
    assert Table([Column("a", "a"), Column("r", "r")], rows).csv().splitlines() == [
        "a,r,r_se,r_low,r_high", '"x, y",0.1,0.25,-0.3333333333333333,inf', "z,0.5,,,", ",,,,",
    ]  # fmt: skip
