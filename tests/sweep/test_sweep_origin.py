"""Where rows come from is on record: the configuration as it was read, once, and the arithmetic that made them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tomllib

import pytest
from sweep_tools import FAKE_ENUMERATE, environment, fake_run, one_line, simcore_run, write

from simcore.errors import InputError
from simcore.sweep import provenance, read_configuration, run_sweep, verify_run
from simcore.sweep.config import Configuration, configuration_of
from simcore.sweep.provenance import arithmetic
from simcore.sweep.store import RunDirectory

TABLES = {
    "seed": 2**64 - 1,
    "landscape": [
        {"name": "torus_field", "n": [1, 2]},
        {"name": "gaussian_field", "n": 2, "features": 64},
        {"name": "linear_network", "widths": [2, 1, 2], "covariance": [3.0, 1.0]},
    ],
    "search": {"method": "newton", "draws": 1, "starts": 8, "start_law": None},
    "solver": {"step_cap": 0.25, "tolerance": 1e-11},
}


def tables():
    return {**TABLES, "search": {k: v for k, v in TABLES["search"].items() if v is not None}}


# ---- one reading of the configuration ------------------------------------------------------------------------------
def run_from(source, out, text, **popen):
    command = [sys.executable, "-m", "simcore", "run", str(source), "--out", str(out), "--workers", "1"]
    return subprocess.run(
        command, input=text, env=environment({}), capture_output=True, text=True, timeout=240, **popen
    )


def test_a_configuration_from_a_pipe_is_kept_and_the_run_verifies(tmp_path):
    text = FAKE_ENUMERATE.format(draws=2)
    done = run_from("/dev/stdin", tmp_path / "run", text)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "config.toml").read_text() == text
    assert verify_run(tmp_path / "run").ok


def test_a_fifo_is_read_once_and_one_that_nobody_writes_to_does_not_hang(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    done = run_from(path, tmp_path / "run", "")
    assert done.returncode == 2 and "a pipe that nobody writes to" in one_line(done.stderr)
    assert not (tmp_path / "run").exists()
    text = FAKE_ENUMERATE.format(draws=1)
    read, written = os.pipe()
    os.write(written, text.encode())
    os.close(written)
    done = run_from(f"/dev/fd/{read}", tmp_path / "run", "", pass_fds=(read,))
    os.close(read)
    assert done.returncode == 0 and (tmp_path / "run" / "config.toml").read_text() == text


def test_tables_are_written_as_a_file_that_means_the_same(tmp_path):
    configuration, text = configuration_of(tables())
    assert Configuration.from_mapping(tomllib.loads(text)) == configuration
    path = write(tmp_path / "c.toml", text)
    assert read_configuration(path).hash == configuration.hash


def test_a_run_of_tables_has_its_configuration_file(tmp_path):
    small = {
        "landscape": [{"name": "torus_field", "n": 1}],
        "search": {"method": "newton", "draws": 1, "starts": 8},
    }
    run_sweep(small, tmp_path / "run", workers=0)
    assert read_configuration(tmp_path / "run" / "config.toml") == Configuration.from_mapping(small)
    assert verify_run(tmp_path / "run").ok


# ---- one arithmetic ------------------------------------------------------------------------------------------------
def test_the_arithmetic_names_libraries_blas_and_its_core_type():
    words = arithmetic()
    assert all(name in words for name in ("numpy ", "scipy ", "numba ", "llvmlite "))
    assert platform.machine() in words
    assert "openblas" not in words or any(len(part.split()) == 3 for part in words.split(", ") if "openblas" in part)


@pytest.mark.skipif(platform.machine() != "x86_64" or "openblas" not in arithmetic(), reason="no other core type here")
def test_a_mixture_of_blas_kernels_is_refused_or_named(tmp_path, monkeypatch):
    """The same numpy with another OpenBLAS core type rounds otherwise: refused, or allowed and listed by verify."""
    out = tmp_path / "run"
    config = write(tmp_path / "c.toml", FAKE_ENUMERATE.format(draws=2))
    assert fake_run(config, out) == 0
    write(config, FAKE_ENUMERATE.format(draws=3))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    refused = simcore_run(config, out, "--workers", "1", fake={})
    assert refused.returncode == 2 and "Nehalem" in one_line(refused.stderr) and "--allow-version" in refused.stderr
    assert simcore_run(config, out, "--workers", "1", "--allow-version", fake={}).returncode == 0
    report = verify_run(out)
    assert report.ok, report.text()
    (note,) = [note for note in report.notes if "more than one set of libraries" in note]
    assert "Nehalem" in note and "(2 shards)" in note and "not bit for bit" in note


def test_a_mixture_that_was_not_allowed_is_a_finding(tmp_path):
    """A worker elsewhere, with another library: its record says so, and run.json did not allow it."""
    from simcore.sweep.files import read_document, write_document

    out = tmp_path / "run"
    config = write(tmp_path / "c.toml", FAKE_ENUMERATE.format(draws=2))
    assert fake_run(config, out) == 0
    path = sorted((out / "manifest").iterdir())[0]
    write_document(path, read_document(path) | {"arithmetic": "numpy 9.9"})
    report = verify_run(out)
    assert [f.kind for f in report.findings] == ["version"] and "numpy 9.9, which was not allowed" in report.text()
    assert json.loads((out / "run.json").read_text())["arithmetic"] == [arithmetic()]


def test_a_run_that_another_job_begins_meanwhile_is_no_stranger(tmp_path, monkeypatch):
    configuration = Configuration.from_mapping(
        {"seed": 1, "landscape": [{"name": "torus_field", "n": 1}], "search": {"method": "newton", "draws": 1}}
    )
    run, refuse = RunDirectory(tmp_path / "run"), provenance._refuse_strangers
    settings = {"backend": "cpu", "allow_version": False}
    run.path.mkdir()

    def meanwhile(run):
        monkeypatch.undo()
        provenance.open_run(run, configuration, source="", **settings)
        refuse(run)

    monkeypatch.setattr(provenance, "_refuse_strangers", meanwhile)
    provenance.check_run(run, configuration, **settings)
    run.information.unlink()
    (run.path / "diary.txt").touch()
    with pytest.raises(InputError, match="diary"):
        provenance.check_run(run, configuration, **settings)
