"""Files that are either whole or not there: write under a temporary name, flush to the disk, rename.

JSON documents carry a checksum of themselves, so that an altered byte is found when they are read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simcore.errors import RunError
from simcore.sweep.config import canonical_json

TEMPORARY = ".tmp"
CHECK = "check"
_MARK = b',"check":"'

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors that say there is no room for the file."""

UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM, *FULL}
"""Errors that will strike the next shard too, so that a run stops instead of setting every shard aside."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to the disk and rename it into place.

    After a crash at any moment ``path`` is either what it was before or complete. The temporary name carries the
    process number, so that two processes never share one; whatever a killed process leaves is swept up by
    ``remove_temporaries``.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        flush_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush_directory(path: Path) -> None:
    """Make renames in a directory durable; systems that can't open a directory do without."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def remove_temporaries(directory: Path) -> int:
    """Remove what killed writers left in a directory; return how many files."""
    found = [name for name in os.listdir(directory) if name.endswith(TEMPORARY)] if directory.is_dir() else []
    for name in found:
        (directory / name).unlink(missing_ok=True)
    return len(found)


def crc32_of(data: bytes | memoryview) -> str:
    """Return the CRC-32 (ISO 3309) of some bytes, 8 hexadecimal digits.

    It finds every flip of up to three bits and every burst of up to 32 in a file of a shard's size, at several GB/s:
    what each read can afford. ``simcore verify`` compares the SHA-256.
    """
    return f"{zlib.crc32(data):08x}"


def write_document(path: Path, document: dict[str, Any], *, lines: bool = True) -> None:
    """Write a JSON document with its own checksum, atomically: in lines for people, or as short as it goes.

    The short form is the text that the checksum is of, the checksum behind it, so that a reader of 100,000 of them has
    nothing to write again in order to check one.
    """
    body = {key: value for key, value in document.items() if key != CHECK}
    plain = canonical_json(body)
    digest = hashlib.sha256(plain.encode()).hexdigest()
    if lines or not body:
        text = json.dumps({**body, CHECK: digest}, indent=1, allow_nan=False)
    else:
        text = f'{plain[:-1]}{_MARK.decode()}{digest}"}}'
    write_atomically(path, lambda temporary: _write_text(temporary, text + "\n"))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_document(path: Path | str) -> dict[str, Any]:
    """Return a JSON document, or raise ``RunError`` in one line where it is missing, damaged or altered."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        document = json.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing; restore it from a copy, or start the run in another directory") from None
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise RunError(f"{path} is not the JSON that simcore wrote; it was truncated or altered") from None
    if not isinstance(document, dict):
        raise RunError(f"{path} is not the JSON that simcore wrote; it was altered")
    head, _, tail = data.rpartition(_MARK)
    if tail == b'%s"}\n' % hashlib.sha256(head + b"}").hexdigest().encode():
        del document[CHECK]
        return document
    body = {key: value for key, value in document.items() if key != CHECK}
    try:
        expected = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    except (ValueError, RecursionError):
        expected = ""
    if document.get(CHECK) != expected:
        raise RunError(f"{path} does not match its own checksum; it was altered")
    return body


def disk_message(error: OSError, directory: Path) -> str:
    """Return one line for an error of the file system, with the free bytes where there was no room."""
    what = error.strerror or str(error)
    if error.errno not in FULL:
        return f"{directory}: {what}; make it writable, then run again to resume"
    try:
        free = os.statvfs(directory)
        room = f", {free.f_bavail * free.f_frsize / 1e6:.0f} MB free"
    except (OSError, AttributeError):
        room = ""
    return f"{directory}: {what}{room}; make room (or raise the file-size limit), then run again to resume"
