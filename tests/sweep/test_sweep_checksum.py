"""The checksum of rows: blind to cuts and order, not to any change."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from simcore.sweep.checksum import combine, row_sum
from simcore.sweep.schema import to_arrow


def frame(rows=50):
    u = np.random.default_rng(1).random(rows)
    return pd.DataFrame({
        "draw": np.arange(rows) // 10, "start": np.arange(rows) % 10,
        "status": pd.Categorical.from_codes((u > 0.8).astype(int), ["critical", "left_domain"]),
        "iterations": np.int32(3), "cost": np.where(u > 0.9, np.nan, u), "certified": u > 0.5,
        "x": [np.full(1 + i % 3, u[i]) for i in range(rows)],
    })  # fmt: skip


def total(data, key="k"):
    return row_sum(to_arrow(data, {}), key)


def test_a_missing_list_is_neither_an_error_nor_an_empty_one():
    tables = [pa.table({"x": pa.array([[1.0, 1.0], x, [1.0]])}) for x in (None, [], [0.0])]
    assert len({row_sum(table, "k") for table in tables}) == 3


def test_any_cut_and_any_order_give_the_same_sum():
    data = frame()
    shuffled = data.sample(frac=1, random_state=2)
    pieces = [data.iloc[:7], data.iloc[7:7], data.iloc[7:31], data.iloc[31:]]
    assert total(data) == total(shuffled) == combine([total(piece) for piece in pieces])


def test_words_count_and_not_their_codes():
    data = frame()
    other = data.assign(status=data["status"].cat.reorder_categories(["left_domain", "critical"]))
    assert total(data) == total(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.iloc[:-1],
        lambda d: pd.concat([d, d.iloc[:1]]),
        lambda d: pd.concat([d, d]),
        lambda d: d.assign(cost=np.nextafter(d["cost"], 2)),
        lambda d: d.assign(cost=-d["cost"]),
        lambda d: d.assign(cost=d["cost"].fillna(0.0)),
        lambda d: d.assign(cost=d["cost"].to_numpy()[::-1]),
        lambda d: d.assign(certified=~d["certified"]),
        lambda d: d.assign(draw=d["start"], start=d["draw"]),
        lambda d: d.assign(status=d["status"].cat.rename_categories({"critical": "degenerate"})),
        lambda d: d.assign(x=[row[::-1] + 1 for row in d["x"]]),
        lambda d: d.assign(x=[np.append(row, 0.0) for row in d["x"]]),
        lambda d: d.rename(columns={"cost": "costs"}),
        lambda d: d.drop(columns="x"),
    ],
)
def test_any_change_changes_it(change):
    assert total(frame()) != total(change(frame()))


def test_an_exchange_between_two_rows_changes_it():
    data = frame()
    cost = data["cost"].to_numpy().copy()
    cost[[0, 1]] = cost[[1, 0]]
    assert total(data) != total(data.assign(cost=cost))
    assert total(data, "k") != total(data, "l")


def test_moving_a_list_element_to_the_next_row_changes_it():
    one = pd.DataFrame({"x": [np.array([1.0, 2.0]), np.array([3.0])]})
    two = pd.DataFrame({"x": [np.array([1.0]), np.array([2.0, 3.0])]})
    three = pd.DataFrame({"x": [np.array([2.0, 1.0]), np.array([3.0])]})
    assert len({total(one), total(two), total(three)}) == 3
