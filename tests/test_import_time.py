"""What loads when: judged by the modules that are imported, not by a stopwatch."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "llvmlite", "numpy", "scipy", "pandas", "matplotlib", "pyarrow", "rich", "dask", "simcore_analysis")


def loaded_after(code: str) -> set[str]:
    probe = f"import sys\n{code}\nprint('\\n'.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import simcore; dir(simcore)").intersection(HEAVY)


@pytest.mark.parametrize(
    "verb", ["demo", "landscapes", "run", "verify", "table", "figure", "reproduce", "theory", "bench", "info"]
)
def test_help_of_a_verb_loads_nothing_heavy(verb):
    code = f"""
import contextlib, io
from simcore.cli import main
with contextlib.redirect_stdout(io.StringIO()) as page:
    try:
        main([{verb!r}, "--help"])
    except SystemExit as stop:
        assert stop.code == 0
assert "usage: simcore {verb}" in page.getvalue()
"""
    assert not loaded_after(code).intersection(HEAVY)


def test_the_probe_sees_what_is_loaded():
    assert "numpy" in loaded_after("import numpy")


def test_every_public_name_resolves():
    import simcore

    for name in simcore.__all__:
        assert getattr(simcore, name) is not None
    assert set(simcore.__all__) <= set(dir(simcore))


def test_an_unknown_name_is_answered_with_the_choices():
    import simcore

    with pytest.raises(AttributeError, match="find_critical_points"):
        _ = simcore.find_critical_point
