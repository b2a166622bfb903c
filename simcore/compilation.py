"""Compile settings, in one place: flags and the cache of compiled code.

``jit`` is the only decorator that simcore compiles host code with. Its flags: no fast maths (NaN must stay NaN, and
sums keep their order), NumPy's error model (no exception on division by zero inside a kernel), the GIL released.

Numba's own cache looks at the decorated function's file alone, so a kernel would go on using a formula that has
changed in another file. Here the stamp of every cached function covers all formula and kernel sources, Numba's version
is part of the path, and the path does not depend on where the package is installed: a reinstall of the same version
finds its code again, and an edit anywhere in the kernels recompiles them. Every file is checked by a digest before it
is used (``simcore.checked_cache``), and a cache that can only be read is read.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, NullCache, _CacheLocator
from numba.core.registry import CPUDispatcher

from simcore.checked_cache import CheckedCache, warn_once

FLAGS = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
"""Numba's options for every compiled function."""
INNER_FLAGS = {**FLAGS, "no_cpython_wrapper": True}
"""Those of functions that compiled code alone calls: without the glue for calls from Python they compile faster."""

_PACKAGE = Path(__file__).parent
_ROOMS = ("arcs", "proof")
"""Rooms with kernels of their own: their code is stamped with all their files, and an edit there leaves the rest
alone."""
_KERNEL_SOURCES = (
    "compilation.py",
    "checked_cache.py",
    "domains.py",
    "formulas/*.py",
    "backends/problems.py",
    "backends/cpu/*.py",
)


@functools.cache
def source_digest() -> str:
    """Return a digest of all sources that compiled code depends on."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for pattern in _KERNEL_SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def cache_directory() -> Path | None:
    """Return where compiled code is kept: under NUMBA_CACHE_DIR when set, else in the user's cache directory.

    A directory that is there and can only be read is good enough: what it lacks is compiled and kept in memory. None,
    with a warning, where there is none and none can be made; code is then compiled anew in every process.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        base = Path(chosen)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home())))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
    directory = base / "simcore" / source_digest()[:16]
    reason = "it can't be read"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
    if os.access(directory, os.R_OK | os.X_OK):
        return directory
    warn_once(
        "unwritable",
        f"compiled code can't be kept in {directory} ({reason}): every process compiles it again; set NUMBA_CACHE_DIR "
        "to a directory that can be written",
    )
    return None


@functools.cache
def own_digest(path: Path) -> str:
    """Return a digest of a source file, together with the other files of its room where that has kernels of its own."""
    room = path.parent.name in _ROOMS and path.parent.parent == _PACKAGE
    digest = hashlib.sha256()
    for source in sorted(path.parent.glob("*.py")) if room else [path]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


class _Locator(_CacheLocator):
    """Puts a function's code under ``cache_directory`` and stamps it with all kernel sources and its own file, or
    room."""

    def __init__(self, py_file: str, line: int) -> None:
        self._file = Path(py_file)
        self._line = line

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def ensure_cache_path(self) -> None:
        os.makedirs(self.get_cache_path(), exist_ok=True)  # whether it can be written shows when it is

    def get_source_stamp(self) -> str:
        return source_digest() + own_digest(self._file)

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator | None:
        if cache_directory() is None or not os.path.exists(py_file):
            return None
        return cls(py_file, py_func.__code__.co_firstlineno)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 (Numba's name and type)


class _Cache(CheckedCache):
    _impl_class = _Implementation


class _Inner(CPUDispatcher):
    """A function without the glue that calls from Python need: they are refused, since they would crash."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.__name__} is called from compiled code alone; see simcore.compilation.jit")


@functools.cache
def stamped(dispatcher: Any, sources: tuple[str, ...]) -> Any:
    """Return a compiled function anew for a family from outside, its cached code stamped with that family's sources.

    The family's operations are compiled into the function, whose own stamp does not know their files.
    """
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()

    class Locator(_Locator):
        def get_source_stamp(self) -> str:
            return super().get_source_stamp() + digest

        def get_disambiguator(self) -> str:
            return f"{super().get_disambiguator()}.{digest[:12]}"

    implementation = type("_Stamped", (_Implementation,), {"_locator_classes": [Locator]})
    plain = getattr(dispatcher, "py_func", dispatcher)
    again = numba.njit(**FLAGS)(plain)
    if isinstance(again, CPUDispatcher):
        cache = type("_StampedCache", (_Cache,), {"_impl_class": implementation})
        again._cache = cache(plain) if cache_directory() is not None else NullCache()
    return again


def jit(
    function: Callable[..., Any] | None = None, *, inline: bool = False, cache: bool = True, inner: bool | None = None
) -> Any:
    """Compile a function with simcore's flags.

    ``inline`` is for short formulas (LLVM, not Numba, does the inlining, so that compilation stays fast).
    ``cache=False`` is for functions that close over a user's own function. ``inner`` functions are called by compiled
    code alone; unless it is given, those are the ones of the cpu kernels whose names begin with an underscore.
    """

    def decorate(f: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"forceinline": True} if inline else {}
        kernel = f.__module__.startswith("simcore.backends.cpu.") and f.__name__.startswith("_")
        bare = kernel if inner is None else inner
        dispatcher = numba.njit(**(INNER_FLAGS if bare else FLAGS), **options)(f)
        if bare and isinstance(dispatcher, CPUDispatcher):  # a plain function where NUMBA_DISABLE_JIT is set
            dispatcher.__class__ = _Inner
        if cache and hasattr(dispatcher, "_cache"):
            dispatcher._cache = _Cache(f) if cache_directory() is not None else NullCache()
        return dispatcher

    return decorate if function is None else decorate(function)
