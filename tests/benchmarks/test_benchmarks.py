"""The benchmarks at small sizes: fields, flop formulas, peers that compute the same, saved files."""

import json
import math
import types
from pathlib import Path

import numpy as np
import pytest

from simcore import benchmarks
from simcore.backends import reference
from simcore.backends.problems import Waves
from simcore.benchmarks import enumeration, first_call, flops, formulas, laws, network_peers, newton, peers, report
from simcore.benchmarks.ceiling import Ceiling, supported_core_types
from simcore.benchmarks.settings import Settings
from simcore.cli import main
from simcore.errors import InputError
from simcore.landscapes.spin import SphericalSpin
from simcore.landscapes.waves import GaussianField, TorusField
from simcore.networks.mlp import MLP
from simcore.sweep.config import read_configuration

FIELDS = {
    "us_per_start_iteration",
    "useful_gflops",
    "dgemm_gflops",
    "dgemm_fraction",
    "points_per_second",
    "compile_seconds",
}


@pytest.fixture
def quick(monkeypatch):
    """Shorten every measured interval; compile time is faked and DGEMM small: their own tests measure them."""
    monkeypatch.setattr(newton, "Ceiling", lambda threads: Ceiling(threads, sizes=(128,)))
    monkeypatch.setattr(formulas, "Ceiling", lambda threads: Ceiling(threads, sizes=(128,)))
    monkeypatch.setattr(newton, "TARGET", 0.01)
    monkeypatch.setattr(newton, "LONGEST_SEARCH", 0.01)
    monkeypatch.setattr(newton, "compile_seconds", lambda table, backend: 1.5)
    monkeypatch.setattr(enumeration, "compile_seconds", lambda table, backend: 1.5)


# ---- flops -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n, waves", [(2, 64), (10, 1024), (50, 256)])
def test_useful_flops_of_waves_are_the_formula_of_the_contract(n, waves):
    problem = Waves(np.ones((waves, n)), np.ones(waves), np.ones(waves), 0.0, 0.0)
    assert flops.newton_iteration(problem) == pytest.approx(waves * (4 * n + n * (n + 1)) + n**3 / 3 + 2 * n**2)


def test_useful_flops_of_a_cubic_count_its_packed_hessian():
    n = 12
    problem = SphericalSpin(n=n, p=3).draw(seed=1).problem
    rest = 2 * n**2 + 2 * n + n**3 / 3 + 4 * n**2
    assert flops.newton_iteration(problem) == pytest.approx(n * n * (n + 1) + rest)


def test_a_quadratic_has_its_hessian_for_nothing_and_a_quartic_needs_one_more_contraction():
    def work(p):
        return flops.newton_iteration(SphericalSpin(n=6, p=p).draw(seed=1).problem)

    assert work(3) - work(2) == pytest.approx(2 * 6 * math.comb(7, 2))
    assert work(4) - work(3) == pytest.approx(2 * 6 * math.comb(8, 3))


NETWORK = MLP((2, 3, 1), "tanh", "mse", {"kind": "teacher", "widths": [2, 2, 1], "samples": 30, "noise": 0.1}, l2=0.02)


# ---- peers compute what simcore computes -------------------------------------------------------------------------
@pytest.mark.parametrize("landscape", [TorusField(n=3), GaussianField(n=4, features=32), SphericalSpin(n=5, p=3)])
def test_the_peers_iteration_ends_where_the_reference_backend_ends(landscape):
    draw = landscape.draw(seed=3)
    starts = landscape.starts(seed=3, draw=0, first=0, count=12)
    from simcore.search.solvers import Newton

    options = Newton().options(landscape)._replace(max_iterations=peers.ITERATIONS)
    given = peers.Problem(draw.problem, starts, options.step_cap)
    ends = [(x[0], int(index[0])) for x, index in peers.iteration("numpy loop", given, 1)()]
    outcome = reference.newton(draw.problem, starts, options)
    same = [i for i in range(12) if outcome.status[i] == 0]
    assert len(same) >= 4
    for i in same:
        end = ends[i][0]
        assert np.linalg.norm(draw.gradient(end)) < 1e-6 * max(1.0, options.gradient_tolerance * 1e10)
        assert ends[i][1] == outcome.index[i]
        difference = end - outcome.x[i]
        if isinstance(landscape, TorusField):
            difference -= 2 * np.pi * np.rint(difference / (2 * np.pi))
        assert np.abs(difference).max() < 1e-6


