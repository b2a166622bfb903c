"""One schema a kind of shard: a column has its type whatever values a shard happens to hold, or is an error."""

import numpy as np
import pandas as pd
import pytest

from simcore.errors import RunError
from simcore.sweep.schema import TYPES, to_arrow


def types(frame):
    return {field.name: str(field.type) for field in to_arrow(frame, {}).schema}


def audits(lacking):
    return pd.DataFrame({
        "draw": [0, 1], "complete": [True, False], "coverage": [0.5, np.nan],
        "euler_expected": pd.array([None if lacking else 2] * 2, dtype="Int64"),
        "proof_method": pd.array([None if lacking else "bezout"] * 2, dtype="string"),
        "round_trips": [None if lacking else 7] * 2, "minima_closed": [None if lacking else True] * 2,
        "mean_cost_z": [None if lacking else 0.5] * 2,
    })  # fmt: skip


def test_a_type_does_not_depend_on_the_values():
    whole, lacking = audits(False), audits(True)
    assert types(whole) == types(lacking) == types(whole.iloc[:0])
    assert to_arrow(lacking, {})["euler_expected"].null_count == 2
    assert to_arrow(whole, {})["round_trips"].to_pylist() == [7, 7]
    as_read = whole.assign(euler_expected=[np.nan, 2.0])  # what pandas makes of an int64 column with a null
    assert types(as_read) == types(whole)
    assert to_arrow(as_read, {})["euler_expected"].to_pylist() == [None, 2]


def test_every_declared_type_is_kept():
    for name, kind in TYPES.items():
        assert types(pd.DataFrame({name: pd.Series([None], dtype=object)}))[name] == kind


def test_a_column_without_a_type_is_an_error():
    with pytest.raises(RunError, match="the column odd holds object values"):
        to_arrow(audits(False).assign(odd=[None, "a"]), {})
