"""Plans: shards tile a sweep exactly, whatever was there before, and depend on the configuration alone."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simcore
from simcore.errors import InputError
from simcore.sweep import dry_run, plan
from simcore.sweep.config import Configuration
from simcore.sweep.plan import Shard, layout, missing, overlapping, part_of, shard_count


def configuration(name="torus_field", method="newton", draws=1000, starts=100, **parameters):
    tables = {
        "landscape": [{"name": name, **parameters}],
        "search": {"method": method, "draws": draws, "starts": starts},
    }
    return Configuration.from_mapping({"seed": 1, **tables})


CASES = [
    configuration(n=2),
    configuration(n=[1, 7], method="enumerate"),
    configuration("gaussian_field", n=20, features=100_000, starts=50),
    configuration("gaussian_field", n=50, features=8000, starts=4000, draws=3),  # split over starts
]


def cells(shards, draws, starts):
    """Count how often each (draw, start) of the plan is covered, on the grid of all boundaries."""
    edges_d = sorted({0, draws} | {s.first_draw for s in shards} | {s.last_draw for s in shards})
    edges_s = sorted({0, starts} | {s.first_start for s in shards} | {s.last_start for s in shards})
    return [
        sum(s.first_draw <= d < s.last_draw and s.first_start <= b < s.last_start for s in shards)
        for d in edges_d[:-1]
        for b in edges_s[:-1]
    ]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("draws", [1, 2, 63, 64, 65])
def test_shards_cover_every_draw_and_start_once(case, draws):
    made = CASES[case]
    for c in range(len(made.combinations)):
        shards = list(missing(made, c, draws, ()))
        assert set(cells(shards, draws, made.starts)) == {1}
        assert len(shards) == shard_count(made, c, draws)
        assert not overlapping(shards)
        assert max(shard.last_draw for shard in shards) == draws


def test_one_of_the_cases_is_split_over_starts():
    assert [layout(made, 0).split for made in CASES] == [False, False, False, True]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 3), st.lists(st.integers(1, 700), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_a_run_that_grew_and_lost_shards_is_completed_exactly(case, limits, random):
    made = CASES[case]
    held: list[Shard] = []
    for limit in sorted(limits):
        held.extend(missing(made, 0, limit, held))
        held = [shard for shard in held if random.random() < 0.8]
    last = max(limits)
    held.extend(missing(made, 0, last, held))
    assert set(cells(held, last, made.starts)) == {1}
    assert not list(missing(made, 0, last, held))
    block = layout(made, 0).draw_block
    assert all(s.first_draw // block == (s.last_draw - 1) // block for s in held)


def test_more_draws_only_append_shards():
    made = CASES[0]
    block = layout(made, 0).draw_block
    before = list(missing(made, 0, 3 * block + 5, ()))
    after = list(missing(made, 0, 10 * block, before))
    assert after[0] == Shard(0, 3 * block + 5, 4 * block, 0, made.starts)
    assert min(shard.first_draw for shard in after) == 3 * block + 5
    assert list(missing(made, 0, 3 * block, ())) == before[:3]


def test_blocks_are_powers_of_two_and_do_not_depend_on_draws():
    for made in CASES:
        cut = layout(made, 0)
        assert cut.draw_block & (cut.draw_block - 1) == 0
        assert cut == layout(replace(made, draws=17), 0)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_parts_share_the_plan_out(k):
    for made in CASES:
        shards = list(missing(made, 0, 500, ()))
        parts = [[s for s in shards if part_of(s, made, (i, k))] for i in range(1, k + 1)]
        assert sorted(shard for part in parts for shard in part) == sorted(shards)
        # A later extension of a block goes to the same job.
        assert part_of(shards[0], made, (1, k)) == part_of(Shard(0, 0, 1, 0, shards[0].last_start), made, (1, k))


def test_names_are_undone():
    shard = Shard(3, 128, 4294967295, 64, 128)
    assert Shard.from_name(shard.name) == shard
    for bad in ("", "c1", shard.name + "x", shard.name.upper(), shard.name.replace("-", "_")):
        assert Shard.from_name(bad) is None


@pytest.mark.parametrize("bad", ["0/3", "4/3", "1", "a/b", "-1/2", "1/0", (0, 2), "1/2/3", " 1/2"])
def test_parts_that_make_no_sense(bad):
    with pytest.raises(InputError, match="i/k"):
        plan.check_part(bad)


def test_overlaps_are_found():
    one, two = Shard(0, 0, 8, 0, 10), Shard(0, 4, 8, 0, 10)
    assert overlapping([two, one, Shard(1, 0, 8, 0, 10), Shard(0, 8, 16, 0, 10)]) == [(one, two)]


def test_shards_of_plain_landscapes_last_from_a_second_to_a_minute_by_the_model():
    for made in CASES[1:]:
        for c in range(len(made.combinations)):
            cut = layout(made, c)
            landscape = made.landscape(c)
            seconds = plan.seconds_per_draw(made, landscape) * cut.draw_block * cut.start_block / cut.starts
            assert seconds < 60


@pytest.mark.parametrize("hidden", [2, 3, 4])
def test_lists_of_small_networks_take_seconds_by_the_model(hidden):
    """Measured, one core, two draws each: 0.46 to 2.5 s and 3 to 22 classes for 9, 13 and 17 parameters."""
    data = {"kind": "teacher", "widths": [2, hidden, 1], "samples": 20}
    table = {"name": "mlp", "widths": [2, hidden, 1], "activation": "tanh", "loss": "mse", "data": data, "l2": 0.01}
    search = {"method": "enumerate", "draws": 2, "starts": 64}
    configuration = Configuration.from_mapping({"landscape": [table], "search": search})
    assert 0.46 < plan.seconds_per_draw(configuration, configuration.landscape(0)) < 2.5
    if hidden == 2:
        listed = len(simcore.enumerate_critical_points(configuration.landscape(0), draw=0, seed=1).points)
        assert listed / 4 < dry_run._rows_by_law(configuration, 0) < 4 * listed
    for unfit in ({"l2": 0.0}, {"activation": "relu"}):
        with pytest.raises(InputError, match="one hidden layer of tanh, sigmoid or softplus units and l2 above 0"):
            Configuration.from_mapping({"landscape": [table | unfit], "search": search})


def test_a_hundred_thousand_shards_are_planned_in_seconds():
    """New, whole and with every other shard missing: processor time in proportion, far below ten seconds."""
    from simcore.sweep.agenda import Agenda
    from simcore.sweep.store import RunDirectory

    count = 100_000
    sweep = Configuration.from_mapping(
        {"landscape": [{"name": "spherical_spin", "n": 8, "p": 3}], "search": {"method": "walk", "draws": count}}
    )
    began = time.thread_time()
    new = Agenda(RunDirectory("none"), sweep, set(), None)
    assert new.total == count
    half = {shard for shard in new.remaining() if shard.first_draw % 2}
    assert Agenda(RunDirectory("none"), sweep, half, None).total == count // 2
    assert Agenda(RunDirectory("none"), sweep, set(new.remaining()), None).empty
    assert time.thread_time() - began < 8
