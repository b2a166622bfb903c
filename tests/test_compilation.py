"""The cache of compiled code: found again after a reinstall, never stale; and what only compiled code may call."""

import os
import shutil
import subprocess
import sys

import pytest

from simcore import compilation

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
    for name in ("formulas/steps.py", "backends/cpu/products.py", "backends/problems.py", "compilation.py"):
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
