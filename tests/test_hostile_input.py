"""One line and the right exit code where a traceback could be: strange numbers, places, streams, files and moments."""

from __future__ import annotations

import gzip
import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from places import ROOT
from sweep_tools import environment

import simcore
from simcore.cli import main
from simcore.errors import InputError
from simcore.networks import data_files
from simcore.networks.data import source
from simcore.sweep import run_sweep

CONFIG = '[[landscape]]\nname = "torus_field"\nn = 1\n[search]\nmethod = "newton"\ndraws = {draws}\nstarts = 4\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(CONFIG.format(draws=1))
    return str(path)


def refused(capsys, *arguments):
    """Run a command that must be refused with 2; return its one line."""
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


# ---- numbers -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("m", ["1e308", "1e-320", "1e5", "1e99"])
def test_confinements_beyond_all_measure(capsys, m):
    assert " m" in refused(capsys, "theory", "confined_field", "--n", "3", "--m", m)


def test_orders_and_threads_of_many_digits(capsys):
    assert "2^31" in refused(capsys, "theory", "spherical_spin", "--n", "3", "--p", "9" * 400)
    assert "4096 threads" in refused(capsys, "bench", "sincos", "--threads", "9" * 30)


def test_threads_and_iterations_of_the_api():
    for bad in (2**64, 4097, 0):
        with pytest.raises(InputError, match="threads is"):
            simcore.find_critical_points(simcore.TorusField(1), draws=1, starts=2, seed=1, threads=bad)
    with pytest.raises(InputError, match="max_iterations is"):
        simcore.Newton(max_iterations=2**40)


def test_more_shards_than_a_directory_holds(capsys, tmp_path, config):
    (tmp_path / "c.toml").write_text(
        CONFIG.format(draws=4_000_000_000).replace("n = 1", f"n = {list(range(1, 13))}").replace("= 4\n", "= 99999\n")
    )
    for options in ((), ("--dry-run",)):
        assert "than the 1000000 that one" in refused(capsys, "run", config, "--out", str(tmp_path / "run"), *options)


# ---- places and streams --------------------------------------------------------------------------------------------
def test_a_loop_of_links_is_a_bad_place(capsys, tmp_path, config):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert "can't be made" in refused(capsys, "run", config, "--out", str(tmp_path / "a"))


def test_a_name_that_is_not_utf8_is_a_bad_place(capsys, tmp_path, config):
    place = os.fsdecode(os.fsencode(tmp_path) + b"/x\xff")
    for command in (("run", config, "--out", place), ("verify", place)):
        assert "not UTF-8" in refused(capsys, *command)


def test_a_closed_standard_output_is_one_line():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m simcore landscapes >&-"],
        env=environment(), stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr == (
        "simcore: standard output is closed; let it go to a file, or to /dev/null\n"
    )


# ---- data files ----------------------------------------------------------------------------------------------------
def archive(path, **changes):
    rng = np.random.default_rng(1)
    np.savez(path, **{"inputs": rng.normal(size=(6, 2)), "targets": rng.normal(size=6), **changes})
    return {"kind": "npz", "path": str(path)}


def test_every_truncation_of_an_archive_is_refused(tmp_path):
    table = archive(tmp_path / "d.npz")
    whole = (tmp_path / "d.npz").read_bytes()
    assert source(table).load()[0].shape == (6, 2)
    for length in range(0, len(whole), 7):
        (tmp_path / "d.npz").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"is not an \.npz"):
            source(table).load()


