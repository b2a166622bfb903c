"""Files of compiled code that are checked before they are used.

Numba unpickles what it finds and runs it: a truncated file ends in an ``EOFError``, a flipped bit in anything up to a
crash of the process. Here every file begins with the SHA-256 of the rest, and a data file repeats the key that it was
compiled for, since two processes that fill one cache may give one file name to two signatures. What does not fit is
compiled again and written anew. Where nothing can be written (a full disk, a cache that is somebody else's) the code
stays in memory. Each is said once a process.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

DIGEST = hashlib.sha256().digest_size

_said: set[str] = set()


class CacheWarning(RuntimeWarning):
    """The cache of compiled code is damaged or can't be written: what it should hold is compiled again."""


def warn_once(topic: str, message: str) -> None:
    """Warn, unless this process has warned about the topic before."""
    if topic not in _said:
        _said.add(topic)
        warnings.warn(message, CacheWarning, stacklevel=2)


class CheckedFile(IndexDataCacheFile):
    """Numba's index and data files of one function, each behind a digest of itself."""

    def load(self, key: Any) -> Any:
        """Return the compiled code of a key; None where it is not there, or not what was written."""
        name = self._load_index().get(key)
        if name is None:
            return None
        found = self._read(self._data_path(name))
        return found[1] if found is not None and found[0] == key else None

    def save(self, key: Any, data: Any) -> None:
        """Write the compiled code of a key."""
        super().save(key, (key, data))

    def _load_index(self) -> dict[Any, str]:
        found = self._read(self._index_path)
        if found is None or found[:2] != (numba.__version__, self._source_stamp):
            return {}
        return found[2]

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (numba.__version__, self._source_stamp, overloads))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, value: Any) -> None:
        body = self._dump(value)
        with self._open_for_write(path) as stream:
            stream.write(hashlib.sha256(body).digest() + body)

    def _read(self, path: str) -> Any:
        """Return what a file holds; None where it is missing, unreadable or damaged."""
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            warn_once("damaged", f"{path} can't be read ({error.strerror}): its function is compiled again")
            return None
        body = memoryview(data)[DIGEST:]
        if len(data) < DIGEST or hashlib.sha256(body).digest() != data[:DIGEST]:
            warn_once("damaged", f"{path} is damaged: its function is compiled again")
            return None
        try:
            return pickle.loads(body)
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError):
            return None  # whole, and written where names were other ones


class CheckedCache(FunctionCache):
    """Numba's cache of one function, on checked files; what can't be written is kept in memory."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        plain: Any = self._cache_file
        self._cache_file: Any = CheckedFile(plain._cache_path, self._impl.filename_base, plain._source_stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled function, or say that it can't be written."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warn_once(
                "unwritable",
                f"compiled code can't be kept in {self.cache_path} ({error.strerror or error}): every process compiles "
                "it again; make room there, or set NUMBA_CACHE_DIR to a directory that can be written",
            )
