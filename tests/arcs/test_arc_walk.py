"""The compiled walk against its readable twin, and what each move must obey."""

import numpy as np
import pytest

import simcore
from simcore.arcs import plain, walk
from simcore.arcs.chains import Chains
from simcore.arcs.rule import ARRIVED, IRREVERSIBLE, arc_rule

CASES = {
    "spin": simcore.SphericalSpin(n=7, p=3),
    "spin4": simcore.SphericalSpin(n=5, p=4),
    "torus": simcore.TorusField(n=4),
    "confined": simcore.ConfinedField(n=3, m=0.5),
    "confined12": simcore.ConfinedField(n=12, m=0.8, frequencies="random", features=64),
}


def beginnings(landscape, count):
    rows = simcore.find_critical_points(landscape, draws=1, starts=6 * count, seed=1, positions=True)
    rows = rows[rows.status == "critical"].head(count)
    return (
        np.stack(rows.x.to_list()),
        rows.morse_index.to_numpy(),
        rows.cost.to_numpy(),
    )


def chains(landscape, count, *, threads=1, compiled=True, weight=None):
    draw = landscape.draw(seed=1, draw=0)
    scales = landscape.scales
    rule = arc_rule(scales.length, scales.gradient, landscape.dimension, landscape.domain.period)
    weight = np.zeros(landscape.dimension + 1) if weight is None else weight
    streams = [landscape.stream(f"walk:{i}") for i in range(count)]
    return Chains(
        draw.problem,
        landscape.dimension,
        *beginnings(landscape, count),
        rule,
        weight,
        (1, 0),
        streams,
        threads=threads,
        compiled=compiled,
    )


@pytest.mark.parametrize("name", CASES)
def test_compiled_walk_is_its_twin(name):
    """The same moves end at the same points. Rounding may part the two where an arc passes very near another: such
    moves (here at most 2 in 60) are caught by following back in at least one of them."""
    landscape = CASES[name]
    fast, slow = chains(landscape, 5), chains(landscape, 5, compiled=False)
    moves, twin = fast.advance(12), slow.advance(12)
    both = (moves.status == ARRIVED) & (twin.status == ARRIVED)
    alive = np.cumsum(moves.accepted != twin.accepted, axis=1) == 0  # beyond the first difference paths have parted
    assert (both & alive).sum() > 36
    assert ((moves.status != twin.status) & alive).sum() <= 2
    same = both & alive
    np.testing.assert_array_equal(moves.index[same], twin.index[same])
    np.testing.assert_allclose(moves.x[same], twin.x[same], atol=1e-7)
    np.testing.assert_allclose(moves.cost[same], twin.cost[same], atol=1e-10)
    assert 0.8 < fast.evaluations / slow.evaluations < 1.25  # lanes without a walker are not counted, nor do they walk


@pytest.mark.parametrize("name", CASES)
def test_every_proposal_is_a_critical_point_of_other_parity(name):
    """Each arc passes an odd number of folds, and what it reaches has no gradient and the index stated."""
    landscape = CASES[name]
    moves = chains(landscape, 8).advance(30)
    draw = landscape.draw(seed=1, draw=0)
    arrived = moves.status == ARRIVED
    assert arrived.mean() > 0.7
    x = moves.x[arrived]
    assert np.abs(draw.gradient(x)).max() < 1e-10 * max(1.0, landscape.scales.gradient)
    spectrum = np.linalg.eigvalsh(draw.hessian(x))
    size = np.abs(spectrum).max()
    np.testing.assert_array_equal((spectrum < -1e-9 * size).sum(axis=1), moves.index[arrived])
    assert ((moves.index - moves.before)[arrived] % 2 == 1).all()
    np.testing.assert_allclose(draw.value(x), moves.cost[arrived], atol=1e-11)


