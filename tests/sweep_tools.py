"""What the tests of sweeps share: small configurations, runs in child processes, checksums."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import ROOT

from simcore.errors import RunError
from simcore.sweep.store import RunDirectory

FAKES = Path(__file__).with_name("sweep_fakes")

# With the fixed cost model both give one draw a shard.
FAKE_ENUMERATE = """
seed = 5
[[landscape]]
name = "torus_field"
n = 8
[search]
method = "enumerate"
draws = {draws}
"""
FAKE_NEWTON = """
seed = 5
[[landscape]]
name = "gaussian_field"
n = 20
features = 100000
[search]
method = "newton"
draws = {draws}
starts = 50
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def environment(fake: dict | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a child; with ``fake`` its searches are fakes with those faults."""
    variables = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", **more}
    paths = [str(ROOT)]
    if fake is not None:
        paths.insert(0, str(FAKES))
        variables["SWEEP_FAKE"] = json.dumps(fake)
    variables["PYTHONPATH"] = os.pathsep.join(paths)
    return variables


def command(config: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "simcore.cli", "run", str(config), "--out", str(out), *options]


def simcore_run(config: Path, out: Path, *options: str, fake: dict | None = None, timeout: float = 240, **popen):
    """Run ``simcore run`` to its end in a child process; return the completed process with text streams."""
    return subprocess.run(
        command(config, out, *options), env=environment(fake), capture_output=True, text=True, timeout=timeout, **popen
    )


@contextmanager
def fake_search() -> Iterator[None]:
    """Put the fake, without faults, in the place of this process's searches."""
    import simcore.search.shards

    spec = importlib.util.spec_from_file_location("fake_shards", FAKES / "fake_shards.py")
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simcore.search, "shards", fake)
        yield


def fake_run(config: Path, out: Path, **options) -> int:
    """Run or resume a faked run in this process: what surrounds a fault, without the start of two processes."""
    from simcore.sweep import run_sweep

    with fake_search():
        return int(run_sweep(config, out, workers=0, **options))


def refused_run(config: Path, out: Path, **options) -> str:
    """Return the one line that a faked run in this process is refused with."""
    with pytest.raises(RunError) as caught:
        fake_run(config, out, **options)
    return one_line(str(caught.value))


def start(config: Path, out: Path, *options: str, fake: dict | None = None) -> subprocess.Popen:
    """Start ``simcore run`` in a child process, in a session of its own so that no signal of ours goes elsewhere."""
    return subprocess.Popen(
        command(config, out, *options),
        env=environment(fake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_shards(out: Path, count: int, child: subprocess.Popen | None = None, timeout: float = 120) -> None:
    """Wait until a run holds at least ``count`` shards."""
    deadline = time.monotonic() + timeout
    while len(list((out / "manifest").glob("*.json"))) < count:
        assert time.monotonic() < deadline, "the run makes no progress"
        assert child is None or child.poll() is None, child.communicate()[1]
        time.sleep(0.01)


def kill(child: subprocess.Popen) -> None:
    """Kill -9 a child and read what it left in its pipes."""
    child.send_signal(signal.SIGKILL)
    child.communicate()


def row_sums(out: Path) -> dict[str, str]:
    """Return the checksum of all rows of a run, by kind."""
    from simcore.sweep import checksum

    sums: dict[str, list[str]] = {}
    for _, record in RunDirectory(out).records():
        for kind, facts in record["files"].items():
            sums.setdefault(kind, []).append(facts["row_sum"])
    return {kind: checksum.combine(found) for kind, found in sums.items()}


def names(out: Path) -> list[str]:
    """Return the names of a run's shards."""
    return [shard.name for shard in RunDirectory(out).shards()]


def one_line(text: str) -> str:
    """Return the only line of a message that is not progress, and insist that there is no traceback."""
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines, "nothing was said"
    return lines[-1]
