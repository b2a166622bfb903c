"""Reading a file of training data: what it is and how large, before a byte of it is decompressed or an array made.

A device, a pipe or a directory is no data file; an archive may promise terabytes in a few bytes. Each is one
``InputError`` with both sizes.
"""

from __future__ import annotations

import gzip
import math
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from simcore.arrays import real_array
from simcore.backends.problems import Array
from simcore.errors import InputError

MOST_BYTES = 1 << 30
"""Of one data file, and of what it holds once decompressed: networks that are searched here see far less."""

_BROKEN = (
    NotImplementedError,  # a compression that Python does not know, or a flipped bit that says so
    ValueError,
    KeyError,
    TypeError,
    OSError,
    EOFError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
    struct.error,
)
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def file_bytes(path: Any) -> bytes:
    """Return the bytes of a regular file of at most ``MOST_BYTES``; ``InputError`` for anything else."""
    try:
        about = Path(path).stat()
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"the data file {path!r} is not a file but a device, pipe or directory; give a file")
        if about.st_size > MOST_BYTES:
            raise InputError(f"the data file {path!r} has {about.st_size} bytes; give one of at most {MOST_BYTES}")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"the data file {path!r} can't be read ({reason}); give the path of an existing file"
        ) from None


def read_npz(options: Mapping[str, Any]) -> tuple[Array, Array]:
    """Return the two arrays of an archive, float64; their headers are read and compared with the sizes first."""
    path = options["path"]
    file_bytes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = [_member(archive, path, options[key]) for key in ("inputs", "targets")]
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path!r} is not an .npz with arrays {options['inputs']!r} and {options['targets']!r}: {reason}"
        ) from None
    return found[0], found[1]


def _member(archive: zipfile.ZipFile, path: str, name: str) -> Array:
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as stream:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(stream)
        promised = math.prod(shape) * kind.itemsize
        if promised > MOST_BYTES:
            raise InputError(f"array {name!r} of {path!r} has {promised} bytes; give one of at most {MOST_BYTES}")
        if kind.hasobject:
            raise ValueError(f"array {name!r} holds objects, not numbers")
        if promised != entry.file_size - stream.tell():
            raise InputError(f"array {name!r} of {path!r} does not hold the numbers that its header promises")
    with archive.open(entry) as stream:
        return real_array(f"array {name!r}", npy.read_array(stream, allow_pickle=False))


def read_idx(path: str) -> np.ndarray:
    """Return the numbers of one IDX file, which may be gzipped.

    Two zero bytes, a type code, the number of dimensions, big-endian sizes, the numbers.
    """
    raw = file_bytes(path)
    try:
        with _opened(raw) as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
                raise InputError(
                    f"{path!r} is not an IDX file; give MNIST's format: 0, 0, type, dimensions, sizes, numbers"
                )
            sizes = struct.unpack(f">{head[3]}I", stream.read(4 * head[3]))
            kind = np.dtype(_IDX_TYPES[head[2]])
            promised = math.prod(sizes) * kind.itemsize
            if promised > MOST_BYTES:
                raise InputError(f"{path!r} promises {promised} bytes; give a file of at most {MOST_BYTES}")
            body = stream.read(promised + 1)
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path!r} is not an IDX file, or cut short: {error}; give MNIST's format") from None
    if len(body) != promised:
        raise InputError(
            f"{path!r} holds other than the {math.prod(sizes)} numbers that its header promises ({sizes}); the file is "
            "cut short or too long"
        )
    array = np.frombuffer(body, dtype=kind).reshape(sizes)
    return array.astype(kind.newbyteorder("="))


def _opened(raw: bytes) -> IO[bytes]:
    import io

    plain = io.BytesIO(raw)
    return gzip.GzipFile(fileobj=plain) if raw[:2] == b"\x1f\x8b" else plain  # type: ignore[return-value]