def test_same_rows_for_any_threads_chunks_and_company():
    """Row i of a walker depends on that walker alone, and not on where the run is cut."""
    landscape = CASES["spin"]
    whole = chains(landscape, 9).advance(40)
    pair = chains(landscape, 9, threads=2)
    first, second = pair.advance(13), pair.advance(27)
    few = chains(landscape, 3).advance(40)
    for name in ("status", "index", "accepted", "cost", "x"):
        joined = np.concatenate([getattr(first, name), getattr(second, name)], axis=1)
        np.testing.assert_array_equal(joined, getattr(whole, name))
        np.testing.assert_array_equal(getattr(few, name), getattr(whole, name)[:3])


def one_lane():
    """The state of walkers that stand at the origin, and the plan of a pass."""
    points = np.zeros((walk.VECTORS, 2 * walk.T))
    return points, np.zeros((walk.NUMBERS, walk.T)), np.zeros((walk.COUNTS, walk.T), np.int64), np.zeros(56)


@pytest.mark.parametrize(("mode", "bent"), [(walk.TRACE, 0.05), (walk.FIX, 0.0)])
def test_only_a_step_that_follows_a_step_is_bent(mode, bent):
    """The second order of the predictor is the change of the tangent over the step before, h^2/2 over its length; at a
    point that was corrected after a refusal nothing is known of it."""
    _, numbers, counts, plan = one_lane()
    counts[walk.MODE, 0] = mode
    numbers[[walk.H, walk.RATE, walk.S, walk.SP], 0] = 0.1, 0.5, 0.2, 0.25
    rule = (1.0, 0.1, 0.1, 0.2, 1e9, 100)  # a step of 0.1 is the longest
    assert walk._decide.py_func(numbers, counts, plan, rule, 0, 0.0, 2.0, 2.0, 0.0) == ARRIVED
    assert counts[walk.MODE, 0] == walk.TRACE and plan[8 * walk._STEP] == 0.1
    assert plan[8 * walk._BEND] == pytest.approx(bent) and numbers[walk.PAST, 0] == (0.1 if bent else 0.0)


@pytest.mark.parametrize(("change", "gap"), [(0, 0.0), (2, 0.0), (-2, 0.0), (1, 1.0)])
def test_a_move_that_came_back_elsewhere_or_to_the_same_parity_is_irreversible(change, gap):
    points, numbers, counts, _ = one_lane()
    points[walk.BASE, 0] = gap
    counts[[walk.INDEX, walk.NEW_INDEX], 0] = 2, 2 + change
    out = [np.full((24, 1), 9), np.zeros((24, 1), int), np.ones((24, 1), bool), np.zeros((24, 1)), np.zeros((24, 1, 2))]
    walk._end_move.py_func(
        points, numbers, counts, 0, 2, ARRIVED, np.zeros(9), (1.0,) + 7 * (0.0,), (0, 0, 0), 0, 0, out
    )
    assert out[0][0, 0] == IRREVERSIBLE and out[1][0, 0] == 2 and not out[2][0, 0] and np.isnan(out[4][0]).all()
    assert counts[walk.MOVE, 0] == 1 and counts[walk.INDEX, 0] == 2


def test_arcs_are_an_involution():
    """T_u(T_u(c)) = c: what an arc reaches leads back by the same u, and the walk stays where a move was refused."""
    landscape = CASES["torus"]
    none = np.where(np.arange(landscape.dimension + 1) % 2 == 0, 0.0, -1e9)  # refuses every odd index
    walkers = chains(landscape, 6, weight=none)
    x, index, _ = beginnings(landscape, 6)
    moves = walkers.advance(25)
    even = index % 2 == 0
    assert even.sum() >= 2
    assert not moves.accepted[even].any()
    np.testing.assert_array_equal(walkers.state()[0][even], x[even])


