"""The contract of the public surface, called as a user would: columns, types, keys, exit codes.

Everything here is what users script against, so that a change that breaks a script breaks a test.
"""

import csv
import json
from itertools import product

import numpy as np
import pytest
from numba import njit
from scipy import optimize

import simcore
from simcore.cli import main

START_TYPES = {
    "draw": "int64",
    "start": "int64",
    "status": "category",
    "iterations": "int32",
    "cost": "float64",
    "grad_norm": "float64",
    "morse_index": "int32",
    "nullity": "int32",
    "point": "int64",
    "certified": "bool",
    "source": "category",
}
POINT_TYPES = {
    "point": "int64",
    "cost": "float64",
    "morse_index": "int32",
    "nullity": "int32",
    "grad_norm": "float64",
    "hits": "int64",
    "certified": "bool",
}
STATUSES = {"critical", "degenerate", "gradient_flat", "max_iterations", "left_domain", "not_finite"}
AUDIT_KEYS = {
    "distinct",
    "starts",
    "singletons",
    "coverage",
    "euler_sum",
    "euler_expected",
    "complete",
    "certified_fraction",
}
LAW = ["morse_index", "mean_count", "fraction", "mean_cost", "sd_cost"]
DEMO_COLUMNS = [
    "landscape", "n", "functions", "complete", "proved", "critical_points", "minima", "ratio_distinct",
    "ratio_distinct_se", "ratio_exact", "z", "ratio_hits", "ratio_coin_flip",
]  # fmt: skip

SWEEP = """
seed = 1
[[landscape]]
name = "spherical_spin"
n = [3, 4]
p = 3
[[landscape]]
name = "torus_field"
n = [1, 2]
[search]
method = "{method}"
draws = {draws}
starts = 64
start_law = "uniform"
positions = false
spectrum = false
[solver]
method = "auto"
step_cap = "auto"
tolerance = 1e-10
max_iterations = 200
"""


def types_of(frame):
    return {name: str(kind) for name, kind in frame.dtypes.items()}


