"""Sweeps of families of the user's own: same rows however they are computed, read without their module, never imported
by a configuration."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import tomllib

import pytest
from sweep_tools import environment, row_sums, simcore_run, start, wait_for_shards, write

import simcore
from simcore import plugins
from simcore.errors import InputError
from simcore.landscapes import registry
from simcore.sweep import run_sweep
from simcore.sweep.config import Configuration

PLUGIN = """
import os, time
import numba
import numpy as np
import simcore

def value(x, a): return a @ np.cos(x) + np.cos(2 * x.sum())
def gradient(x, a): return -a * np.sin(x) - 2 * np.sin(2 * x.sum())
def hessian(x, a): return np.diag(-a * np.cos(x)) - 4 * np.cos(2 * x.sum())

def coefficients(n, strength):
    def drawn(rng):
        time.sleep(float(os.environ.get("TEST_SLOW_DRAWS", 0)))
        return (strength * rng.normal(size=n),)
    return drawn

def ring_sums(n: int, strength: float = 1.0):
    '''Sums of cosines, plain functions.'''
    return simcore.CustomLandscape(value, gradient, hessian, simcore.Torus(n), n, coefficients(n, strength))

compiled = [numba.njit(f) for f in (value, gradient, hessian)]

def fast_sums(n: int):
    '''The same, compiled.'''
    return simcore.CustomLandscape(*compiled, simcore.Torus(n), n, coefficients(n, 1.0))