def test_walk_is_uniform_over_the_critical_points():
    """Visits a point of 3-spin n = 7, without weights, as numbers of independent walkers: with W walkers, counts c_wi
    and means over walkers m_i, sum_i (m_i - m)^2/s_i^2 is compared with its law by simulation of the walkers' own
    spread. False-alarm rate 1e-3."""
    landscape = simcore.SphericalSpin(n=7, p=3)
    known = simcore.enumerate_critical_points(landscape, draw=0, seed=1)
    places = np.stack(known.points.x.to_list())
    walkers = chains(landscape, 16)
    walkers.advance(50)
    x = walkers.state()[0]
    moves = walkers.advance(1200)
    counts = np.zeros((16, len(places)))
    for w in range(16):
        at = x[w]
        for m in range(moves.status.shape[1]):
            if moves.accepted[w, m]:
                at = moves.x[w, m]
            gap = np.abs(places - at).max(axis=1)
            assert gap.min() < 1e-6  # nothing outside the enumeration
            counts[w, gap.argmin()] += 1
    share = counts / counts.sum(axis=1, keepdims=True) - 1.0 / len(places)
    statistic = _studentised(share)
    generator = np.random.default_rng(1)
    null = share - share.mean(axis=0)
    resampled = np.array([_studentised(null[generator.integers(0, 16, 16)]) for _ in range(2000)])
    assert (counts.sum(axis=0) > 0).all()
    assert (resampled >= statistic).mean() > 1e-3


def _studentised(share):
    spread = share.var(axis=0, ddof=1) / len(share)
    return float((share.mean(axis=0) ** 2).sum() / spread.sum())


def test_a_pair_nearer_than_a_step_does_not_lead_arcs_astray():
    """Torus n = 4, seed 1, draw 10 has two pairs of points .13 apart with curvatures of 1/400 of the largest: steps of
    .1 pass both. Before s was looked at within steps 12 % of these arcs were irreversible and 10 % came back to where
    they began."""
    landscape = simcore.TorusField(n=4)
    draw = landscape.draw(seed=1, draw=10)
    known = simcore.enumerate_critical_points(landscape, draw=10, seed=1, prove=False).points.head(24)
    scales = landscape.scales
    rule = arc_rule(scales.length, scales.gradient, 4, landscape.domain.period)
    streams = [landscape.stream(f"walk:{i}") for i in range(24)]
    walkers = Chains(
        draw.problem, 4, np.stack(known.x.to_list()), known.morse_index.to_numpy(), known.cost.to_numpy(), rule,
        -landscape.expected_counts()["log_mean_count"].to_numpy(), (1, 10), streams,
    )  # fmt: skip
    moves = walkers.advance(150)
    assert (moves.status == IRREVERSIBLE).mean() < 0.045  # measured .028; 3,600 correlated moves
    assert (moves.status == ARRIVED).mean() > 0.95


@pytest.mark.parametrize(
    ("s", "rate", "new_s", "new_rate", "zeros"),
    [
        (0.0, 1.0, 0.5, 0.2, 0),  # leaves
        (0.3, -0.6, -0.2, -0.5, 1),  # returns
        (0.0, 1.0, -0.1, -1.0, 1),  # leaves and returns within the step
        (0.0, 1.0, 0.01, 2.0, 2),  # leaves, may dip and leave again
        (0.05, -1.0, 0.05, 1.0, 2),  # dips between two points above
        (0.05, -1.0, -0.05, -4.0, 3),  # slopes that no smooth curve has: refused
        (0.01, -1.0, -0.01, -1.0, 3),  # may return, leave and return again
    ],
)
def test_zeros_within_a_step(s, rate, new_s, new_rate, zeros):
    """The bound on the zeros of s holds against a fine grid of the cubic, and the zero that ends an arc is one."""
    h = 1.0
    assert plain.zeros_of(s, rate, new_s, new_rate, h) == zeros
    q = np.linspace(1e-3, 1.0, 4001)
    old, old_slope, slope = plain.hermite(q)
    cubic = new_s + old * (s - new_s) + h * (old_slope * rate + slope * new_rate)
    assert (np.diff(np.sign(cubic)) != 0).sum() <= zeros
    if zeros == 1:
        at = plain.zero_of(s, rate, new_s, new_rate, h)
        old, old_slope, slope = plain.hermite(at)
        assert abs(new_s + old * (s - new_s) + h * (old_slope * rate + slope * new_rate)) < 1e-5
        assert at > 0.1