def test_devices_pipes_and_directories_are_no_data_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/zero", str(tmp_path / "pipe"), str(tmp_path)):
        with pytest.raises(InputError, match="not a file but a device, pipe or directory"):
            source({"kind": "idx", "images": place, "labels": place})
        with pytest.raises(InputError, match="not a file but a device, pipe or directory"):
            source({"kind": "npz", "path": place})


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    """A gzip file that promises little and holds much, one that promises too much, and the same of an archive."""
    head = bytes([0, 0, 8, 1]) + (9).to_bytes(4, "big")
    (tmp_path / "more").write_bytes(gzip.compress(head + bytes(60_000_000)))
    (tmp_path / "huge").write_bytes(gzip.compress(bytes([0, 0, 14, 2]) + (2**31).to_bytes(4, "big") * 2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, words in (("more", "cut short or too long"), ("huge", "give a file of at most")):
        path = str(tmp_path / name)
        with pytest.raises(InputError, match=words):
            data_files.read_idx(path)
    monkeypatch.setattr(data_files, "MOST_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "z.npz", "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("inputs.npy", "targets.npy"):
            with made.open(name, "w") as stream:
                np.lib.format.write_array(stream, np.zeros((2_000_000, 2)))
    before_zip = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="has 32000000 bytes"):
        data_files.read_npz({"path": str(tmp_path / "z.npz"), "inputs": "inputs", "targets": "targets"})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - min(before_zip, before) < 400_000  # kB, the test's own


# ---- moments -------------------------------------------------------------------------------------------------------
VERBS = (
    ["landscapes"], ["info"], ["theory", "torus_field", "--n", "1:12"], ["run"], ["bench", "sincos"],
    ["theory", "confined_field", "--n", "5", "--m", "1"],
)  # fmt: skip
READY = (  # the handler is our first statement; a busy machine may stop a process for long just before it
    "import sys, simcore.__main__ as command; command.stop_at_once(); "
    "sys.stderr.write('ready\\n'); sys.stderr.flush(); command.command()"
)


def interrupted(arguments, delay):
    """Start a command, strike it after a delay with SIGINT; return its code and its lines on standard error."""
    child = subprocess.Popen(
        [sys.executable, "-c", READY, *arguments], env=environment({}), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with child:
        assert child.stderr is not None and child.stderr.readline() == "ready\n"
        time.sleep(0.002 + delay)
        child.send_signal(signal.SIGINT)
        text = child.stderr.read()
    return child.returncode, text.splitlines()


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.long)])
def test_ctrl_c_at_any_moment_is_130_and_one_line(config, tmp_path, count):
    """From the first statement of ours on; what comes before is the interpreter's own start."""
    source = random.Random(count)
    struck = 0
    for number in range(count):
        verb = VERBS[number % len(VERBS)]
        extra = [config, "--out", str(tmp_path / f"run{number}"), "--workers", "1"] if verb == ["run"] else []
        code, lines = interrupted([*verb, *extra], source.random() * 1.5)
        said = [line for line in lines if "simcore: stopped; everything finished is kept" in line]
        assert code in (0, 130) and not any("Traceback" in line or "Exception" in line for line in lines), lines
        assert len(said) == (code == 130)
        struck += code == 130
    assert struck > count / 3