simcore.register("ring_sums", ring_sums)
simcore.register("fast_sums", fast_sums)
"""

CONFIG = """
seed = 3
[[landscape]]
name = "ring_sums"
n = [1, 2]
strength = 1.5
[[landscape]]
name = "fast_sums"
n = 2
[search]
method = "enumerate"
draws = 3
starts = 96
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the plugin, the configuration and a run by two threads of one process."""
    base = tmp_path_factory.mktemp("own")
    plugin = write(base / "our_sums.py", PLUGIN)
    config = write(base / "sums.toml", CONFIG)
    plugins.load([str(plugin)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_NUM_THREADS", "2")
        assert int(run_sweep(config, base / "run", workers=0)) == 0
    return base


def options(home):
    return "--plugin", str(home / "our_sums.py")


def test_two_families_stand_in_one_run(home):
    points = simcore.load(home / "run")
    assert points.groupby(["landscape", "n"], observed=True)["draw"].nunique().to_dict() == {
        ("fast_sums", 2): 3,
        ("ring_sums", 1): 3,
        ("ring_sums", 2): 3,
    }
    signs = points.assign(sign=(-1) ** points["morse_index"].astype(int))
    assert (signs.groupby(["landscape", "n", "draw"], observed=True)["sign"].sum() == 0).all()
    law = registry.from_dict({"name": "ring_sums", "n": 2, "strength": 1.5})
    alone = simcore.enumerate_critical_points(law, draw=1, seed=3, starts=96, threads=1)
    stored = points[(points["landscape"] == "ring_sums") & (points["n"] == 2) & (points["draw"] == 1)]
    assert sorted(stored["cost"]) == sorted(alone.points["cost"])
    document = json.loads((home / "run" / "run.json").read_text())
    assert [len(digest) for digest in document["plugins"]["our_sums.py"]] == [64]


def test_the_example_of_a_family_names_what_its_author_alone_knows(home):
    text = registry.example_configuration("ring_sums")
    assert "\n# n = ...  (int): required\n" in text and "strength" not in text
    tables = tomllib.loads(text.replace("# n = ...  (int): required", "n = 2"))
    assert Configuration.from_mapping(tables).landscape(0).n == 2


def test_parts_and_worker_processes_give_the_same_rows(home, tmp_path):
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_NUM_THREADS", "1")
        assert int(run_sweep(home / "sums.toml", out, workers=0, shard="1/2")) == 0
    done = simcore_run(home / "sums.toml", out, *options(home), "--workers", "1", "--shard", "2/2")
    assert done.returncode == 0, done.stderr
    assert row_sums(out) == row_sums(home / "run")


@pytest.mark.long
def test_a_run_that_was_killed_is_resumed_by_dask(home, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("TEST_SLOW_DRAWS", "0.4")
    out = tmp_path / "run"
    child = start(home / "sums.toml", out, *options(home), "--workers", "1")
    wait_for_shards(out, 1, child, timeout=200)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    monkeypatch.setenv("TEST_SLOW_DRAWS", "0")
    done = simcore_run(home / "sums.toml", out, *options(home), "--dask", "local:1")
    assert done.returncode == 0, done.stderr
    assert row_sums(out) == row_sums(home / "run")


def test_reading_needs_no_module_and_imports_none(home, tmp_path):
    """In a process that does not know the families, with the plugin's folder in its path."""
    script = """
        import sys
        from simcore import cli
        run, out = sys.argv[1:]
        import simcore
        assert len(simcore.load(run)) > 0
        figure, page = ["figure", run, "--out", out + "/f.pdf"], ["report", run, "--out", out + "/r.html"]
        for words in (["verify", run], ["table", run], figure, page):
            code = cli.main(words)
            assert code == 0, (words, code)
        assert "our_sums" not in sys.modules
        from simcore.landscapes import registry
        law = registry.from_dict({"name": "fast_sums", "n": 2})
        try:
            law.draw(seed=0)
        except simcore.InputError as error:
            assert "--plugin MODULE" in str(error), error
        else:
            raise AssertionError
    """
    variables = {**environment(), "PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(home)])}
    variables.pop(plugins.VARIABLE, None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(home / "run"), str(tmp_path)],
        env=variables, capture_output=True, text=True, cwd=home, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ring_sums" in done.stdout and "fast_sums" in done.stdout


def test_a_changed_source_is_refused_on_resume(home, tmp_path, monkeypatch):
    out = tmp_path / "run"
    shutil.copytree(home / "run", out)
    more = write(tmp_path / "more.toml", CONFIG.replace("draws = 3", "draws = 4"))
    before = dict(plugins._loaded)
    monkeypatch.setitem(plugins._loaded, str(home / "our_sums.py"), "0" * 64)
    with pytest.raises(InputError, match=r"begun with another source of our_sums.*restore it"):
        run_sweep(more, out, workers=0)
    assert row_sums(out) == row_sums(home / "run")
    monkeypatch.setattr(plugins, "_loaded", before)
    assert int(run_sweep(more, out, workers=0)) == 0
    assert simcore.load(out)["draw"].max() == 3


def test_a_worker_with_another_source_computes_nothing(home):
    from simcore.sweep.worker import prepared

    setting = {
        "configuration": json.loads((home / "run" / "run.json").read_text())["configuration"],
        "plugins": {"roots": {}, "sources": {"our_sums.py": "0" * 64}},
    }
    assert "another source in a worker" in prepared(setting)
    setting["plugins"]["sources"] = plugins.sources()
    assert not isinstance(prepared(setting), str)


HOSTILE = [
    'name = "evil_module"',
    'name = "evil_module:family"',
    'name = "./evil_module.py"',
    "name = \"__import__('evil_module')\"",
    'name = "ring_sums"\nplugin = "evil_module"',
    'name = "ring_sums"\nn = "__import__(\'evil_module\')"',
    'name = "torus_field"\nn = 2\nmodule = "evil_module"',
    'name = "ridge_sum"\nridge = "evil_module:family"',
]


@pytest.mark.parametrize("table", HOSTILE)
@pytest.mark.parametrize("above", ["", 'plugin = "evil_module"\n', "[plugins]\nmodules = ['evil_module.py']\n"])
def test_a_configuration_imports_and_runs_nothing(table, above, home, tmp_path, monkeypatch):
    write(tmp_path / "evil_module.py", f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = write(tmp_path / "c.toml", f'{above}\n[[landscape]]\n{table}\n[search]\nmethod = "enumerate"\ndraws = 1\n')
    with pytest.raises(InputError):
        run_sweep(config, tmp_path / "run", workers=0)
    assert not (tmp_path / "ran").exists() and "evil_module" not in sys.modules


def test_a_run_of_somebody_elses_runs_nothing(home, tmp_path, monkeypatch):
    """A directory whose run.json was written by hand to name modules is read, or refused, and nothing is imported."""
    write(tmp_path / "evil_module.py", f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "run"
    shutil.copytree(home / "run", out)
    document = json.loads((out / "run.json").read_text())
    document["plugins"] = {"evil_module": ["0" * 64]}
    document["families"][0]["domain"] = {"kind": "evil_module"}
    for entry in document["configuration"]["combinations"]:
        entry["name"] = "evil_module"
    (out / "run.json").write_text(json.dumps(document))
    with pytest.raises(simcore.SimcoreError):
        simcore.load(out)
    assert not (tmp_path / "ran").exists() and "evil_module" not in sys.modules


def test_installed_packages_offer_families_by_entry_points(tmp_path, monkeypatch):
    name = "sums_of_a_package"
    write(tmp_path / "packaged_sums.py", PLUGIN.split("simcore.register")[0])
    (tmp_path / "packaged_sums-1.0.dist-info").mkdir()
    write(
        tmp_path / "packaged_sums-1.0.dist-info" / "METADATA",
        "Metadata-Version: 2.1\nName: packaged-sums\nVersion: 1.0\n",
    )
    write(
        tmp_path / "packaged_sums-1.0.dist-info" / "entry_points.txt",
        f"[simcore.landscapes]\n{name} = packaged_sums:ring_sums\nNo Word = packaged_sums:ring_sums\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._find_entry_points.cache_clear()
    try:
        with pytest.warns(UserWarning, match="entry point No Word"):
            assert name in registry.names()
        assert "packaged_sums" not in sys.modules  # listing imports nothing
        tables = {"landscape": [{"name": name, "n": 1}], "search": {"method": "enumerate", "draws": 1, "starts": 48}}
        out = simcore.run(tables, out=tmp_path / "run", workers=0)
        assert set(simcore.load(out)["landscape"]) == {name}
        assert "packaged_sums" in json.loads((out / "run.json").read_text())["plugins"]
    finally:
        registry._FACTORIES.pop(name, None)


def test_a_plugin_may_not_take_the_name_of_a_module(tmp_path):
    with pytest.raises(InputError, match="has the name of another module, json; rename the file"):
        plugins.load([str(write(tmp_path / "json.py", ""))])
    with pytest.raises(InputError, match="can't be imported: ZeroDivisionError"):
        plugins.load([str(write(tmp_path / "broken_sums.py", "1 / 0"))])
    assert "broken_sums" not in sys.modules


def test_a_package_is_hashed_whole(tmp_path, monkeypatch):
    (tmp_path / "sums_package").mkdir()
    write(tmp_path / "sums_package" / "__init__.py", "")
    write(tmp_path / "sums_package" / "law.py", "x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    import sums_package

    before = plugins.digest(sums_package)
    write(tmp_path / "sums_package" / "law.py", "x = 2")
    assert plugins.digest(sums_package) != before
