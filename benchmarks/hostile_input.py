"""Hostile input by the thousand: configurations, data files, command lines and calls that no program should fall over.

    python benchmarks/hostile_input.py [--cases 10000] [--processes 300] [--seed 18] [--out results/sweeps]

Each case is made from a random number generator: junk among good values. The cases run in this process under a limit of
4 GB on its address space, and as whole processes under the same limit. A case fails

- by any exception but simcore's own (a traceback for the user), or an exit code that is none of 0, 1, 2;
- by a message of more than one line;
- by a silent cast: numbers that are complex, text, dates or masked must be refused wherever they come in;
- by a refusal that takes more than 2 s of processor time, or during which the process grows by more than 300 MB.

Writes ``hostile_input.md``; failures are printed, and the exit code is 1 if there are any.
"""

from __future__ import annotations

# ruff: noqa: E501
import argparse
import contextlib
import gzip
import io
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 4 << 30
SECONDS, BYTES = 2.0, 300e6
ENDLESS = 60.0  # seconds of processor time after which a case is given up, and fails

JUNK: list[Any] = [
    0, -1, 1, 2, 3, 1.5, -2.5, 1e308, -1e308, 1e-320, 5e-324, float("nan"), float("inf"), -float("inf"), True, False, None,
    2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, "", "x", "1", "nan", "auto", "newton", "ü" * 40,
    "\x00", "../../etc", "a\nb", b"1", [], [[]], [1, "2"], [[1, 2], [3]], {}, {"kind": "npz"}, {"a": {"b": 1}}, 1j, 1 + 0j,
    (1, 2), range(3), object(), int, len, np.float64("nan"), np.int8(-3), np.zeros((2, 2)), np.array([1j]),
    np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.ma.array([1.0, 2.0], mask=[0, 1]), np.zeros((0, 3)),
]  # fmt: skip
CASTS = {
    "complex": lambda n: np.full(n, 0.3 + 0j),
    "imaginary": lambda n: np.full(n, 0.3 + 0.1j),
    "text": lambda n: np.full(n, "0.3"),
    "bytes": lambda n: np.full(n, b"1"),
    "dates": lambda n: np.full(n, "2020-01-01", "M8[D]"),
    "durations": lambda n: np.full(n, 3, "m8[s]"),
    "masked": lambda n: np.ma.array(np.full(n, 0.3), mask=np.arange(n) == 0),
    "None": lambda n: [None, *[0.3] * (n - 1)],
}


class Silent(Exception):
    """Something that is no real number was taken for one."""


# ---- the four kinds of cases: each returns True where it was refused -----------------------------------------------
def configuration(source: random.Random, scratch: Path) -> bool:
    """Junk in a configuration file: in its values, its keys, or its bytes."""
    from simcore.landscapes import registry
    from simcore.sweep.config import configuration_of
    from simcore.sweep.dry_run import refuse_what_does_not_fit
    from simcore.sweep.store import RunDirectory

    text = registry.example_configuration(source.choice(registry.names()))
    path = scratch / "c.toml"
    path.write_bytes(_junk_text(source, text))
    made, _ = configuration_of(path)
    refuse_what_does_not_fit(RunDirectory(scratch / "run"), made, workers=1, part=None)
    return False


def _junk_text(source: random.Random, text: str) -> bytes:
    kind = source.randrange(5)
    lines = text.splitlines()
    if kind == 0:  # other values
        for _ in range(source.randint(1, 3)):
            k = source.randrange(len(lines))
            if " = " in lines[k]:
                lines[k] = f"{lines[k].split(' = ')[0]} = {_toml(source)}"
    elif kind == 1:  # lines doubled, left out, exchanged, keys misspelt
        for _ in range(source.randint(1, 4)):
            k, j = (source.randrange(len(lines)) for _ in range(2))
            lines[k] = source.choice(
                [lines[j], "", lines[k][::-1], lines[k].replace("a", "e"), f"{lines[k]}{lines[j]}"]
            )
    data = bytearray("\n".join(lines).encode())
    if kind == 2 and data:  # other bytes
        for _ in range(source.randint(1, 6)):
            data[source.randrange(len(data))] = source.randrange(256)
    elif kind == 3:
        data = data[: source.randrange(len(data) + 1)]
    elif kind == 4:
        data = bytearray(source.randbytes(source.randrange(300)))
    return bytes(data)


