"""Paths on landscapes: against closed forms, against each other, and the same rows however the work is cut."""

import mpmath
import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.backends import reference
from simcore.formulas import exponential, random
from simcore.trajectories import batches, derivatives
from simcore.trajectories.batches import Batches
from simcore.trajectories.settings import METHODS

ACTIVATIONS = {
    "tanh": lambda z: (mpmath.tanh(z), mpmath.sech(z) ** 2),
    "sigmoid": lambda z: (1 / (1 + mpmath.exp(-z)), mpmath.sech(z / 2) ** 2 / 4),
    "softplus": lambda z: (mpmath.log1p(mpmath.exp(z)), 1 / (1 + mpmath.exp(-z))),
}

SPECTRUM = np.array([3.0, 1.0, -0.5])
SADDLE = simcore.CustomLandscape(
    lambda x: 0.5 * float(x @ (SPECTRUM * x)),
    lambda x: SPECTRUM * x,
    lambda x: np.diag(SPECTRUM),
    simcore.Space(3),
    3,
)
BEGIN = np.array([[1.0, -0.5, 1e-3], [0.2, 0.3, -1e-2]])
NETWORK = simcore.MLP(**simcore.MLP.conformance[0])
STEP = {"newton": None, "saddle_free_newton": None, "gradient_flow": 0.2}


def positions(frame):
    """Recorded points, shape (starts, records, n), of one draw."""
    return np.stack(frame["x"].to_list()).reshape(frame["start"].nunique(), -1, len(frame["x"].iloc[0]))


def walked(landscape, method, **options):
    options = {"step_size": STEP.get(method, 0.05), "steps": 12, "starts": 5, "seed": 3, "positions": True} | options
    return simcore.trajectory(landscape, method=method, **options)


# ---- derivatives -------------------------------------------------------------------------------------------------
NETWORKS = [k(**c) for k in (simcore.MLP, simcore.LinearNetwork, simcore.SigmoidUnit) for c in k.conformance]
FUNCTIONS = [*NETWORKS, simcore.TorusField(n=3), simcore.SphericalSpin(n=5), simcore.GaussianField(n=40, features=64)]