@pytest.mark.parametrize("landscape", [GaussianField(n=3, features=64), SphericalSpin(n=5, p=3)])
@pytest.mark.parametrize("name", ["scipy hybr", "scipy lm"])
def test_root_finders_solve_the_right_equations(landscape, name):
    draw = landscape.draw(seed=2)
    starts = landscape.starts(seed=2, draw=0, first=0, count=10)
    given = peers.Problem(draw.problem, starts, 1.0)
    function, jacobian, lift = peers._system(draw.problem)
    z = lift(starts[0])
    step = 1e-6
    columns = [(function(z + step * e) - function(z - step * e)) / (2 * step) for e in np.eye(len(z))]
    np.testing.assert_allclose(np.transpose(columns), jacobian(z), atol=1e-6)
    np.testing.assert_allclose(function(z)[: landscape.n], draw.gradient(starts[0]), atol=1e-12)
    ends = peers.root_finder(name, given, 1e-8)(10)
    assert len(ends) >= 3
    assert max(np.linalg.norm(draw.gradient(end)) for end in ends) < 1e-7


def test_the_peers_derivatives_of_a_network_are_the_reference_ones():
    draw, x = NETWORK.draw(seed=1), NETWORK.starts(seed=1, draw=0, first=0, count=8)
    both = network_peers.products(np, draw.problem)
    for point in x:
        gradient, hessian = both(point)
        np.testing.assert_allclose(gradient, draw.gradient(point), rtol=0, atol=1e-14)
        np.testing.assert_allclose(hessian, draw.hessian(point), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", peers.ROOT_FINDERS)
def test_the_root_finders_of_networks_end_at_critical_points(name):
    pytest.importorskip("jax", reason="jax is not installed: pip install jax")
    draw, starts = NETWORK.draw(seed=1), NETWORK.starts(seed=1, draw=0, first=0, count=8)
    ends = peers.root_finder(name, peers.Problem(draw.problem, starts, math.inf), 1e-10)(8)
    assert ends.shape == starts.shape
    assert sum(np.linalg.norm(draw.gradient(end)) < 1e-9 for end in ends) >= (6 if "lm" in name else 2)


def test_peers_of_networks_know_no_other_function(monkeypatch):
    wave, net = GaussianField(n=3, features=64).draw(seed=0).problem, NETWORK.draw(seed=0).problem
    monkeypatch.setattr(peers.util, "find_spec", lambda name: object())
    assert not peers.supports("jax lm", wave)
    assert peers.supports("scipy lm", wave)
    assert [name for name in peers.LIBRARY if peers.supports(name, net)] == list(peers.ROOT_FINDERS)
    deep = net._replace(activation="relu")
    assert peers.supports("jax lm", deep)
    assert not peers.supports("jax lm gemm", deep)
    monkeypatch.setattr(peers.util, "find_spec", lambda name: None)  # all of them take JAX's derivatives
    assert not peers.supports("scipy lm", net)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(peers.util, "find_spec", lambda name: None if name in ("jax", "torch") else object())
    present, missing = peers.installed()
    assert present == ["numpy loop", "scipy hybr", "scipy lm"]
    assert missing == ["torch batched", "jax gemm", "jax autodiff", "jax lm", "jax lm gemm"]


def test_peers_of_the_device_are_measured_there_or_named(monkeypatch):
    cupy = types.ModuleType("cupy")
    cupy.__dict__.update({name: value for name, value in vars(np).items() if not name.startswith("_")})
    waited = []
    device = types.SimpleNamespace(synchronize=lambda: waited.append(1))
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1)
    cupy.cuda = types.SimpleNamespace(Device=lambda: device, runtime=runtime)
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: False))
    found = {"cupy": cupy, "torch": torch}
    monkeypatch.setattr(peers.util, "find_spec", lambda name: None if name == "jax" else object())
    monkeypatch.setattr(peers, "import_module", lambda name: found[name])
    present, missing = peers.installed(on_device=True)
    assert present == ["numpy loop", "simcore cpu", "cupy batched", "scipy hybr", "scipy lm"]
    assert missing == [
        "torch batched (installed, but without a CUDA device)",
        "jax gemm",
        "jax autodiff",
        "jax lm",
        "jax lm gemm",
    ]
    assert "cupy batched" not in peers.installed()[0]

    landscape = GaussianField(n=3, features=32)
    starts = landscape.starts(seed=1, draw=0, first=0, count=4)
    given = peers.Problem(landscape.draw(seed=1).problem, starts, 0.3)
    points = peers.iteration("cupy batched", given, 1, on_device=True)()[0]
    assert waited
    np.testing.assert_allclose(points, [x[0] for x, _ in peers.iteration("numpy loop", given, 1)()], atol=1e-8)
    np.testing.assert_allclose(points, peers.iteration("simcore cpu", given, 1)().x, atol=1e-8)


