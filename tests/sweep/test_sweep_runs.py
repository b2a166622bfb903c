"""Runs with the real search: the same rows for every way to compute them, resumes, extensions, reading back."""

import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from sweep_tools import names, row_sums, simcore_run, write

import simcore
from simcore.errors import InputError, RunError
from simcore.sweep import plan, read, run_sweep, verify_run
from simcore.sweep.config import Configuration
from simcore.sweep.read import iter_shards, load

NEWTON = {
    "seed": 11,
    "landscape": [{"name": "torus_field", "n": [1, 2]}, {"name": "spherical_spin", "n": 4, "p": 3}],
    "search": {"method": "newton", "draws": 6, "starts": 200, "positions": True, "spectrum": True},
}
ENUMERATE = {
    "seed": 12,
    "landscape": [{"name": "torus_field", "n": 2}],
    "search": {"method": "enumerate", "draws": 6, "starts": 64, "positions": True},
}


def with_draws(tables, draws):
    return {**tables, "search": {**tables["search"], "draws": draws}}


@pytest.fixture
def small_shards(monkeypatch):
    """Cut sweeps much finer than the plan would: draws one by one, starts in blocks of 64."""
    monkeypatch.setattr(plan, "SHARD_SECONDS", 1e-9)
    monkeypatch.setattr(plan, "SPLIT_SECONDS", 1e-9)
    plan.layout.cache_clear()
    yield
    plan.layout.cache_clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Undisturbed runs, computed in this process."""
    base = tmp_path_factory.mktemp("whole")
    for name, tables in (("newton", NEWTON), ("enumerate", ENUMERATE)):
        assert int(run_sweep(tables, base / name, workers=0)) == 0
    return base


# ---- rows --------------------------------------------------------------------------------------------------------
def test_rows_are_those_of_find_critical_points(whole):
    rows = load(whole / "newton")
    assert list(rows.columns[:3]) == ["landscape", "n", "p"]
    for name, n, landscape in (
        ("torus_field", 2, simcore.TorusField(2)),
        ("spherical_spin", 4, simcore.SphericalSpin(4, p=3)),
    ):
        direct = simcore.find_critical_points(
            landscape, draws=6, starts=200, seed=11, positions=True, spectrum=True, threads=1
        )
        mine = rows[(rows["landscape"] == name) & (rows["n"] == n)].reset_index(drop=True)
        assert len(mine) == 1200
        for column in direct.columns:
            if column in ("x", "eigenvalues"):
                assert all(
                    np.array_equal(a, b, equal_nan=True) for a, b in zip(mine[column], direct[column], strict=True)
                )
            else:
                same = mine[column].astype(str) == direct[column].astype(str)
                assert same.all(), column


def test_points_are_those_of_enumerate_critical_points(whole):
    found = simcore.enumerate_critical_points(simcore.TorusField(2), draw=3, seed=12, starts=64)
    points = load(whole / "enumerate")
    mine = points[points["draw"] == 3].reset_index(drop=True)
    assert len(mine) == found.audit["distinct"]
    assert np.array_equal(mine["cost"], found.points["cost"]) and np.array_equal(mine["hits"], found.points["hits"])
    audits = load(whole / "enumerate", kind="audits")
    assert list(audits["draw"]) == list(range(6)) and audits["complete"].all()


def test_the_size_of_shards_changes_no_bit(whole, small_shards, tmp_path):
    """One draw a shard; newton draws even split over their starts and merged."""
    for name, tables in (("newton", NEWTON), ("enumerate", ENUMERATE)):
        run_sweep(tables, tmp_path / name, workers=0)
        assert len(names(tmp_path / name)) > 2 * len(names(whole / name))
        assert row_sums(tmp_path / name) == row_sums(whole / name)
        assert verify_run(tmp_path / name).ok
    assert not list((tmp_path / "newton" / "parts").iterdir())
    pd.testing.assert_frame_equal(load(tmp_path / "newton"), load(whole / "newton"))


def test_worker_processes_and_their_number_change_no_bit(whole, tmp_path):
    config = write(tmp_path / "config.toml", TOML)
    done = simcore_run(config, tmp_path / "run", "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["complete"] and summary["rows"] == {"starts": 3600} and summary["engine"] == "local processes"
    assert row_sums(tmp_path / "run") == row_sums(whole / "newton")
    record = json.loads(next((tmp_path / "run" / "manifest").glob("*.json")).read_text())
    assert record["threads"] == max(1, (__import__("os").cpu_count() or 1) // 2) or record["threads"] >= 1


TOML = """
seed = 11
[[landscape]]
name = "torus_field"
n = [1, 2]
[[landscape]]
name = "spherical_spin"
n = 4
p = 3
[search]
method = "newton"
draws = 6
starts = 200
positions = true
spectrum = true
"""


def test_the_number_of_threads_changes_no_bit(whole, tmp_path, monkeypatch):
    from simcore.sweep import execute

    monkeypatch.setattr(execute, "usable_processors", lambda: 3)
    run_sweep(ENUMERATE, tmp_path / "run", workers=0)
    assert row_sums(tmp_path / "run") == row_sums(whole / "enumerate")


# ---- growing -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tables, kind", [(NEWTON, "newton"), (ENUMERATE, "enumerate")])
def test_more_draws_extend_a_run_to_the_undisturbed_one(whole, tmp_path, tables, kind):
    for draws in (1, 4, 4, 6):
        run_sweep(with_draws(tables, draws), tmp_path / "run", workers=0)
    assert len(names(tmp_path / "run")) == 3 * len(names(whole / kind))
    assert row_sums(tmp_path / "run") == row_sums(whole / kind)
    pd.testing.assert_frame_equal(load(tmp_path / "run"), load(whole / kind))
    assert verify_run(tmp_path / "run").ok
    information = read.run_information(tmp_path / "run")
    assert len(information["sessions"]) == 4 and information["configuration"]["draws"] == 6


def test_a_resume_computes_exactly_what_is_missing(whole, small_shards, tmp_path):
    run = tmp_path / "run"
    run_sweep(ENUMERATE, run, workers=0)
    kept = {path.name: path.stat().st_mtime_ns for path in (run / "points").iterdir()}
    gone = sorted(kept)[1::2]
    for name in gone:
        (run / "points" / name).unlink()
    summary = run_sweep(ENUMERATE, run, workers=0)
    assert summary.computed == len(gone) and summary.held == len(kept) - len(gone)
    assert row_sums(run) == row_sums(whole / "enumerate")
    for name in set(kept) - set(gone):
        assert (run / "points" / name).stat().st_mtime_ns == kept[name]


def test_target_error_stops_at_a_look(tmp_path):
    tables = {**ENUMERATE, "search": {"method": "enumerate", "starts": 64, "target_error": 0.12, "max_draws": 512}}
    run_sweep(tables, tmp_path / "run", workers=0)
    rows = load(tmp_path / "run")
    draws = rows.attrs["run"]["draws"][0]
    assert draws in (64, 128, 256)
    counts = (
        rows.groupby("draw")["morse_index"]
        .agg(s=lambda i: (i == 1).sum(), m=lambda i: (i == 0).sum())
        .reindex(range(draws), fill_value=0)
    )

    def error(first):
        part = counts.iloc[:first]
        return np.std(part.s / part.s.mean() - part.m / part.m.mean(), ddof=1) / np.sqrt(first)

    assert error(draws) <= 0.12
    assert all(error(look) > 0.12 for look in (64, 128) if look < draws)
    assert rows.attrs["run"]["complete"] and verify_run(tmp_path / "run").ok
    again = run_sweep(tables, tmp_path / "run", workers=0)
    assert again.computed == 0
    # Its draws are those of a plain run.
    run_sweep(
        with_draws(ENUMERATE, draws) | {"search": {"method": "enumerate", "starts": 64, "draws": draws}},
        tmp_path / "plain",
        workers=0,
    )
    assert row_sums(tmp_path / "plain") == row_sums(tmp_path / "run")


def test_without_saddles_one_look_is_enough(tmp_path):
    tables = {
        "landscape": [{"name": "torus_field", "n": 1}],
        "search": {"method": "newton", "starts": 8, "target_error": 0.01, "max_draws": 4096},
    }
    run_sweep({"seed": 1, **tables}, tmp_path / "run", workers=0)
    assert load(tmp_path / "run").attrs["run"]["draws"] == [64]


def test_parts_of_a_run_make_the_whole(whole, small_shards, tmp_path):
    run = tmp_path / "run"
    for i in (2, 3, 1):
        assert int(run_sweep(NEWTON, run, workers=0, shard=f"{i}/3")) == 0
        assert load(run).attrs["run"]["complete"] == (i == 1)
    assert row_sums(run) == row_sums(whole / "newton")
    assert verify_run(run).ok


def test_parts_wait_for_each_other_at_a_look(tmp_path, small_shards):
    tables = {**ENUMERATE, "search": {"method": "enumerate", "starts": 64, "target_error": 0.15, "max_draws": 128}}
    first = run_sweep(tables, tmp_path / "run", workers=0, shard=(1, 2))
    assert first.computed == 32 and "waits for other jobs" in first.waits[0] and int(first) == 1
    second = run_sweep(tables, tmp_path / "run", workers=0, shard=(2, 2))
    third = run_sweep(tables, tmp_path / "run", workers=0, shard=(1, 2))
    run_sweep(tables, tmp_path / "one", workers=0)
    assert second.computed >= 32 and third.computed in (0, 32)
    assert row_sums(tmp_path / "run") == row_sums(tmp_path / "one")


# ---- reading -----------------------------------------------------------------------------------------------------
def test_columns_kinds_and_pieces(whole):
    run = whole / "newton"
    some = load(run, columns=["morse_index", "landscape", "p"])
    assert list(some.columns) == ["morse_index", "landscape", "p"] and str(some["p"].dtype) == "Int64"
    assert some["p"].isna().sum() == 2400 and str(some["landscape"].dtype) == "category"
    pieces = list(iter_shards(run, columns=["landscape", "draw", "cost"]))
    whole_rows = load(run, columns=["landscape", "draw", "cost"])
    assert len(pieces) == 3 and sum(map(len, pieces)) == len(whole_rows)
    assert np.array_equal(pd.concat(pieces)["cost"], whole_rows["cost"], equal_nan=True)
    assert list(load(run, columns=["n"])["n"].unique()) == [1, 2, 4]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"columns": ["morse_indx"]}, "did you mean 'morse_index'"),
        ({"columns": []}, "columns is empty"),
        ({"kind": "points"}, "choose from starts"),
    ],
)
def test_what_a_run_does_not_have(whole, arguments, words):
    with pytest.raises(InputError, match=words):
        load(whole / "newton", **arguments)


def test_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        for reader in (load, verify_run, lambda p: list(iter_shards(p))):
            with pytest.raises(InputError, match="simcore run"):
                reader(path)


def test_provenance(whole):
    import pyarrow.parquet as parquet

    information = read.run_information(whole / "newton")
    session = information["sessions"][0]
    assert information["schema"] == 2 and information["seed"] == "11" and session["outcome"] == "done"
    assert session["software"]["simcore"] == simcore.__version__ and session["machine"]["processor"]
    assert (
        all(shard["wall_seconds"] > 0 for shard in information["shards"].values()) and len(information["shards"]) == 3
    )
    path = next((whole / "newton" / "starts").iterdir())
    schema = parquet.read_schema(path)
    stored = json.loads(schema.metadata[b"simcore"])
    assert stored["configuration"]["seed"] == 11 and stored["software"]["numpy"] and stored["schema"] == 2
    assert schema.field("grad_norm").metadata[b"unit"]
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


# ---- refusals ----------------------------------------------------------------------------------------------------
def tree(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file() and "locks" not in p.parts}


@pytest.mark.parametrize(
    "tables, options, words",
    [
        ({**ENUMERATE, "seed": 13}, {}, "seed is 13 here and 12 there"),
        (with_draws(ENUMERATE, 5), {}, "only be raised"),
        (NEWTON, {}, "another configuration"),
        (ENUMERATE, {"backend": "reference"}, "begun with backend cpu"),
        (ENUMERATE, {"backend": "gpu"}, "choose from cpu, cuda, reference"),
        (ENUMERATE, {"workers": -1}, "workers is -1"),
        (ENUMERATE, {"workers": True}, "workers is True"),
        (ENUMERATE, {"workers": 2, "dask": "local"}, "give one"),
        (ENUMERATE, {"shard": "3/2"}, "i/k"),
    ],
)
def test_another_sweep_is_refused_and_nothing_touched(whole, tables, options, words):
    before = tree(whole / "enumerate")
    for dry in (False, True):
        with pytest.raises(InputError, match=words):
            run_sweep(tables, whole / "enumerate", **{"workers": 0, **options}, dry_run=dry)
    assert tree(whole / "enumerate") == before


def test_a_run_that_lost_its_run_json_is_refused(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole / "newton", out)
    (out / "run.json").unlink()
    before = tree(out)
    for use in (lambda: run_sweep(with_draws(NEWTON, 12), out, workers=0), lambda: load(out), lambda: verify_run(out)):
        with pytest.raises(InputError, match=r"holds shards and no run.*--repair"):
            use()
    assert tree(out) == before


@pytest.mark.parametrize("harm", ["lost", "damaged"])
@pytest.mark.parametrize("kind", ["newton", "enumerate"])
def test_a_lost_run_json_is_made_again_from_the_shards(whole, tmp_path, kind, harm):
    """The run is sound again, loads the same rows and goes on; what was damaged is kept beside."""
    out = tmp_path / "run"
    shutil.copytree(whole / kind, out)
    wanted = verify_run(out)
    if harm == "lost":
        (out / "run.json").unlink()
        (out / "config.toml").unlink()
    else:
        write(out / "run.json", (out / "run.json").read_text()[:-9])
    before = tree(out)
    report = verify_run(out, repair=True)
    assert report.ok and report.checksums == wanted.checksums and "written anew" in report.text()
    assert {path: data for path, data in tree(out).items() if path in before and path.name != "run.json"} == {
        path: data for path, data in before.items() if path.name != "run.json"
    }
    assert (out / "run.json.damaged").exists() == (harm == "damaged")
    assert load(out).equals(load(whole / kind))
    sweep = Configuration.from_dict(read.run_information(whole / kind)["configuration"])
    assert run_sweep(sweep, out, workers=0).computed == 0
    assert "written anew" not in verify_run(out, repair=True).text()


def test_what_no_run_json_can_be_made_of(whole, tmp_path):
    with pytest.raises(InputError, match="holds no shards"):
        verify_run(tmp_path, repair=True)
    shutil.copytree(whole / "newton", tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    for path in (tmp_path / "run" / "starts").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(RunError, match="no shard is sound"):
        verify_run(tmp_path / "run", repair=True)


def test_a_directory_with_other_files_is_refused(tmp_path):
    write(tmp_path / "thesis.tex", "x")
    with pytest.raises(InputError, match="holds other files"):
        run_sweep(ENUMERATE, tmp_path, workers=0)
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis.tex"]
    with pytest.raises(InputError, match="can't be made"):
        run_sweep(ENUMERATE, tmp_path / "thesis.tex" / "run", workers=0)


def test_another_version_is_refused_unless_allowed_and_then_listed(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run_sweep(with_draws(ENUMERATE, 2), run, workers=0)
    monkeypatch.setattr(simcore, "__version__", "99.0")
    with pytest.raises(InputError, match="--allow-version"):
        run_sweep(ENUMERATE, run, workers=0)
    run_sweep(ENUMERATE, run, workers=0, allow_version=True)
    monkeypatch.undo()
    report = verify_run(run)
    assert report.ok and report.versions == [simcore.__version__, "99.0"] and "more than one version" in report.text()
    # Without leave it is a fault.
    from simcore.sweep.files import read_document, write_document

    document = read_document(run / "run.json")
    write_document(run / "run.json", document | {"versions": [simcore.__version__]})
    assert "VERSION" in verify_run(run).text()


def test_a_newer_schema_is_refused_clearly(whole, tmp_path):
    import shutil

    from simcore.sweep.files import read_document, write_document

    run = tmp_path / "run"
    shutil.copytree(whole / "enumerate", run)
    write_document(run / "run.json", read_document(run / "run.json") | {"schema": 99})
    for reader in (load, lambda p: run_sweep(ENUMERATE, p, workers=0)):
        with pytest.raises(RunError, match="schema version 99"):
            reader(run)
    assert not verify_run(run).ok


# ---- estimates ---------------------------------------------------------------------------------------------------
def test_a_dry_run_computes_nothing_and_says_what_it_would_take(tmp_path, capsys, whole):
    made = run_sweep(NEWTON, tmp_path / "run", workers=2, dry_run=True)
    assert not (tmp_path / "run").exists() and int(made) == 0
    assert made.shards == 3 and made.rows == 3600 and made.wall_seconds > 0 and made.peak_bytes > 2e8
    assert "peak memory" in capsys.readouterr().out
    with_json = run_sweep(NEWTON, tmp_path / "run", workers=2, dry_run=True, json=True)
    out, err = capsys.readouterr()
    assert json.loads(out)["shards"] == with_json.shards and "peak memory" in err
    parts = [run_sweep(NEWTON, tmp_path / "run", workers=2, dry_run=True, shard=(i, 2)) for i in (1, 2)]
    assert sum(part.shards for part in parts) == made.shards and sum(part.rows for part in parts) == made.rows
    on_disk = sum(path.stat().st_size for path in (whole / "newton").glob("[sm]*/*"))
    assert 0.5 < made.bytes_on_disk / on_disk < 2
    rest = run_sweep(with_draws(NEWTON, 12), whole / "newton", workers=2, dry_run=True)
    assert rest.held == 3 and rest.rows == 3600


def test_what_would_not_fit_is_refused_with_the_numbers(tmp_path, monkeypatch):
    from simcore.sweep import dry_run

    huge = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 2}],
        "search": {"method": "newton", "draws": 4_000_000_000, "starts": 4096},
    }
    with pytest.raises(InputError, match="shards, more than"):
        run_sweep(huge, tmp_path / "run", workers=0)
    monkeypatch.setattr(dry_run, "free_memory", lambda: 2e8)
    with pytest.raises(RunError, match=r"MB of memory with 2 workers .* 200 MB are free"):
        run_sweep(NEWTON, tmp_path / "run", workers=2)
    monkeypatch.undo()
    monkeypatch.setattr(dry_run, "free_disk", lambda path: 10.0)
    with pytest.raises(RunError, match="10 bytes are free"):
        run_sweep(NEWTON, tmp_path / "run", workers=2)
    assert not (tmp_path / "run").exists()


def test_a_huge_landscape_is_refused_before_memory_is_asked_for(tmp_path):
    for entry in (
        {"name": "gaussian_field", "n": 10**6, "features": 10**9},
        {"name": "spherical_spin", "n": 10**6, "p": 9},
    ):
        tables = {"seed": 1, "landscape": [entry], "search": {"method": "newton", "draws": 1}}
        with pytest.raises((RunError, InputError), match=r"free|draw at most"):
            run_sweep(tables, tmp_path / "run", workers=0)


def test_a_configuration_object_is_taken_as_it_is(tmp_path):
    made = Configuration.from_mapping(with_draws(ENUMERATE, 1))
    assert int(run_sweep(made, tmp_path / "run", workers=0)) == 0
    assert load(tmp_path / "run").attrs["run"]["complete"]


def test_a_network_is_swept_and_read_back(tmp_path):
    """Parameters that are lists or tables are JSON text in a table; n is the number of variables."""
    entry = {"name": "sigmoid_unit", "inputs": [[2.0, 1.0], [3.0, 1.0], [0.0, 1.0]], "targets": [0.1, 0.9, 0.4]}
    tables = {
        "seed": 1,
        "landscape": [entry, {"name": "torus_field", "n": 1}],
        "search": {"method": "newton", "draws": 1, "starts": 16},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    rows = load(tmp_path / "run")
    assert list(rows.columns[:3]) == ["landscape", "n", "inputs"] and len(rows) == 32
    assert list(rows["n"].unique()) == [2, 1] and json.loads(rows["targets"].iloc[0]) == [0.1, 0.9, 0.4]
    assert rows["targets"].iloc[-1] is np.nan or pd.isna(rows["targets"].iloc[-1])
    assert verify_run(tmp_path / "run").ok


def test_proofs_without_starts_are_swept(tmp_path):
    tables = {
        "seed": 1,
        "landscape": [{"name": "spherical_spin", "n": 4, "p": 3}],
        "search": {"method": "enumerate", "draws": 3, "starts": 0, "prove": True},
    }
    assert run_sweep(tables, tmp_path / "dry", workers=1, dry_run=True).shards >= 1
    run_sweep(tables, tmp_path / "run", workers=0)
    table = load(tmp_path / "run")
    assert table["draw"].nunique() == 3 and (table["hits"] == 0).all() and verify_run(tmp_path / "run").ok


def test_a_dry_run_is_short_even_where_a_draw_is_not(tmp_path):
    """A draw of the torus field at n = 9 takes minutes: a few plain searches stand for it."""
    torus = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 9}],
        "search": {"method": "enumerate", "draws": 4},
    }
    began = time.process_time()
    made = run_sweep(torus, tmp_path / "run", workers=1, dry_run=True)
    assert made.shards == 4 and made.cpu_seconds > 60
    assert time.process_time() - began < 20  # two seconds and, at worst, a compilation
