"""Runs of the first edition, with Morse indices in a column ``index``, are refused by name; no new file has it."""

import pandas as pd
import pytest

import simcore
from simcore.errors import SimcoreError
from simcore.sweep import run_sweep, verify_run
from simcore.sweep.files import read_document, write_document

CONFIG = """
seed = 3
[[landscape]]
name = "torus_field"
n = 2
[search]
method = "{method}"
draws = 2
starts = 64
"""


@pytest.fixture(scope="module", params=["enumerate", "newton"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(method=request.param), encoding="utf-8")
    assert int(run_sweep(config, folder / "run", workers=0)) == 0
    return config, folder / "run"


def test_the_column_is_morse_index_everywhere(run):
    rows = simcore.load(run[1])
    assert "morse_index" in rows and "index" not in rows
    assert (rows.morse_index == 0).sum() == (rows["morse_index"] == 0).sum() > 0
    law = simcore.expected_counts(simcore.TorusField(2))
    assert "morse_index" in law and "index" not in law
    for path in run[1].rglob("*.parquet"):
        assert "index" not in pd.read_parquet(path).columns


def test_an_old_run_is_refused_with_the_version_that_wrote_it(run):
    config, folder = run
    path = folder / "run.json"
    before = path.read_text(encoding="utf-8")
    try:
        write_document(path, read_document(path) | {"schema": 1})
        said = [verify_run(folder).text()]
        for use in (
            lambda: simcore.load(folder),
            lambda: list(simcore.iter_shards(folder)),
            lambda: run_sweep(config, folder, workers=0),
        ):
            with pytest.raises(SimcoreError) as caught:
                use()
            assert "\n" not in str(caught.value)
            said.append(str(caught.value))
        assert not verify_run(folder).ok
        wrote = f"written by simcore {simcore.__version__}"
        for text in said:
            assert [w for w in (wrote, "schema version 1", "morse_index", "reads version 2") if w not in text] == []
    finally:
        path.write_text(before, encoding="utf-8")