# ---- cases -------------------------------------------------------------------------------------------------------
def test_newton_answers_with_the_fields_of_the_contract(quick, capsys):
    command = "bench newton --landscape gaussian_field --n 3 --features 64 --threads 1 --repeats 1 --json"
    assert main(command.split()) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) >= FIELDS
    assert all(result[field] > 0 for field in FIELDS)
    assert result["useful_flops"] == pytest.approx(64 * (12 + 12) + 9 + 18)
    rate = result["useful_flops"] / (result["us_per_start_iteration"] * 1e3)
    assert result["useful_gflops"] == pytest.approx(rate)
    assert result["dgemm_fraction"] == pytest.approx(rate / result["dgemm_gflops"])
    assert result["iterations"] == result["starts"] * (newton.STEPS + 1)
    assert result["micro_kernel_gflops"] > 0
    assert "peers" not in result


def test_peers_are_measured_or_named(quick, monkeypatch):
    monkeypatch.setattr(peers.util, "find_spec", lambda name: None if name in ("jax", "torch") else object())
    result = benchmarks.measure("newton", Settings(landscape="spherical_spin", n=4, repeats=1, peers=True))
    assert [peer["name"] for peer in result["peers"]] == ["numpy loop", "scipy hybr", "scipy lm"]
    assert all(peer["ratio"] > 0 for peer in result["peers"])
    assert all(("us_per_start_iteration" in peer) != ("points_per_second" in peer) for peer in result["peers"])
    assert "jax gemm" in result["not_installed"]


def test_enumerate_counts_complete_draws(quick):
    result = benchmarks.measure("enumerate", Settings(n=4, repeats=1))
    assert result["draws"] == result["complete"] == enumeration.DRAWS_A_REPEAT
    assert result["ms_low"] <= result["ms_per_draw"] <= result["ms_high"]


def test_prove_is_timed_beside_the_search(quick):
    result = benchmarks.measure("prove", Settings(n=4, repeats=1))
    assert result["draws"] == result["proved"] == result["same_number"] == enumeration.DRAWS_A_REPEAT
    assert result["method"] == "bezout" and result["bound"] == 16
    assert result["ms_low"] <= result["ms_per_draw"] <= result["ms_high"] and result["search_ms_per_draw"] > 0


def test_walk_times_whole_counts(quick):
    result = benchmarks.measure("walk", Settings(n=6, repeats=2))
    assert result["draws"] == 2 and result["moves"] == 2 * 16 * 500
    assert 0 < result["ms_low"] <= result["ms_per_move"] <= result["ms_high"]
    assert 2 < result["moves_per_round_trip"] < 1000
    assert 20 < result["evaluations_per_move"] < 80
    assert result["seconds_for_10_percent"] > 0


