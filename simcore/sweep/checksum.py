"""A checksum of rows that knows nothing of files, shards or their order.

Each row gets a 64-bit hash of what it says (its combination and every column, bit by bit); a table's checksum is the
sum of its rows' hashes modulo 2^64, and a second sum of hashes mixed once more, so 128 bits in all. Sums commute: any
cut of a sweep into shards, any number of workers and any history of crashes gives the same total, exactly when the rows
are the same. A repeated row counts twice, unlike under exclusive or.

The mixer is the finaliser of SplitMix64 (Steele, Lea & Flood 2014). It guards against accidents, not against forgers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Words = NDArray[np.uint64]

MASK = (1 << 64) - 1


def row_sum(table: pa.Table, key: str) -> str:
    """Return the checksum of a table's rows, 32 hexadecimal digits; ``key`` says what the rows belong to."""
    return row_sums(table, key, [len(table)])[0]


def row_sums(table: pa.Table, key: str, lengths: Sequence[int]) -> list[str]:
    """Return the checksums of the tables of these lengths that ``table`` joins: many small ones cost as one large."""
    words = np.full(len(table), _word(key), np.uint64)
    for name in sorted(table.column_names):
        words = _mix(words ^ _mix(_column(table.column(name).combine_chunks()) + _word(name)))
    ends = np.cumsum([0, *lengths])
    with np.errstate(over="ignore"):
        first, second = (
            np.diff(np.concatenate([np.zeros(1, np.uint64), np.cumsum(one, dtype=np.uint64)])[ends])
            for one in (words, _mix(words))
        )
    return [f"{int(one):016x}{int(two):016x}" for one, two in zip(first, second, strict=True)]


def combine(sums: list[str]) -> str:
    """Return the checksum of several tables' rows together."""
    first = sum(int(one[:16], 16) for one in sums) & MASK
    second = sum(int(one[16:], 16) for one in sums) & MASK
    return f"{first:016x}{second:016x}"


def row_key(combination: Mapping[str, Any], kind: str) -> str:
    """Return the key of a combination's rows of one kind: the landscape itself, not its place in the file."""
    from simcore.sweep.config import canonical_json

    return f"{kind}:{canonical_json(combination)}"


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mix(words: Words) -> Words:
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))


def _column(array: Any) -> Words:
    """Return a word a row. Text and numbers of equal value give equal words however they are encoded."""
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    kind = array.type
    null = np.asarray(array.is_null())
    if types.is_dictionary(kind):
        meaning = np.array([_word(str(one)) for one in array.dictionary.to_pylist()] or [np.uint64(0)], np.uint64)
        words = meaning[np.asarray(array.indices.fill_null(0))]
    elif types.is_string(kind) or types.is_large_string(kind):
        words = np.array([_word("" if one is None else one) for one in array.to_pylist()], np.uint64)
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        words = _lists(array)
    elif types.is_floating(kind):
        values = np.asarray(array.fill_null(0.0), dtype=np.float64).copy()
        values[np.isnan(values)] = np.nan  # every NaN says the same, whatever its payload
        words = values.view(np.uint64)
    elif types.is_null(kind):
        words = np.zeros(len(array), np.uint64)
    else:
        words = np.asarray(array.fill_null(False if types.is_boolean(kind) else 0)).astype(np.int64).view(np.uint64)
    if null.any():
        words = np.where(null, _word("null"), words)
    return words


def _lists(array: Any) -> Words:
    """Hash each row's values with their places, and its length."""
    lengths = np.asarray(array.value_lengths().fill_null(0)).astype(np.int64)
    inner = _column(array.flatten())
    ends = np.cumsum(lengths)
    places = np.arange(len(inner)) - np.repeat(ends - lengths, lengths)
    mixed = _mix(inner ^ _mix(places.astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    with np.errstate(over="ignore"):
        return sums[ends] - sums[ends - lengths] + _mix(lengths.astype(np.uint64))
