"""The recipes of docs/own_functions.md: each is run as it stands, verified and tabulated, and is short."""

import importlib.util
import itertools
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from places import ROOT

from simcore import cli

PAGE = (ROOT / "docs" / "own_functions.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, flags=re.S))
NEEDS = {"features": "jax", "student": "torch"}


def test_there_are_four_recipes_of_less_than_forty_lines():
    assert list(RECIPES) == ["rotators", "features", "retrieval", "student"]
    assert max(len(text.strip().splitlines()) for text in RECIPES.values()) + 1 < 40


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_ends_in_a_verified_table(name, tmp_path, monkeypatch, capsys):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    (tmp_path / f"{name}.py").write_text(RECIPES[name])
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, f"{name}.py"], cwd=tmp_path, capture_output=True, text=True, timeout=500,
        env={**os.environ, "PYTHONPATH": paths, "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify", name]) == 0, capsys.readouterr().out
    capsys.readouterr()
    assert cli.main(["table", name]) == 0
    table = capsys.readouterr().out
    family = re.search(r'register\("(\w+)"', RECIPES[name])[1]
    assert family in table and re.search(r"saddle|minim", table), table


def test_the_batch_of_the_page_is_the_form_of_the_three_spin():
    names = {"np": np, "numba": SimpleNamespace(njit=lambda function: function)}
    exec(re.search(r"```python\n(@numba.njit\ndef batch.*?)```", PAGE, flags=re.S)[1], names)
    random = np.random.default_rng(3)
    t, x = random.normal(size=(4, 4, 4)), random.normal(size=(24, 4))
    t = sum(t.transpose(order) for order in itertools.permutations(range(3)))
    v, g, h = names["batch"](x, t)
    np.testing.assert_allclose(v, np.einsum("ijk,si,sj,sk->s", t, x, x, x), rtol=1e-12)
    np.testing.assert_allclose(g, 3 * np.einsum("ijk,si,sj->sk", t, x, x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(h, 6 * np.einsum("ijk,si->sjk", t, x), rtol=1e-12, atol=1e-12)