def test_a_law_is_timed_from_a_new_process(quick, monkeypatch):
    asked = []
    monkeypatch.setattr(laws.subprocess, "run", lambda command, **options: asked.append((command, options)))
    result = benchmarks.measure("theory", Settings(landscape="spherical_spin", n=7, p=4, repeats=2))
    assert len(asked) >= 3 and all(options["check"] for _, options in asked)
    assert asked[0][0][1:] == ["-m", "simcore.cli", "theory", "spherical_spin", "--n", "7", "--json", "--p", "4"]
    assert result["n"] == 7 and 0 <= result["seconds_low"] <= result["seconds"] <= result["seconds_high"]


def test_a_sweep_is_timed_from_configuration_to_files(quick, monkeypatch):
    read = []

    def run(command, **options):
        config = Path(command[command.index("run") + 1])
        read.append((read_configuration(config), command[command.index("--out") + 1]))

    monkeypatch.setattr(laws.subprocess, "run", run)
    result = benchmarks.measure("sweep", Settings(landscape="torus_field", n=2, repeats=2))
    assert len({out for _, out in read}) == len(read) >= 3  # a new directory each time: nothing is resumed
    assert read[0][0].draws * read[0][0].starts == result["rows"] == 19200
    assert dict(read[0][0].combinations[0]) == {"name": "torus_field", "n": 2}
    assert result["rows_per_second"] == result["rows"] / result["seconds"]


@pytest.mark.parametrize("case", ["normals", "sincos", "ldlt"])
def test_formulas_are_timed_against_numpy(quick, case):
    result = benchmarks.measure(case, Settings(n=4, repeats=1))
    assert result[report.HEADLINE[case]] > 0
    assert result["peers"][0]["ratio"] > 0


def test_the_loops_that_are_timed_compute_what_they_should():
    from simcore.backends.cpu.probes import product_panel, sincos_array, solve_array, turned_sincos_array

    generator = np.random.default_rng(5)
    x, sine, cosine = generator.uniform(-50, 50, 64), np.empty(64), np.empty(64)
    sincos_array(x, sine, cosine)
    np.testing.assert_allclose(sine, np.sin(x), atol=3e-16)
    np.testing.assert_allclose(cosine, np.cos(x), atol=3e-16)
    turned_sincos_array(x / np.pi * 2, sine, cosine)  # the quotient's rounding moves the argument by up to 50 ulp of 1
    np.testing.assert_allclose(sine, np.sin(x), atol=1e-14)
    np.testing.assert_allclose(cosine, np.cos(x), atol=1e-14)

    n = 5
    dense = generator.standard_normal((16, n, n))
    dense = dense + dense.swapaxes(1, 2)
    right = generator.standard_normal((16, n))
    i, j = np.tril_indices(n)
    packed = np.ascontiguousarray(dense[:, i, j].reshape(2, 8, -1).swapaxes(1, 2)).ravel()
    lanes = np.ascontiguousarray(right.reshape(2, 8, n).swapaxes(1, 2)).ravel()
    scratch = np.empty(n * 8), np.empty(4 * n * 8)
    negative = solve_array(packed, n, 2, lanes, np.empty(n * (n + 1) // 2 * 8), *scratch)
    assert negative == (np.linalg.eigvalsh(dense) < 0).sum()
    solved = lanes.reshape(2, n, 8).swapaxes(1, 2).reshape(16, n)
    np.testing.assert_allclose(solved, np.linalg.solve(dense, right[..., None])[..., 0], rtol=1e-8)

    left, tile, out = generator.random((16, 7)), generator.random((7, 24)), np.empty((16, 24))
    panels = np.ascontiguousarray(left.reshape(2, 8, 7).swapaxes(1, 2)).ravel()
    product_panel(panels, tile.ravel(), out.reshape(-1), 16, 7)
    np.testing.assert_allclose(out, left @ tile, rtol=1e-14)


def test_an_unknown_case_is_answered_before_anything_runs():
    with pytest.raises(InputError, match="did you mean 'newton'"):
        benchmarks.measure_all(["newtn"], [None], Settings())


@pytest.mark.long
def test_compile_time_is_that_of_an_empty_cache():
    table = {"name": "gaussian_field", "n": 2, "features": 8, "frequencies": "random"}
    assert first_call.compile_seconds(table, "reference") > 0.05  # the random numbers of the draw are compiled


# ---- ceiling -----------------------------------------------------------------------------------------------------
def test_the_ceiling_is_the_best_core_type_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "PRESCOTT")
    with Ceiling(1, sizes=(256,)) as ceiling:
        ceiling.measure()
        rates = ceiling.rates
    assert set(rates) <= {"default", *supported_core_types()}
    assert "default" in rates and ceiling.best == max(rates.values()) > 0.1


# ---- reports -----------------------------------------------------------------------------------------------------
MEASURED = [
    {
        "case": "newton",
        "landscape": "gaussian_field",
        "n": 10,
        "features": 1024,
        "threads": 1,
        "us_per_start_iteration": 2.0,
        "us_low": 1.9,
        "us_high": 2.2,
        "dgemm_fraction": 0.7,
        "peers": [{"name": "scipy hybr", "points_per_second": 10.0, "ratio": 60.0}],
        "not_installed": ["jax gemm"],
    }
]


def test_a_saved_file_is_compared_with(tmp_path):
    path = tmp_path / "saved.json"
    report.save(str(path), MEASURED)
    now = [{**MEASURED[0], "us_per_start_iteration": 1.0}, {**MEASURED[0], "n": 20}]
    lines = report.compare(now, report.load(str(path))).splitlines()
    assert lines[2].split("|")[3:6] == [" 2 us ", " 1 us ", " 0.50 "]
    assert lines[3].split("|")[3] == " - "
    assert json.loads(path.read_text())["machine"]["versions"]["simcore"]


def test_a_file_that_holds_no_measurements_is_bad_input(tmp_path, capsys):
    path = tmp_path / "other.json"
    path.write_text("[1, 2]")
    assert main(["bench", "sincos", "--compare", str(path)]) == 2
    assert "simcore bench --save" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmarks, "measure_all", lambda *given: pytest.fail("measured"))
    assert main(["bench", "sincos", "--save", str(tmp_path / "none" / "saved.json")]) == 2
    assert "--save" in capsys.readouterr().err