def call(capsys, *arguments):
    """Run a command in this process; return its code, standard output and standard error."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write(path, method, draws):
    path.write_text(SWEEP.format(method=method, draws=draws))
    return path


# ---- Python --------------------------------------------------------------------------------------------------------
def test_rows_of_a_search():
    landscape = simcore.SphericalSpin(n=5, p=3)
    rows = simcore.find_critical_points(landscape, draws=3, starts=20, seed=1)
    assert types_of(rows) == START_TYPES and list(rows.columns) == list(START_TYPES)
    assert set(rows.status.cat.categories) == STATUSES
    assert rows.draw.tolist() == np.repeat([0, 1, 2], 20).tolist() and rows.start.tolist() == list(range(20)) * 3
    critical = rows.status == "critical"
    assert critical.any() and (rows.point[~critical] == -1).all() and (rows.point[critical] >= 0).all()
    more = simcore.find_critical_points(landscape, draws=3, starts=40, seed=1, positions=True, spectrum=True, threads=1)
    assert list(more.columns) == [*START_TYPES, "x", "eigenvalues"]
    assert more[more.start < 20].reset_index(drop=True)[list(START_TYPES)].equals(rows)
    assert {len(x) for x in more.x} == {5} and {len(e) for e in more.eigenvalues[more.status == "critical"]} == {4}
    later = simcore.find_critical_points(landscape, draws=1, first_draw=2, first_start=15, starts=5, seed=1)
    same = [name for name in START_TYPES if name != "point"]  # points are numbered by the starts of one call
    assert later[same].equals(rows[(rows.draw == 2) & (rows.start >= 15)][same].reset_index(drop=True))
    one = simcore.find_critical_points(landscape.draw(seed=1, draw=1), starts=20)
    assert one.equals(rows[rows.draw == 1].reset_index(drop=True))


@pytest.mark.parametrize("solver", [simcore.Newton(step_cap=0.5, tolerance=1e-8), simcore.LevenbergMarquardt()])
def test_backends_and_solvers_by_keyword(solver):
    landscape = simcore.TorusField(n=2)
    rows = [
        simcore.find_critical_points(landscape, starts=12, seed=4, backend=backend, solver=solver)
        for backend in ("cpu", "reference")
    ]
    assert rows[0].point.tolist() == rows[1].point.tolist()
    with pytest.raises(TypeError):
        simcore.find_critical_points(landscape, 3)
    with pytest.raises(simcore.InputError, match="cpu, cuda, reference"):
        simcore.find_critical_points(landscape, backend="gpu")
    with pytest.raises(simcore.InputError, match="draw"):
        simcore.find_critical_points(landscape.draw(seed=1), draws=2)


def test_enumeration():
    found = simcore.enumerate_critical_points(simcore.SphericalSpin(n=4, p=3), draw=0, seed=1)
    assert list(found.points.columns) == [*POINT_TYPES, "x"]
    assert types_of(found.points.drop(columns="x")) == POINT_TYPES
    assert set(found.audit) >= AUDIT_KEYS and found.audit["complete"] is True
    assert found.audit["euler_sum"] == found.audit["euler_expected"] == 0
    assert found.audit["distinct"] == len(found.points)
    assert found.points.hits.sum() == found.audit["starts"] - sum(found.audit[s] for s in STATUSES - {"critical"})


def test_exact_law():
    law = simcore.expected_counts(simcore.SphericalSpin(n=4, p=3))
    assert list(law.columns)[:5] == LAW and law.attrs["unit"] == "per draw"
    assert law["morse_index"].tolist() == [0, 1, 2, 3] and law.fraction.sum() == pytest.approx(1)
    assert simcore.expected_counts(simcore.GaussianField(n=2)).attrs["unit"] == "per unit volume"
    finite = simcore.expected_counts(simcore.GaussianField(n=2, features=64), finite_features=True)
    assert {*LAW, "mean_count_se"} <= set(finite.columns)


@pytest.mark.parametrize(
    "landscape", [simcore.TorusField(n=3), simcore.GaussianField(n=3, features=32), simcore.SphericalSpin(n=3)]
)
def test_one_function(landscape):
    f = landscape.draw(seed=1, draw=0)
    x = landscape.starts(seed=1, draw=0, first=0, count=4)
    assert f.value(x).shape == (4,) and f.gradient(x).shape == (4, 3) and f.hessian(x).shape == (4, 3, 3)
    assert isinstance(f.value(x[0]), float) and f.gradient(x[0]).shape == (3,) and f.hessian(x[0]).shape == (3, 3)
    if not isinstance(landscape, simcore.SphericalSpin):
        result = optimize.minimize(f.value, x[0], jac=f.gradient, hess=f.hessian, method="trust-exact")
        assert result.success and np.linalg.norm(f.gradient(result.x)) < 1e-4


def test_trajectories():
    path = simcore.trajectory(
        simcore.SphericalSpin(n=4, p=3), method="gradient_descent", step_size=0.1, steps=10, draws=2, starts=3, seed=1
    )
    columns = ["draw", "start", "step", "time", "cost", "grad_norm", "curvature", "predicted_change"]
    assert list(path.columns) == columns and len(path) == 2 * 3 * 11
    landscape = simcore.TorusField(n=2)
    methods = ("momentum", "adam", "gradient_flow", "newton", "saddle_free_newton")
    for method in methods:
        own = simcore.trajectory(
            landscape, method=method, step_size=0.1, steps=6, start=np.ones((2, 2)), every=3, index=True, positions=True
        )
        assert list(own.columns) == [*columns, "morse_index", "x"] and own.step.tolist() == [0, 3, 6] * 2


# ---- a user's own functions and couplings --------------------------------------------------------------------------
def lagrange_points(tensor, starts, seed):
    """Critical points on |x|^2 = n by damped Newton on grad f = mu x, |x|^2 = n: (x, f, index) of each."""
    n, p = tensor.shape[0], tensor.ndim
    axes = range(p)
    symmetric = sum(np.transpose(tensor, np.roll(axes, k)) for k in axes) / p
    symmetric = (symmetric + np.swapaxes(symmetric, 0, 1)) / 2  # three cyclic orders and one exchange: all six of p = 3
    scale = n ** (-(p - 1) / 2) / n
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(starts):
        x = rng.normal(size=n)
        x *= np.sqrt(n) / np.linalg.norm(x)
        mu = None
        for _ in range(60):
            inner = symmetric
            for _ in range(p - 2):
                inner = inner @ x
            gradient, hessian = p * scale * inner @ x, p * (p - 1) * scale * inner
            mu = gradient @ x / n if mu is None else mu
            bordered = np.block([[hessian - mu * np.eye(n), -x[:, None]], [x[None, :], np.zeros((1, 1))]])
            step = np.linalg.solve(bordered, -np.append(gradient - mu * x, (x @ x - n) / 2))
            length = np.linalg.norm(step[:n])
            fraction = min(1.0, 1 / length) if length else 1.0
            x, mu = x + fraction * step[:n], mu + fraction * step[n]
            if length < 1e-12:
                break
        else:
            continue
        if all(np.linalg.norm(x - other) > 1e-6 for other, _, _ in found):
            tangent = np.linalg.qr(np.column_stack([x, np.eye(n)[:, 1:]]))[0][:, 1:]
            negative = np.linalg.eigvalsh(tangent.T @ (hessian - mu * np.eye(n)) @ tangent) < 0
            found.append((x, gradient @ x / p, int(negative.sum())))
    return found


def test_couplings_of_the_users_own_against_an_independent_method():
    tensor = np.random.default_rng(2).normal(size=(4, 4, 4))
    found = simcore.enumerate_critical_points(simcore.SphericalSpin.from_couplings(tensor))
    expected = lagrange_points(tensor, starts=600, seed=3)
    assert found.audit["complete"] and len(found.points) == len(expected)
    ours = np.stack(found.points.x.to_list())
    for x, cost, index in expected:
        nearest = np.linalg.norm(ours - x, axis=1).argmin()
        assert np.linalg.norm(ours[nearest] - x) < 1e-7
        assert found.points.cost[nearest] == pytest.approx(cost, abs=1e-12)
        assert found.points["morse_index"][nearest] == index


def test_quadratic_couplings_give_the_eigenvectors():
    tensor = np.array([[2, 1, 0], [3, -1, 5], [1, 1, 4]])  # whole numbers, not symmetric
    found = simcore.enumerate_critical_points(simcore.SphericalSpin.from_couplings(tensor))
    values, vectors = np.linalg.eigh((tensor + tensor.T) / 2)
    assert len(found.points) == 6 and found.audit["complete"]
    for k, (value, vector) in enumerate(zip(values, vectors.T, strict=True)):
        pair = found.points[found.points["morse_index"] == k]
        assert pair.cost.to_numpy() == pytest.approx(np.full(2, value / np.sqrt(3)), abs=1e-12)
        assert all(abs(x @ vector) == pytest.approx(np.sqrt(3), abs=1e-10) for x in pair.x)


@pytest.mark.parametrize(
    "tensor, words",
    [
        (np.full((3, 3, 3), np.nan), "finite"),
        (np.ones((2, 3, 3)), "shape"),
        (np.ones(3), "shape"),
        (np.ones((3, 3)) + 1j, "real"),
        (1e-170 * np.eye(3), "rescale"),
        (1e170 * np.ones((2, 2, 2)), "rescale"),
        (np.ones((1, 1, 1)), "n is 1"),
    ],
)
def test_bad_couplings(tensor, words):
    with pytest.raises(simcore.InputError, match=words):
        simcore.SphericalSpin.from_couplings(tensor)


def test_torus_field_against_roots_from_a_grid():
    f = simcore.TorusField(n=2).draw(seed=7, draw=3)
    found = simcore.enumerate_critical_points(f)
    roots = []
    for start in product(np.linspace(0, 2 * np.pi, 12, endpoint=False), repeat=2):
        x = optimize.root(f.gradient, start, jac=f.hessian, tol=1e-13).x
        far = all(np.linalg.norm((x - y + np.pi) % (2 * np.pi) - np.pi) > 1e-5 for y in roots)
        if np.linalg.norm(f.gradient(x)) < 1e-9 and far:
            roots.append(x)
    assert found.audit["complete"] and len(found.points) == len(roots)
    for x, index in zip(found.points.x, found.points["morse_index"], strict=True):
        assert min(np.linalg.norm((x - y + np.pi) % (2 * np.pi) - np.pi) for y in roots) < 1e-8
        assert (np.linalg.eigvalsh(f.hessian(x)) < 0).sum() == index


def quartic(x):
    return np.sum(x**4)


def quartic_gradient(x):
    return 4 * x**3


def quartic_hessian(x):
    return np.diag(12 * x**2)


@pytest.mark.parametrize("compiled", [False, True])
def test_functions_of_the_users_own(compiled):
    own = [quartic, quartic_gradient, quartic_hessian]
    own = [njit(f) for f in own] if compiled else own
    found = simcore.enumerate_critical_points(simcore.CustomLandscape(*own, simcore.Sphere(3), 3), starts=256)
    assert found.audit["complete"] and found.points["morse_index"].value_counts().to_dict() == {0: 8, 1: 12, 2: 6}


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_box_is_searched_but_never_called_complete():
    waves = (
        lambda x: np.cos(x[0]) + np.sin(x[1]),
        lambda x: np.array([-np.sin(x[0]), np.cos(x[1])]),
        lambda x: np.diag([-np.cos(x[0]), -np.sin(x[1])]),
    )
    box = simcore.CustomLandscape(*waves, simcore.Box([0.1, 0.1], [6, 6]), 2)
    found = simcore.enumerate_critical_points(box, starts=64)
    assert sorted(found.points["morse_index"]) == [0, 1] and found.audit["complete"] is False
    assert found.audit["euler_expected"] is None and found.audit["starts"] < 1000
    empty = simcore.CustomLandscape(*waves, simcore.Box([0.1, 0.1], [1, 1]), 2)
    assert simcore.enumerate_critical_points(empty, starts=64).audit["starts"] < 1000


def test_degenerate_points_of_functions_of_the_users_own():
    valley = (
        lambda x: x[0] ** 4 + x[1] ** 2,
        lambda x: np.array([4 * x[0] ** 3, 2 * x[1]]),
        lambda x: np.diag([12 * x[0] ** 2, 2.0]),
    )
    rows = simcore.find_critical_points(simcore.CustomLandscape(*valley, simcore.Space(2), 2), starts=8)
    assert set(rows.status) == {"degenerate"} and set(rows.nullity) == {1}


# ---- command line and files ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """An enumerate run of 30 draws by the command line, and a newton run."""
    folder = tmp_path_factory.mktemp("runs")
    for method, draws in (("enumerate", 30), ("newton", 4)):
        config = write(folder / f"{method}.toml", method, draws)
        if method == "enumerate":
            assert main(["run", str(config), "--out", str(folder / method), "--workers", "1"]) == 0
        else:
            assert simcore.run(config, out=folder / method, workers=0) == folder / method
    return folder


def test_loading_a_run(runs):
    parameters = {"landscape": "category", "n": "int64", "p": "Int64"}
    points = simcore.load(runs / "enumerate")
    assert types_of(points) == {**parameters, "draw": "int64", **POINT_TYPES}
    assert list(points.columns) == [*parameters, "draw", *POINT_TYPES]
    audits = simcore.load(runs / "enumerate", kind="audits")
    assert {*parameters, "draw", *AUDIT_KEYS} <= set(audits.columns) and len(audits) == 4 * 30
    assert audits.complete.dtype == bool and audits.complete.all()
    starts = simcore.load(runs / "newton")
    assert types_of(starts) == {**parameters, **START_TYPES} and len(starts) == 4 * 4 * 64
    direct = simcore.find_critical_points(simcore.SphericalSpin(n=4, p=3), draws=4, starts=64, seed=1)
    stored = starts[(starts.landscape == "spherical_spin") & (starts.n == 4)].reset_index(drop=True)
    numbers = [name for name in START_TYPES if name not in ("status", "source")]
    assert stored[numbers].equals(direct[numbers])
    assert stored.status.astype(str).tolist() == direct.status.astype(str).tolist()
    assert list(simcore.load(runs / "newton", columns=["n", "cost"]).columns) == ["n", "cost"]
    assert sum(len(rows) for rows in simcore.iter_shards(runs / "enumerate")) == len(points)


def test_parts_and_more_draws_give_the_same_run(runs, tmp_path, capsys):
    whole = call(capsys, "verify", runs / "enumerate", "--json")
    fewer, full = write(tmp_path / "fewer.toml", "enumerate", 12), runs / "enumerate.toml"
    out = tmp_path / "run"
    assert simcore.run(fewer, out=out, workers=0) == out
    assert call(capsys, "run", full, "--out", out, "--workers", "1", "--shard", "2/2")[0] == 0
    assert call(capsys, "verify", out)[0] == 1  # half of the new draws are missing
    assert call(capsys, "run", full, "--out", out, "--workers", "2", "--shard", "1/2")[0] == 0
    code, text, _ = call(capsys, "verify", out, "--json")
    assert code == 0 and json.loads(text)["checksums"] == json.loads(whole[1])["checksums"]
    code, _, complaint = call(capsys, "run", fewer, "--out", out)
    assert code == 2 and "may only be raised" in complaint


def test_verify_says_what_it_can_and_cannot_audit(runs, capsys):
    code, text, _ = call(capsys, "verify", runs / "enumerate")
    assert code == 0 and "Euler" in text and "z = " in text
    code, text, _ = call(capsys, "verify", runs / "newton")
    assert code == 0 and "hits" in text and "can't be audited" in text and "z = " not in text


def test_tables_never_show_hits_as_counts(runs, capsys):
    code, text, _ = call(capsys, "table", runs / "enumerate", "--format", "csv")
    rows = list(csv.DictReader(text.splitlines()))
    assert code == 0 and {*DEMO_COLUMNS, "p"} <= set(rows[0])
    assert [row["z"] == "" for row in rows] == [False, False, True, False]  # no saddles on a circle
    code, text, _ = call(capsys, "table", runs / "newton")
    heading = next(line for line in text.splitlines() if line.startswith("| landscape"))
    ratios = [cell for cell in heading.split("|") if "saddles" in cell or "minima" in cell]
    assert code == 0 and ratios and all("hits" in cell for cell in ratios)
    code, text, _ = call(capsys, "table", runs / "enumerate", runs / "newton", "--format", "latex")
    assert code == 0 and "\\toprule" in text


@pytest.mark.parametrize("kind", ["ratio", "index_cost", "coverage", "outcomes"])
def test_figures(runs, tmp_path, capsys, kind):
    out = tmp_path / f"{kind}.png"
    assert call(capsys, "figure", runs / "enumerate", "--kind", kind, "--out", out)[0] == 0
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_dry_run_computes_nothing(runs, tmp_path, capsys):
    code, text, progress = call(capsys, "run", runs / "newton.toml", "--out", tmp_path / "new", "--dry-run")
    assert code == 0 and not (tmp_path / "new").exists()
    assert all(word in text + progress for word in ("shards", "rows", "disk", "memory", "time"))


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("draws = 4", "drawz = 4", ["drawz", "draws"]),
        ("draws = 4", "draws = -4", ["draws", "-4"]),
        ("seed = 1", "seed = 18446744073709551616", ["seed", "18446744073709551616"]),
        ('name = "torus_field"', 'name = "torus_feild"', ["torus_feild", "torus_field"]),
        ("n = [3, 4]", "n = [3, 0]", ["n", "0"]),
        ('method = "newton"', 'method = "count"', ["method", "count", "enumerate"]),
        ("tolerance = 1e-10", "tolerance = nan", ["tolerance", "nan"]),
        ('start_law = "uniform"', 'start_law = "normal"', ["start_law", "normal", "uniform"]),
    ],
)
def test_bad_configurations(tmp_path, capsys, old, new, words):
    config = write(tmp_path / "c.toml", "newton", 4)
    config.write_text(config.read_text().replace(old, new, 1))
    code, out, complaint = call(capsys, "run", config, "--out", tmp_path / "run")
    assert code == 2 and out == "" and len(complaint.splitlines()) == 1
    assert all(word in complaint for word in words) and not (tmp_path / "run").exists()


def test_exact_laws_as_json(capsys):
    keys = {"n", "morse_index", "fraction", "mean_count", "mean_cost", "sd_cost", "log_saddles_over_minima"}
    for law, more in (
        ("spherical_spin", ["--p", "3"]),
        ("confined_field", ["--m", "0.5"]),
        ("goe", []),
        ("coin_flip", []),
    ):
        code, text, _ = call(capsys, "theory", law, "--n", "1:3", *more, "--json")
        rows = json.loads(text)
        assert code == 0 and all(set(row) == keys for row in rows)
        assert sorted({row["n"] for row in rows}) == [1, 2, 3]
    for row in rows:  # coin flips: ln(2^n - 2)
        expected = None if row["n"] == 1 else pytest.approx(np.log(2 ** row["n"] - 2))
        assert row["log_saddles_over_minima"] == expected


def test_demo_table_and_verdict_keys(tmp_path):
    from simcore_analysis.estimates import mean
    from simcore_analysis.studies.verdicts import KEYS, Claim, judge
    from simcore_analysis.tables import DEMO_COLUMNS as columns

    assert list(columns) == DEMO_COLUMNS
    draws = [0.9 + 0.02 * j for j in range(11)]
    claim = Claim("a mean", 1.0, "arithmetic", lambda level: mean(draws, level=level), 2.0, rival=9.0)
    (entry,) = judge([claim])
    keys = ["claim", "reference", "source", "measured", "low", "high", "resolution", "verdict", "expected"]
    assert list(KEYS) == keys and list(entry)[: len(keys)] == keys
    assert entry["verdict"] == "agrees"