# ---- memory --------------------------------------------------------------------------------------------------------
HUGE = {
    "features": '[[landscape]]\nname = "gaussian_field"\nn = 4\nfeatures = 1000000000\n',
    "variables": '[[landscape]]\nname = "gaussian_field"\nn = 60000\nfeatures = 64\n',
    "samples": (
        '[[landscape]]\nname = "mlp"\nwidths = [2, 2, 1]\nactivation = "tanh"\nloss = "mse"\n'
        'data = { kind = "gaussian", spectrum = [1.0, 1.0], samples = 1000000000, targets = "normal", outputs = 1 }\n'
    ),
    "widths": (
        '[[landscape]]\nname = "mlp"\nwidths = [4, 100000, 1]\nactivation = "tanh"\nloss = "mse"\n'
        'data = { kind = "gaussian", spectrum = [1.0, 1.0, 1.0, 1.0], samples = 10, targets = "normal", outputs = 1 }\n'
    ),
}


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("kind", HUGE)
def test_what_does_not_fit_the_memory_is_refused_before_it_is_allocated(tmp_path, capsys, kind, options):
    config = tmp_path / "c.toml"
    config.write_text(HUGE[kind] + '[search]\nmethod = "newton"\ndraws = 1\nstarts = 4\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    code = main(["run", str(config), "--out", str(tmp_path / "run"), "--workers", "1", *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert code in (1, 2) and "of memory" in line and "are free" in line
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert time.perf_counter() - began < 30  # wall clock, on a busy machine


def test_a_search_that_does_not_fit_is_bad_input_with_both_sizes():
    for landscape in (simcore.GaussianField(60_000, features=64), simcore.GaussianField(4, features=10**9)):
        with pytest.raises(InputError, match=r"needs about .* of memory for coefficients and Hessians, .* are free"):
            simcore.find_critical_points(landscape, draws=1, starts=2, seed=1)


@pytest.mark.parametrize("order", ["value", "gradient", "hessian"])
def test_an_evaluation_that_does_not_fit_is_bad_input_with_both_sizes(order):
    data = {"kind": "gaussian", "spectrum": [1.0, 1.0], "samples": 10**9, "targets": "normal", "outputs": 1}
    for landscape in (
        simcore.GaussianField(60_000, features=64),
        simcore.GaussianField(4, features=10**10),
        simcore.MLP([2, 200_000, 1], activation="tanh", loss="mse", data={**data, "samples": 10}),
        simcore.MLP([2, 2, 1], activation="tanh", loss="mse", data={**data, "samples": 10**10}),
    ):
        f = landscape.draw(seed=1)
        with pytest.raises(InputError, match=r"needs about .* of memory for coefficients.*, .* are free"):
            getattr(f, order)(np.zeros(landscape.n))
    small = simcore.GaussianField(40, features=50).draw(seed=1)
    with pytest.raises(InputError, match=r"Hessians at 40000000 points, .* are free"):
        getattr(small, order)(np.broadcast_to(0.0, (40_000_000, 40)))


def test_what_a_process_is_limited_to_counts_as_free_memory():
    """A limit of 4 GB on the address space, as ulimit -v sets: less is free, and a larger search is refused."""
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 4000000; {sys.executable} -c 'import simcore.info as i; print(i.free_memory())'"],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert 0 < float(done.stdout) < 4.1e9


# ---- all of it -----------------------------------------------------------------------------------------------------
def test_hostile_input_of_every_kind(tmp_path, monkeypatch):
    """A hundred cases of ``benchmarks/hostile_input.py``, which makes ten thousand: most are refused, none fails."""
    spec = importlib.util.spec_from_file_location("hostile_input", ROOT / "benchmarks" / "hostile_input.py")
    assert spec is not None and spec.loader is not None
    hostile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hostile)
    refused, failures, _ = hostile.cases(100, seed=5)
    assert not failures
    assert set(refused) == set(hostile.KINDS) and min(refused.values()) > 12


CALLS = {
    "a torus field of many variables": (lambda: simcore.TorusField(2**31).draw(seed=1), r"has about 10\^\d+ waves"),
    "a run that is no path": (lambda: simcore.load(3.5), "the directory of a run is 3.5; give a path"),
    "a configuration that is no path": (lambda: run_sweep(3, "run"), "the configuration is 3; give the path"),
    "a backend that is no name": (lambda: search(backend=np.zeros(2)), "unknown backend"),
    "a law that is no name": (lambda: search(start_law=np.zeros(2)), "unknown start law"),
    "rows that are no table": (lambda: simcore.positions(3), "these rows have no positions"),
    "starts beyond the memory": (
        lambda: search(starts=2**32 - 1),
        r"table of 4294967295 starts needs about .* are free",
    ),
    "an array for a number": (lambda: simcore.TorusField(np.zeros((2, 2))), "give a whole number of at least 1"),
}


def search(**given):
    return simcore.find_critical_points(simcore.TorusField(2), **{"draws": 1, "starts": 2, "seed": 1, **given})


def test_a_law_that_takes_minutes_is_not_asked_for_the_size_of_a_sweep(capsys, tmp_path):
    config = tmp_path / "c.toml"
    law = 'name = "confined_field"\nn = 4096\nm = 1.0\nfeatures = 64\nfrequencies = "random"\n'
    config.write_text(f'[[landscape]]\n{law}[search]\nmethod = "enumerate"\ndraws = 1000\n')
    began = time.thread_time()
    assert main(["run", str(config), "--out", str(tmp_path / "run"), "--dry-run"]) == 1
    assert "the sweep would write about" in capsys.readouterr().err and time.thread_time() - began < 5


@pytest.mark.parametrize("case", CALLS)
def test_calls_that_fuzzing_found(case):
    call, words = CALLS[case]
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_compression_that_python_does_not_know(tmp_path):
    table = archive(tmp_path / "d.npz")
    data = bytearray((tmp_path / "d.npz").read_bytes())
    place = data.index(b"PK\x01\x02")  # the central directory's first entry, its method 10 bytes on
    data[place + 10] = 97
    (tmp_path / "d.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"is not an \.npz"):
        source(table).load()
