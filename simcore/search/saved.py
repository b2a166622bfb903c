"""An enumeration on disk: one .npz file, an array a column and the audit as JSON, under one SHA-256 of everything.

Any program that reads NumPy's format reads it; a file of which one bit was altered is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError, RunError

if TYPE_CHECKING:
    import pandas as pd

_AUDIT, _DIGEST = "audit_json", "sha256"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    EOFError,
    OSError,
    NotImplementedError,
    SyntaxError,
    RuntimeError,
    MemoryError,
)
"""What NumPy raises on reading an altered file."""


def save(points: pd.DataFrame, audit: dict[str, Any], path: str | Path) -> Path:
    """Write points and audit to ``path`` (a name that ends in .npz) and return it."""
    target = _checked(path)
    lists = ("x", "eigenvalues")
    arrays = {name: np.array(points[name].to_list()) if name in lists else points[name].to_numpy() for name in points}
    arrays[_AUDIT] = np.frombuffer(json.dumps(audit, default=_plain).encode(), np.uint8)
    with target.open("wb") as file:
        np.savez_compressed(file, **{**arrays, _DIGEST: _digest(arrays)})  # type: ignore[arg-type]
    return target


def load(path: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return points and audit of a file that ``save`` wrote.

    Raises ``InputError`` where there is no such file, or it is none of ``save``; ``RunError`` where it was altered.
    """
    import pandas as pd

    source = _checked(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist; give a file that Enumeration.save wrote")
    try:
        with source.open("rb") as file, np.load(io.BytesIO(file.read()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except _DAMAGE as error:
        raise RunError(f"{source} is damaged or no .npz file: {type(error).__name__}") from None
    digest = arrays.pop(_DIGEST, None)
    if digest is None or _AUDIT not in arrays:
        raise InputError(f"{source} holds no enumeration; give a file that Enumeration.save wrote")
    if not np.array_equal(digest, _digest(arrays)):
        raise RunError(f"{source} is damaged: what it holds does not match its checksum")
    audit = json.loads(arrays.pop(_AUDIT).tobytes())
    columns = {name: list(column) if column.ndim > 1 else column for name, column in arrays.items()}
    return pd.DataFrame(columns), audit


def _digest(arrays: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _checked(path: str | Path) -> Path:
    given = Path(path)
    if given.suffix != ".npz":
        raise InputError(f"enumeration file {str(path)!r} ends in {given.suffix!r}; give a name that ends in .npz")
    return given


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in an audit")