def _toml(source: random.Random) -> str:
    return source.choice([
        "0", "-1", "1e308", "nan", "inf", "1_000_000_000", "9" * 400, "0x7fffffffffffffff", "true", '"x"', "[]", "[[]]",
        "[1, 2, 3]", "[1, [2]]", "{}", "{ kind = 'npz', path = '/dev/zero' }", "{ kind = 'idx', images = '/dev/zero' }",
        "1979-05-27", "07:32:00", "''", "[" * 200, "1e-320", str(list(range(3000))), "4096", "100000", '"../.."',
        "{ kind = 'gaussian', spectrum = [1.0], samples = 1000000000, targets = 'normal', outputs = 1 }",
    ])  # fmt: skip


def data_file(source: random.Random, scratch: Path) -> bool:
    """An archive or IDX file that is damaged, lies about itself, or holds what is no number."""
    from simcore.networks.data import source as described

    cast = source.choice([None, None, *CASTS])
    rows = source.randint(1, 6)
    path = scratch / "data"
    if source.random() < 0.6:
        inputs: Any = np.zeros((rows, 2)) if cast is None else np.reshape(np.asarray(CASTS[cast](2 * rows)), (rows, 2))
        if cast == "masked":
            cast, inputs = None, np.zeros((rows, 2))  # an archive knows no masks
        buffer = io.BytesIO()
        np.savez(buffer, inputs=inputs, targets=np.zeros(rows), allow_pickle=True)
        table: dict[str, Any] = {"kind": "npz", "path": str(path)}
        data = bytearray(buffer.getvalue())
    else:
        cast = None
        head = struct.pack(
            ">HBBI",
            0,
            source.choice([8, 8, 9, 13, 14, 7, 255]),
            source.randint(0, 4),
            source.choice([rows, 0, 2**31, 2**32 - 1]),
        )
        data = bytearray(head + source.randbytes(source.randrange(400)))
        if source.random() < 0.5:
            data = bytearray(gzip.compress(bytes(data)))
        table = {"kind": "idx", "images": str(path), "labels": str(path)}
    harm = source.randrange(4)
    if harm == 1:
        data = data[: source.randrange(len(data) + 1)]
    elif harm == 2:
        for _ in range(source.randint(1, 5)):
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    path.write_bytes(bytes(data))
    values = described(table).load()
    if cast is not None and harm in (0, 3):
        raise Silent(f"{cast} in an archive")
    if not all(np.asarray(value).dtype == np.float64 for value in values[:2]):
        raise Silent("data that are not float64")
    return False


VERBS = (
    "landscapes",
    "theory",
    "run",
    "verify",
    "table",
    "figure",
    "report",
    "info",
    "bench",
    "reproduce",
    "completion",
    "x",
)
OPTIONS = ("--n", "--p", "--m", "--features", "--out", "--workers", "--shard", "--kind", "--columns", "--format", "--backend",
           "--threads", "--json", "--dry-run", "--toml", "--repair", "--dask", "--plugin", "--finite", "--seed", "-x", "--")  # fmt: skip
WORDS = ("torus_field", "spherical_spin", "confined_field", "gaussian_field", "3", "1:4", "0", "-1", "1e308", "1e-320", "nan",
         "9" * 400, "9" * 30, "1:99999999", "3,4,", "a,b", "/dev/null", "/dev/full", "/proc/self/mem", "", " ", "é", "x.pdf",
         "1/2", "0/0", "tcp://127.0.0.1:1", "local:999999", "\udcff", "{}", "missing.toml", "ratio", "csv")  # fmt: skip


def arguments(source: random.Random, scratch: Path) -> list[str]:
    """Return a command line of real verbs and options and mostly nonsensical words, in an empty directory."""
    verb = source.choice(VERBS)
    config = scratch / "c.toml"
    config.write_bytes(b"seed = 1\n" + source.randbytes(40))
    words = [str(scratch), str(config), *WORDS]
    line = [verb]
    for _ in range(source.randint(0, 5)):
        line += [source.choice(OPTIONS)] if source.random() < 0.5 else [source.choice(words)]
    if verb in ("bench", "reproduce", "report", "info"):  # where all is well they work for long
        line += ["--no-such-option"]
    if verb == "run" and "--out" not in line:
        line += ["--out", str(scratch / "run")]
    return [word for word in line if word != "local:999999" or verb != "run"]


