"""A damaged file never gives other rows: not from ``load``, ``iter_shards``, tables or figures, nor in a resume.

One bit of one file of a run is flipped; whatever reads the run then says so in one line and names the file, or gives
the very same rows.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simcore_analysis.figures import draw
from simcore_analysis.tables import run_table

import simcore
from simcore.errors import SimcoreError
from simcore.sweep import run_sweep
from simcore.sweep.agenda import held_shards
from simcore.sweep.provenance import read_run
from simcore.sweep.store import RunDirectory

CONFIG = {
    "seed": 6,
    "landscape": [{"name": "torus_field", "n": [1, 2]}],
    "search": {"method": "enumerate", "draws": 3, "starts": 64},
}


TEXT = """seed = 6
[[landscape]]
name = "torus_field"
n = [1, 2]
[search]
method = "enumerate"
draws = 4
starts = 64
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("damage") / "run"
    run_sweep(CONFIG, run, workers=0)
    return run


def flip(path: Path, place: int) -> bytes:
    """Flip one bit of a file; return what it was."""
    before = path.read_bytes()
    data = bytearray(before)
    data[place // 8 % len(data)] ^= 1 << place % 8
    path.write_bytes(data)
    return before


def everything(run: Path):
    """Return what readers make of a run, each reader by itself."""
    return {
        "load": lambda: simcore.load(run),
        "audits": lambda: simcore.load(run, kind="audits"),
        "table": lambda: run_table(run),
        "figure": lambda: drawn(run),
    }


def drawn(run: Path) -> pd.DataFrame:
    """Return every number that the curves and bars of a figure show."""
    from matplotlib import pyplot

    figure = draw([run], "index_cost")
    found = [line.get_xydata().ravel() for axis in figure.axes for line in axis.lines]
    pyplot.close(figure)
    return pd.DataFrame({"number": np.concatenate(found)})


def check_line(error: SimcoreError, path: Path) -> None:
    assert path.name in str(error) and "\n" not in str(error)


def flips(sound: Path, run: Path, count: int, seed: int) -> int:
    """Flip ``count`` single bits, each alone; return how many were refused."""
    source = random.Random(seed)
    shutil.copytree(sound, run)
    files = sorted(p for p in run.rglob("*") if p.suffix in (".parquet", ".json") and p.parent.name != "locks")
    readers = everything(run)
    wanted = {name: read() for name, read in readers.items()}
    refused = 0
    for _ in range(count):
        path = source.choice(files)
        before = flip(path, source.randrange(8 * path.stat().st_size))
        blind = 0
        for name, read in readers.items():
            try:
                assert read().equals(wanted[name]), f"a flipped bit of {path.name} gave other rows from {name}"
                blind += 1
            except SimcoreError as error:
                check_line(error, path)
        refused += blind < len(readers)
        directory = RunDirectory(run)
        try:  # what a resume believes
            held = held_shards(directory, read_run(directory)[1])
            assert path.suffix == ".json" or path.stem not in {shard.name for shard in held}
        except SimcoreError as error:
            check_line(error, path)
        path.write_bytes(before)
    return refused


def test_single_bit_flips(sound, tmp_path):
    assert flips(sound, tmp_path / "run", 80, seed=1) == 80


@pytest.mark.long
def test_ten_thousand_single_bit_flips(sound, tmp_path):
    assert flips(sound, tmp_path / "run", 10_000, seed=2) == 10_000


def test_every_reader_and_a_resume_exit_with_1_and_name_the_shard(sound, tmp_path, capsys):
    from simcore.cli import main

    run = tmp_path / "run"
    shutil.copytree(sound, run)
    victim = sorted((run / "points").iterdir())[-1]
    flip(victim, 4 * victim.stat().st_size)
    config = tmp_path / "c.toml"
    config.write_text(TEXT)
    for command in (
        ["table", str(run)],
        ["figure", str(run), "--out", str(tmp_path / "f.png")],
        ["run", str(config), "--out", str(run), "--workers", "1"],
        ["verify", str(run)],
    ):
        capsys.readouterr()
        assert main(command) == 1, command
        out, err = capsys.readouterr()
        assert victim.name in out + err and "Traceback" not in err
