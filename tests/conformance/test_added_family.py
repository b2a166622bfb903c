"""A family from outside (``tests/cosine_pairs``, the example of docs/adding.md) goes everywhere a built-in one goes."""

import json
import warnings

import cosine_pairs
import numpy as np
import pytest
from cosine_pairs.family import PAIRS, as_waves
from instances import SIMULATED
from places import TESTS

import simcore
from simcore import backends, cli
from simcore.backends import reference
from simcore.backends.families import Family, Without
from simcore.landscapes import registry

LAW = registry.from_dict({"name": "cosine_pairs", "n": 3})


def test_it_takes_few_files_and_lines():
    files = sorted((TESTS / "cosine_pairs").glob("*.py"))
    lines = sum(1 for path in files for line in path.read_text().splitlines() if line.strip())
    assert len(files) <= 6 and lines <= 250, (len(files), lines)


def test_every_backend_searches_it_like_the_twin(backend):
    draw = LAW.draw(seed=4)
    x = LAW.starts(seed=4, draw=0, first=0, count=9)
    twin = reference.evaluate(draw.problem, x)
    for ours, theirs in zip(reference.evaluate(as_waves(draw.problem), x), twin, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for ours, theirs in zip(backends.get(backend).evaluate(draw.problem, x), twin, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    short = simcore.Newton(step_cap=0.3)  # long steps would amplify last digits
    settings = {"starts": 24, "solver": short, "positions": True, "threads": 1}
    found = simcore.find_critical_points(draw, backend=backend, **settings)
    plain = simcore.find_critical_points(draw, backend="reference", **settings)
    both = (found["status"] == "critical") & (plain["status"] == "critical")
    assert both.sum() >= 12 and found.loc[both, "certified"].all()
    near = LAW.domain.distance(np.stack(found["x"][both]), np.stack(plain["x"][both])) < 1e-6
    assert near.mean() > 0.9
    np.testing.assert_array_equal(found["morse_index"][both][near], plain["morse_index"][both][near])


def test_it_goes_from_run_to_table_and_figure(tmp_path, capsys):
    configuration = tmp_path / "pairs.toml"
    configuration.write_text(
        'seed = 1\n[[landscape]]\nname = "cosine_pairs"\nn = [1, 2]\n[search]\nmethod = "enumerate"\ndraws = 12\n'
        "starts = 96\n"
    )
    run = str(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cli.main(["run", str(configuration), "--out", run, "--workers", "1", "--plugin", "cosine_pairs"]) == 0
        assert cli.main(["verify", run, "--plugin", "cosine_pairs"]) == 0
        assert cli.main(["table", run]) == 0
        assert "cosine_pairs" in capsys.readouterr().out
        assert cli.main(["figure", run, "--out", str(tmp_path / "figure.pdf")]) == 0
    assert '"plugin cosine_pairs"' in (tmp_path / "run" / "run.json").read_text()
    points = simcore.load(run)
    assert (points.groupby(["n", "draw"])["morse_index"].apply(lambda k: ((-1) ** k).sum()) == 0).all()


@pytest.mark.long
@pytest.mark.skipif(SIMULATED, reason="times of a simulated device say nothing")
def test_bench_times_it(tmp_path, capsys):
    asked = ["bench", "newton", "--landscape", "cosine_pairs", "--n", "4", "--repeats", "1", "--json"]
    assert cli.main([*asked, "--plugin", "cosine_pairs"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["landscape"] == "cosine_pairs" and result["useful_gflops"] > 0


def test_forgetting_a_part_is_an_error_at_once():
    whole = vars(PAIRS).copy()
    for name in whole:
        part = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(TypeError, match=name):
            Family(**part)
    with pytest.raises(simcore.InputError, match="Without"):
        Family(**{**whole, "cpu": None})
    with pytest.raises(simcore.InputError, match="domain"):
        Family(**{**whole, "problem": tuple})
    assert isinstance(Family(**{**whole, "cuda": Without("no device here")}).cuda, Without)
    with pytest.raises(simcore.InputError, match="no problem that simcore knows"):
        backends.families.of((1, 2))
    assert cosine_pairs.family.PAIRS in backends.families.known()