def command_line(source: random.Random, scratch: Path) -> bool:
    """A command line of nonsense, called in this process."""
    from simcore.cli import main

    line = arguments(source, scratch)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(line)
        except SystemExit as stop:  # --help and --version
            code = 0 if stop.code is None else stop.code
    _judge(code, err.getvalue(), line)
    return code != 0


def _judge(code: Any, said: str, line: list[str]) -> None:
    lines = [one for one in said.splitlines() if one.startswith("simcore: ") and " warning: " not in one]
    if code not in (0, 1, 2) or "Traceback" in said or (code == 2 and len(lines) != 1):
        raise AssertionError(f"{line}: exit code {code}, {said[-300:]!r}")


def call(source: random.Random, scratch: Path) -> bool:
    """A call of the API with junk for one or two of its arguments, or with numbers that are none."""
    import simcore
    from simcore.sweep import run_sweep, verify_run

    field = simcore.TorusField(2)
    f = field.draw(seed=1)
    if source.random() < 0.3:
        name = source.choice(list(CASTS))
        door = source.choice([
            lambda x: f.value(x), lambda x: f.gradient(x), lambda x: f.hessian(x),
            lambda x: simcore.SphericalSpin.from_couplings([x, x]),
            lambda x: simcore.LinearNetwork((2, 2), x), lambda x: simcore.Box([0, 0], x),
            lambda x: simcore.MLP((2, 2, 1), "tanh", "mse", ([x, x], [[0.0], [1.0]])),
            lambda x: simcore.SigmoidUnit([x, x], [0.0, 1.0]),
            lambda x: simcore.trajectory(field, method="newton", steps=1, start=x, seed=1),
        ])  # fmt: skip
        door(CASTS[name](2))
        raise Silent(f"{name} passed a door of the API")
    junk = source.choice(JUNK)
    calls: list[Callable[[], Any]] = [
        lambda: simcore.TorusField(junk),
        lambda: simcore.SphericalSpin(junk, p=source.choice([3, junk])),
        lambda: simcore.GaussianField(3, features=junk),
        lambda: simcore.GaussianField(junk, features=16),
        lambda: simcore.ConfinedField(source.choice([2, junk]), m=junk),
        lambda: simcore.MLP(junk, "tanh", "mse", "digits"),
        lambda: simcore.MLP([2, 2, 1], junk, "mse", ([[0.0, 1.0]], [[1.0]])),
        lambda: simcore.MLP([2, 2, 1], "tanh", "mse", junk),
        lambda: simcore.LinearNetwork(junk, [1.0, 2.0]),
        lambda: simcore.LinearNetwork((2, 2), junk),
        lambda: simcore.SigmoidUnit(junk, junk),
        lambda: simcore.Newton(tolerance=junk),
        lambda: simcore.Newton(max_iterations=junk),
        lambda: simcore.Newton(step_cap=junk),
        lambda: field.draw(seed=junk),
        lambda: field.draw(seed=1, draw=junk),
        lambda: f.value(junk),
        lambda: f.hessian(junk),
        lambda: simcore.find_critical_points(junk, draws=1, starts=2, seed=1, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=junk, starts=2, seed=1, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=1, starts=junk, seed=1, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=1, starts=2, seed=junk, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=1, starts=2, seed=1, solver=junk, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=1, starts=2, seed=1, backend=junk),
        lambda: simcore.find_critical_points(field, draws=1, starts=2, seed=1, threads=junk, backend="reference"),
        lambda: simcore.find_critical_points(field, draws=1, starts=2, seed=1, start_law=junk, backend="reference"),
        lambda: simcore.load(junk),
        lambda: simcore.load(scratch, columns=junk),
        lambda: verify_run(junk),
        lambda: run_sweep(junk, scratch / "run"),
        lambda: run_sweep({"landscape": junk, "search": junk}, scratch / "run"),
        lambda: run_sweep({"seed": junk, "landscape": [{"name": "torus_field", "n": junk}], "search": {"method": "newton", "draws": junk}}, scratch / "run", dry_run=True, backend="reference"),
        lambda: simcore.audit_counts(junk, junk),
        lambda: simcore.positions(junk),
    ]  # fmt: skip
    source.choice(calls)()
    return False