def test_the_table_names_peers_and_what_is_missing():
    text = report.markdown(MEASURED)
    assert "| newton | gaussian_field, n=10, features=1024, threads=1 | 2 us | 1.9 to 2.2 |" in text
    assert "scipy hybr | 10 points a second | 60 |" in text
    assert "Not installed, so not measured: jax gemm." in text


# ---- the homotopy peer -------------------------------------------------------------------------------------------
def test_the_polynomial_system_of_phcpack_is_the_gradient():
    draw = SphericalSpin(n=4, p=3).draw(seed=1)
    lines = enumeration.polynomial_system(draw.problem).splitlines()
    assert lines[0] == "4" and len(lines) == 5
    x = np.array([0.3, -1.1, 0.7, 2.0])
    names = {f"x{i}": value for i, value in enumerate(x)}
    values = [eval(line.rstrip(";").replace("^", "**"), {"__builtins__": {}}, names) for line in lines[1:]]
    gradient = np.array(values) + x
    projected = gradient - x * (gradient @ x) / (x @ x)
    scale = np.sqrt(4 / (x @ x))  # the draw's derivatives refer to the sphere |x|^2 = 4
    np.testing.assert_allclose(projected * scale**2, draw.gradient(x * scale), rtol=1e-10)


def test_real_solutions_of_phcpack_are_counted():
    answer = """THE SOLUTIONS :
2 2
===
solution 1 :
t :  1.00000000000000E+00   0.00000000000000E+00
m : 1
the solution for t :
 x0 :  1.20000000000000E+00   0.00000000000000E+00
 x1 : -2.00000000000000E-01   1.00000000000000E-17
== err :  1.0E-15 = rco :  1.0E-01 = res :  1.0E-16 =
solution 2 :
t :  1.00000000000000E+00   0.00000000000000E+00
 x0 :  1.20000000000000E+00   3.00000000000000E-01
 x1 : -2.00000000000000E-01   0.00000000000000E+00
solution 3 :
 x0 :  0.00000000000000E+00   0.00000000000000E+00
 x1 :  0.00000000000000E+00   0.00000000000000E+00
"""
    assert enumeration.real_solutions(answer) == 1