@pytest.mark.parametrize("landscape", FUNCTIONS, ids=lambda landscape: f"{landscape.name}-{landscape.n}")
def test_products_are_the_hessian_times_a_vector(landscape):
    draw = landscape.draw(seed=2)
    x = landscape.starts(seed=2, draw=0, first=0, count=6)
    value, gradient, hessian = draw._all_orders(x)
    v = np.random.default_rng(0).standard_normal(x.shape)
    here = derivatives.Function(draw.problem).at(x, True)
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(here.value, value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(here.gradient, gradient, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(here.times(v), (hessian @ v[:, :, None])[:, :, 0], rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("widths", [(3, 2), (3, 2, 2), (3, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu", "linear"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_compiled_passes_are_the_plain_ones(widths, activation, loss):
    data = {"kind": "gaussian", "spectrum": [1.0, 2.0, 0.5], "samples": 11, "targets": "classes", "outputs": 2}
    problem = simcore.MLP(widths=widths, activation=activation, loss=loss, data=data, l2=0.1).draw(seed=5).problem
    rng = np.random.default_rng(1)
    x = rng.standard_normal((11, problem.dimension)) * np.linspace(0.01, 30, 11)[:, None]
    v = rng.standard_normal(x.shape)
    value, gradient, hessian = reference.evaluate(problem, x)
    compiled = derivatives.Function(problem).at(x, True)
    for given, expected in (
        (compiled.value, value),
        (compiled.gradient, gradient),
        (compiled.times(v), (hessian @ v[:, :, None])[:, :, 0]),
        (compiled.times(compiled.gradient), (hessian @ gradient[:, :, None])[:, :, 0]),
    ):
        scale = np.abs(expected).reshape(len(x), -1).max(axis=1).reshape([-1] + [1] * (expected.ndim - 1))
        np.testing.assert_allclose(given / scale, expected / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus"])
def test_compiled_activations_to_relative_precision(name):
    """Against 300 digits, from 1e-20 to where the derivative leaves the range of doubles."""
    z = np.concatenate([sign * np.logspace(-20, 2.4, 60) for sign in (-1, 1)])
    body = getattr(exponential, name)
    with mpmath.workdps(300):
        for point in z:
            for given, expected in zip(body(point)[:2], ACTIVATIONS[name](mpmath.mpf(point)), strict=True):
                assert abs(given - float(expected)) <= 1e-14 * abs(float(expected))


# ---- closed forms ------------------------------------------------------------------------------------------------
def test_gradient_descent_near_a_quadratic_saddle():
    frame = walked(SADDLE, "gradient_descent", start=BEGIN, starts=None, step_size=0.1)
    steps = np.arange(13)[:, None]
    np.testing.assert_allclose(positions(frame), BEGIN[:, None] * (1 - 0.1 * SPECTRUM) ** steps, rtol=1e-13)


def test_momentum_is_the_heavy_ball():
    x = positions(walked(SADDLE, "momentum", start=BEGIN, starts=None, momentum=0.8))
    np.testing.assert_allclose(
        x[:, 2:], x[:, 1:-1] + 0.8 * (x[:, 1:-1] - x[:, :-2]) - 0.05 * SPECTRUM * x[:, 1:-1], rtol=1e-12
    )
    np.testing.assert_allclose(x[:, 1], BEGIN * (1 - 0.05 * SPECTRUM), rtol=1e-13)


def test_adam_starts_with_a_step_of_step_size_in_every_coordinate():
    x = positions(walked(SADDLE, "adam", start=BEGIN, starts=None, step_size=0.01))
    np.testing.assert_allclose(x[:, 1] - BEGIN, -0.01 * np.sign(SPECTRUM * BEGIN), rtol=1e-4)


def test_gradient_flow_of_a_quadratic():
    frame = walked(SADDLE, "gradient_flow", start=BEGIN, starts=None, step_size=0.5)
    time = frame["time"].to_numpy()[:13, None]
    np.testing.assert_allclose(time[:, 0], 0.5 * np.arange(13))
    np.testing.assert_allclose(positions(frame), BEGIN[:, None] * np.exp(-SPECTRUM * time), rtol=1e-7, atol=1e-11)


def test_newton_is_attracted_and_saddle_free_newton_repelled():
    newton = positions(walked(SADDLE, "newton", start=BEGIN, starts=None, step_cap=np.inf))
    np.testing.assert_allclose(newton[:, 1:], 0, atol=1e-14)
    free = positions(walked(SADDLE, "saddle_free_newton", start=BEGIN, starts=None, step_cap=np.inf))
    np.testing.assert_allclose(free[:, 1], BEGIN * [0, 0, 2], atol=1e-14)


def test_newton_steps_are_capped():
    x = positions(walked(SADDLE, "newton", start=BEGIN[:1], starts=None, step_cap=0.1, steps=3))
    np.testing.assert_allclose(np.linalg.norm(np.diff(x, axis=1), axis=2), 0.1)


# ---- columns -----------------------------------------------------------------------------------------------------
def test_columns_and_order():
    frame = simcore.trajectory(
        simcore.TorusField(n=2),
        method="gradient_descent",
        step_size=0.1,
        steps=7,
        draws=2,
        starts=3,
        every=3,
        index=True,
    )
    assert list(frame.columns) == [
        "draw", "start", "step", "time", "cost", "grad_norm", "curvature", "predicted_change", "morse_index",
    ]  # fmt: skip
    assert frame["step"].to_list() == [0, 3, 6, 7] * 6
    assert frame["start"].to_list() == [s for _ in range(2) for s in range(3) for _ in range(4)]
    assert frame["draw"].to_list() == [0] * 12 + [1] * 12
    assert frame["morse_index"].dtype == np.int32 and frame["draw"].dtype == np.int64
    np.testing.assert_allclose(frame["time"], 0.1 * frame["step"])


@pytest.mark.parametrize(
    "landscape", [simcore.TorusField(n=3), simcore.SphericalSpin(n=5), NETWORK], ids=lambda a: a.name
)
def test_rows_describe_their_point(landscape):
    frame = walked(landscape, "gradient_descent", index=True)
    draw, x = landscape.draw(seed=3), np.stack(frame["x"].to_list())
    value, g, h = draw._all_orders(x)
    np.testing.assert_allclose(frame["cost"], value, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(frame["grad_norm"], np.linalg.norm(g, axis=1), rtol=1e-11)
    np.testing.assert_allclose(frame["curvature"], np.einsum("si,sij,sj->s", g, h, g), rtol=1e-9, atol=1e-12)
    assert (frame["morse_index"] == (np.linalg.eigvalsh(h) < -1e-9).sum(axis=1)).all()


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("sgd", "newton", "saddle_free_newton")])
@pytest.mark.parametrize("landscape", [simcore.SphericalSpin(n=5), NETWORK], ids=lambda a: a.name)
def test_predicted_change_is_second_order(landscape, method):
    """A path's first step, at two sizes: the error of the prediction falls with the cube of the size."""
    errors = []
    for size in (2e-3, 1e-3):
        frame = walked(landscape, method, step_size=size, steps=1)
        cost = frame["cost"].to_numpy().reshape(-1, 2)
        errors.append(np.abs(np.diff(cost, axis=1)[:, 0] - frame["predicted_change"].to_numpy()[::2]))
    ratio = np.median(errors[0] / errors[1])
    assert 7 < ratio < 9


def test_points_stay_on_their_domain():
    for method in METHODS:
        if method == "sgd":
            continue
        on_sphere = positions(walked(simcore.SphericalSpin(n=5), method, step_size=STEP.get(method, 0.3)))
        np.testing.assert_allclose((on_sphere**2).sum(axis=2), 5, rtol=1e-12)
        on_torus = positions(walked(simcore.TorusField(n=3), method, step_size=STEP.get(method, 0.3)))
        assert (on_torus >= 0).all() and (on_torus < 2 * np.pi).all()


def test_a_path_that_runs_away_keeps_its_rows():
    frame = walked(NETWORK, "gradient_descent", step_size=1e4, steps=60, index=True)
    assert len(frame) == 5 * 61
    last = frame[frame["step"] == 60]
    assert (~np.isfinite(last["cost"])).any()
    assert (last.loc[~np.isfinite(last["grad_norm"]), "morse_index"] == -1).all()


# ---- the same rows -----------------------------------------------------------------------------------------------
CUT = [
    (landscape, method)
    for landscape in (simcore.SphericalSpin(n=4), simcore.TorusField(n=3), NETWORK)
    for method in METHODS
    if method != "sgd" or landscape is NETWORK
]


@pytest.mark.parametrize("landscape, method", CUT, ids=[f"{landscape.name}-{method}" for landscape, method in CUT])
def test_rows_depend_on_seed_draw_start_and_step_alone(landscape, method, monkeypatch):
    options = {"steps": 6, "draws": 2}
    if method == "gradient_flow":
        options |= {"steps": 2, "starts": 3}
    whole = walked(landscape, method, **options, threads=1)
    monkeypatch.setattr("simcore.trajectories.trajectory.TOGETHER", 2)
    pd.testing.assert_frame_equal(walked(landscape, method, **options, threads=3), whole, check_exact=True)
    part = walked(landscape, method, **options | {"draws": 1, "first_draw": 1, "starts": 2, "first_start": 1})
    same = whole[(whole["draw"] == 1) & whole["start"].isin([1, 2])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, same, check_exact=True)
    thinned = walked(landscape, method, **options, every=2)
    same = whole[whole["step"] % 2 == 0].reset_index(drop=True)
    if method != "gradient_flow":  # there another grid of records may move the last bits of the interpolation
        pd.testing.assert_frame_equal(thinned, same, check_exact=True)


def test_a_draw_is_walked_like_its_landscape():
    one = walked(simcore.TorusField(n=3).draw(seed=3, draw=2), "gradient_descent", seed=None)
    whole = walked(simcore.TorusField(n=3), "gradient_descent", first_draw=2)
    pd.testing.assert_frame_equal(one, whole, check_exact=True)


# ---- minibatches -------------------------------------------------------------------------------------------------
def test_every_epoch_goes_through_the_samples_once():
    batches = Batches(NETWORK, 1, 0, first=4, count=3, samples=11, size=3)
    epoch = np.concatenate([batches.at(step) for step in range(3)], axis=1)
    assert all(len(set(row)) == 9 for row in epoch.tolist())
    again = Batches(NETWORK, 1, 0, first=5, count=1, samples=11, size=3)
    assert (again.at(2) == batches.at(2)[1:2]).all()
    assert (batches.at(3) != epoch[:, :3]).any() and (epoch[0] != epoch[1]).any()


@pytest.mark.parametrize("count", [1, 2, 17, 1024, 1025])
def test_orders_are_those_of_a_stable_sort(count):
    u = random.start_uniforms(3, 5, 0, 0, 40, count)
    u[1] = np.floor(4 * u[1]) / 4  # ties
    assert (batches._ranked(u) == np.argsort(u, axis=1, kind="stable")).all()


@pytest.mark.parametrize(
    "landscape",
    [NETWORK, simcore.MLP(**simcore.MLP.conformance[2]), simcore.SigmoidUnit(**simcore.SigmoidUnit.example)],
)
def test_batch_gradients_average_to_the_gradient(landscape):
    draw = landscape.draw(seed=1)
    x = landscape.starts(seed=1, draw=0, first=0, count=4)
    count = derivatives.samples(draw.problem)
    function = derivatives.Function(draw.problem)
    each = [derivatives.batch_gradient(function, x, np.full((4, 1), i)) for i in range(count)]
    np.testing.assert_allclose(np.mean(each, axis=0), function.at(x).gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 3, 2)], ids=str)
def test_compiled_batches_are_the_plain_ones(widths, loss):
    """Each start on samples of its own, a batch that fills no whole block, starts that fill no whole group."""
    data = {"kind": "gaussian", "spectrum": [1.0, 2.0, 0.5], "samples": 40, "targets": "classes", "outputs": 2}
    problem = simcore.MLP(widths=widths, activation="tanh", loss=loss, data=data, l2=0.1).draw(seed=5).problem
    rng = np.random.default_rng(1)
    x, chosen = rng.standard_normal((11, problem.dimension)), rng.integers(0, 40, (11, 13))
    compiled = derivatives.batch_gradient(derivatives.Function(problem), x, chosen)
    parts = zip(x, chosen, strict=True)
    own = [(row, problem._replace(inputs=problem.inputs[some], targets=problem.targets[some])) for row, some in parts]
    plain = np.concatenate([reference.evaluate(batch, row[None])[1] for row, batch in own])
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-13 * np.abs(plain).max())


def test_sgd_on_the_whole_batch_is_gradient_descent():
    full = walked(NETWORK, "sgd", batch_size=derivatives.samples(NETWORK.draw(seed=3).problem))
    np.testing.assert_allclose(full["cost"], walked(NETWORK, "gradient_descent")["cost"], rtol=1e-12)
    assert walked(NETWORK, "sgd", batch_size=2)["cost"].iloc[-1] != full["cost"].iloc[-1]


# ---- errors ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options, words",
    [
        ({"method": "gradient_decent"}, "did you mean 'gradient_descent'"),
        ({"method": "adam", "step_size": None}, "no step_size"),
        ({"step_size": -1.0}, "step_size is -1.0"),
        ({"steps": 0}, "steps is 0"),
        ({"every": 0}, "every is 0"),
        ({"starts": 0}, "starts is 0"),
        ({"momentum": 0.9}, "belongs to momentum and sgd"),
        ({"method": "momentum", "momentum": 1.0}, "momentum is 1.0"),
        ({"method": "adam", "betas": 0.9}, "betas is 0.9"),
        ({"method": "sgd"}, "torus_field has no data"),
        ({"start": np.zeros(4)}, "start has shape (4,); give shape (3,)"),
        ({"start": np.zeros((2, 3)), "starts": 3}, "start has 2 points"),
        ({"start": [np.nan, 0, 0]}, "finite"),
        ({"start": np.ones(3, complex)}, "start holds complex numbers (complex128); give numbers of shape (3,)"),
        ({"method": "newton", "step_cap": "long"}, "step_cap is 'long'; give 'auto'"),
        ({"start_law": "normal"}, "start law"),
        ({"method": "gradient_flow", "integrator": "RK4"}, "integrator"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_errors_say_what_to_do(options, words):
    given = {"method": "gradient_descent", "step_size": 0.1, "steps": 5} | options
    with pytest.raises(simcore.InputError) as caught:
        simcore.trajectory(simcore.TorusField(n=3), **given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_batch_size_must_fit_the_data():
    with pytest.raises(simcore.InputError, match="give at most that"):
        walked(NETWORK, "sgd", batch_size=1000)


def test_momentum_on_the_sphere_is_projected_on_the_tangent_space():
    """The heavy ball of the docstring, written out: v <- m P(x) v - step g(x), x <- retract(x + v)."""
    f = simcore.SphericalSpin(n=4).draw(seed=2)
    x = positions(walked(f, "momentum", starts=3, steps=6, step_size=0.3, momentum=0.9, seed=5))
    for track in x:
        here, velocity = track[0], np.zeros(4)
        for there in track[1:]:
            velocity = 0.9 * (velocity - here * (here @ velocity) / 4) - 0.3 * f.gradient(here)
            moved = here + velocity
            here = moved * (2 / np.linalg.norm(moved))
            np.testing.assert_allclose(there, here, atol=1e-12)