KINDS = {"configurations": configuration, "data files": data_file, "command lines": command_line, "API calls": call}


# ---- running them ----------------------------------------------------------------------------------------------------
def cases(count: int, seed: int) -> tuple[Counter, list[str], dict[str, float]]:
    """Run cases in this process; return how many of each kind were refused, the failures, and the worst refusal."""
    from simcore.errors import SimcoreError

    refused: Counter = Counter()
    failures: list[str] = []
    worst = {"seconds": 0.0, "bytes": 0.0}
    names = list(KINDS)
    with tempfile.TemporaryDirectory() as base, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        home = os.getcwd()
        signal.signal(signal.SIGPROF, _give_up)
        scratch = Path(base)
        os.chdir(scratch)
        try:
            for number in range(count):
                name = names[number % len(names)]
                source = random.Random(f"{seed}:{number}")
                began, before = time.process_time(), _peak()
                signal.setitimer(signal.ITIMER_PROF, ENDLESS)
                try:
                    gone = KINDS[name](source, scratch)
                except SimcoreError as error:
                    gone = True
                    if "\n" in str(error):
                        failures.append(f"{name} {number}: a message of several lines: {str(error)[:200]!r}")
                except BaseException as error:
                    gone = False
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    place = f"{Path(where.filename).name}:{where.lineno}"
                    failures.append(f"{name} {number}: {type(error).__name__} at {place}: {str(error)[:300]}")
                    print(failures[-1], flush=True)
                signal.setitimer(signal.ITIMER_PROF, 0)
                spent, grown = time.process_time() - began, _peak() - before
                if gone:
                    refused[name] += 1
                    if number >= 4 * len(names):  # the first of each import and compile
                        worst = {"seconds": max(worst["seconds"], spent), "bytes": max(worst["bytes"], grown)}
                        if spent > SECONDS or grown > BYTES:
                            failures.append(f"{name} {number}: refused after {spent:.1f} s and {grown / 1e6:.0f} MB")
        finally:
            os.chdir(home)
    return refused, failures, worst


def _give_up(*_: object) -> None:
    raise TimeoutError(f"no answer after {ENDLESS:.0f} s of processor time")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def processes(count: int, seed: int) -> list[str]:
    """Run command lines as processes of their own; return the failures."""
    failures = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for number in range(count):
        with tempfile.TemporaryDirectory() as scratch:
            line = arguments(random.Random(f"{seed}:process:{number}"), Path(scratch))
            line = [word for word in line if "\x00" not in word]
            done = subprocess.run(
                [sys.executable, "-m", "simcore.cli", *line],
                cwd=scratch, env=environment, capture_output=True, timeout=300, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
            )  # fmt: skip
            try:
                _judge(done.returncode, done.stderr.decode(errors="replace"), line)
            except AssertionError as error:
                failures.append(f"process {number}: {error}")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "sweeps")
    given = parser.parse_args()
    began = time.process_time()
    failures = processes(given.processes, given.seed)
    print("\n".join([*failures, f"{given.processes} processes: {len(failures)} failures"]), flush=True)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, hard))
    refused, more, worst = cases(given.cases, given.seed)
    failures += more
    report = [
        "# Hostile input",
        "",
        f"`python benchmarks/hostile_input.py --cases {given.cases} --processes {given.processes} --seed {given.seed}`: "
        f"limit of 4 GB on the address space; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
        f"{time.process_time() - began:.0f} s of processor time.",
        "",
        f"- {given.cases} cases in one process, "
        + ", ".join(
            f"{refused[name]} of {len(range(k, given.cases, len(KINDS)))} {name} refused"
            for k, name in enumerate(KINDS)
        )
        + f"; slowest refusal {worst['seconds']:.2f} s of processor time, largest growth {worst['bytes'] / 1e6:.0f} MB;",
        f"- {given.processes} command lines as whole processes;",
        f"- {len(failures)} failures (tracebacks, silent casts, messages of several lines, refusals beyond 2 s or 300 MB).",
    ]
    print("\n".join([*more, *report]))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "hostile_input.md").write_text("\n".join(report) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
