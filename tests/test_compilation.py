"""The cache of compiled code: found again after a reinstall, never stale; and what only compiled code may call."""

import errno
import hashlib
import importlib.util
import os
import pickle
import random
import shutil
import subprocess
import sys

import pytest

from simcore import checked_cache, compilation

MODULE = """
import sys
from simcore.compilation import jit

@jit
def double(x):
    return {factor} * x

result = double(3.0)
print(result, sum(double.stats.cache_hits.values()))
"""


def run(directory, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    code = f"import sys; sys.path.insert(0, {str(directory)!r}); import kernel"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_code_is_found_again_elsewhere_and_never_after_an_edit(tmp_path):
    first, second, cache = tmp_path / "first", tmp_path / "second", tmp_path / "cache"
    for directory in (first, second):
        directory.mkdir()
    (first / "kernel.py").write_text(MODULE.format(factor=2))
    assert run(first, cache) == (6.0, 0)
    shutil.copyfile(first / "kernel.py", second / "kernel.py")  # a reinstall: another place, other times
    assert run(second, cache) == (6.0, 1)
    stamp = os.stat(second / "kernel.py")
    (second / "kernel.py").write_text(MODULE.format(factor=5))  # same length, same time
    os.utime(second / "kernel.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert run(second, cache) == (15.0, 0)


def test_the_digest_sees_every_kernel_source(tmp_path, monkeypatch):
    package = compilation._PACKAGE
    copy = tmp_path / "simcore"
    for pattern in compilation._KERNEL_SOURCES:
        for source in package.glob(pattern):
            target = copy / source.relative_to(package)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    here = compilation.source_digest.__wrapped__()
    monkeypatch.setattr(compilation, "_PACKAGE", copy)
    assert compilation.source_digest.__wrapped__() == here  # the place does not matter
    for name in ("formulas/step_cap.py", "backends/cpu/products.py", "backends/problems.py", "compilation.py"):
        text = (copy / name).read_text()
        (copy / name).write_text(text + "\n")
        assert compilation.source_digest.__wrapped__() != here
        (copy / name).write_text(text)
    assert compilation.source_digest.__wrapped__() == here


def test_every_kernel_lies_where_the_digest_looks():
    """A compiled function of the kernels' rooms in a file of another pattern could go on using an old formula."""
    watched = {path for pattern in compilation._KERNEL_SOURCES for path in compilation._PACKAGE.glob(pattern)}
    for room in ("formulas", "backends/cpu"):
        for path in (compilation._PACKAGE / room).rglob("*.py"):
            assert path in watched, f"{path} is not covered by simcore.compilation._KERNEL_SOURCES"


def test_a_room_of_its_own_is_stamped_as_a_whole(tmp_path, monkeypatch):
    """A proof's kernel must not go on using an old formula of its room, and the other kernels do not look there."""
    package = tmp_path / "simcore"
    (package / "proof").mkdir(parents=True)
    for name in ("one.py", "two.py"):
        (package / "proof" / name).write_text(name)
        (package / name).write_text(name)
    monkeypatch.setattr(compilation, "_PACKAGE", package)
    stamp = compilation.own_digest.__wrapped__
    inside, outside = stamp(package / "proof" / "one.py"), stamp(package / "one.py")
    for folder in (package / "proof", package):
        (folder / "two.py").write_text("edited")
    assert stamp(package / "proof" / "one.py") != inside
    assert stamp(package / "one.py") == outside


def test_what_only_compiled_code_may_call_says_so():
    @compilation.jit(cache=False, inner=True)
    def inner(x):
        return x + 1.0

    @compilation.jit(cache=False)
    def outer(x):
        return inner(x)

    assert outer(1.0) == 2.0
    with pytest.raises(TypeError, match="inner is called from compiled code alone"):
        inner(1.0)


# ---- damaged, read-only and full caches ----------------------------------------------------------------------------
ROWS = """
import hashlib
import simcore
rows = simcore.find_critical_points(simcore.TorusField(2), draws=1, starts=16, seed=1, positions=True)
print(hashlib.sha256(rows.to_json(double_precision=15).encode()).hexdigest())
"""


def fresh(cache, monkeypatch, directory, name):
    """Import the module of a compiled function anew, on a cache; return what it gave and how often it was found."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    compilation.cache_directory.cache_clear()
    checked_cache._said.clear()
    spec = importlib.util.spec_from_file_location(name, directory / "kernel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.result, sum(module.double.stats.cache_hits.values())


@pytest.fixture
def one_function(tmp_path, monkeypatch):
    (tmp_path / "kernel.py").write_text(MODULE.format(factor=2).replace("print(", "# "))
    cache = tmp_path / "cache"
    yield lambda: fresh(cache, monkeypatch, tmp_path, "kernel_of_the_test"), cache
    monkeypatch.undo()
    compilation.cache_directory.cache_clear()
    checked_cache._said.clear()


def damage(source, files):
    """Flip a bit of a file, truncate it, empty it or fill it with other bytes."""
    path = source.choice([one for one in files if one.stat().st_size])  # one that an earlier damage left something of
    data = bytearray(path.read_bytes())
    kind = source.randrange(4)
    if kind == 0:
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    elif kind == 1:
        data = data[: source.randrange(len(data))]
    elif kind == 2:
        data = bytearray()
    else:
        data = bytearray(source.randbytes(len(data)))
    path.write_bytes(data)


@pytest.mark.parametrize("count", [24, pytest.param(970, marks=pytest.mark.long)])
def test_damaged_files_are_compiled_again_with_one_warning(one_function, count):
    load, cache = one_function
    assert load() == (6.0, 0) and load() == (6.0, 1)
    source = random.Random(count)
    for _ in range(count):
        damage(source, sorted(cache.rglob("*.nb?")))
        with pytest.warns(checked_cache.CacheWarning, match="is damaged: its function is compiled again") as said:
            assert load() == (6.0, 0)
        assert len(said) == 1
        assert load() == (6.0, 1), "it was not written anew"


def test_a_cache_that_can_only_be_read_is_used(one_function, monkeypatch):
    load, _ = one_function
    assert load() == (6.0, 0)
    monkeypatch.setattr(checked_cache.CheckedFile, "_write", lambda *_: pytest.fail("it was written"))
    monkeypatch.setattr(compilation.Path, "mkdir", refuse)
    assert load() == (6.0, 1)


def refuse(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_full_cache_disk_costs_a_warning(one_function, monkeypatch):
    load, cache = one_function
    monkeypatch.setattr(checked_cache.CheckedFile, "_write", full)
    for _ in range(2):
        with pytest.warns(checked_cache.CacheWarning, match="No space left on device.*make room there") as said:
            assert load() == (6.0, 0)
        assert len(said) == 1
    assert list(cache.rglob("*.nb?")) == []


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_place_for_a_cache_costs_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("not a directory")
    checked_cache._said.clear()
    with pytest.warns(checked_cache.CacheWarning, match="set NUMBA_CACHE_DIR"):
        assert compilation.cache_directory.__wrapped__() is None
    checked_cache._said.clear()


def test_one_file_with_another_functions_code_is_not_used(one_function):
    """Two processes that fill one cache may give one data file to two signatures; the key inside tells."""
    load, cache = one_function
    load()
    (path,) = cache.rglob("*.nbc")
    key, data = pickle.loads(path.read_bytes()[checked_cache.DIGEST :])
    body = pickle.dumps((("another", *key[1:]), data))
    path.write_bytes(hashlib.sha256(body).digest() + body)
    assert load() == (6.0, 0) and load() == (6.0, 1)


@pytest.mark.long
def test_whole_processes_on_damaged_caches_give_the_same_rows(tmp_path):
    """30 processes, each on a cache with one to five damaged files: no crash, no other row."""
    cache = tmp_path / "cache"

    def rows():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        done = subprocess.run(
            [sys.executable, "-c", ROWS], env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    wanted = rows()
    source = random.Random(9)
    for _ in range(30):
        files = sorted(cache.rglob("*.nb?"))
        for _ in range(source.randint(1, 5)):
            damage(source, files)
        assert rows() == wanted
