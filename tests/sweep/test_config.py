# ruff: noqa: E501
"""Configuration files: what is accepted means what it says, what is not is refused in one line."""

import math
import os
import subprocess
import sys
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweep_tools import ROOT, environment, one_line, write

from simcore.errors import InputError
from simcore.sweep.config import SEARCH, Configuration, canonical_json, read_configuration

GOOD = {
    "seed": 7,
    "landscape": [{"name": "spherical_spin", "n": [4, 6], "p": 3}, {"name": "torus_field", "n": 2}],
    "search": {"method": "enumerate", "draws": 40, "starts": 64},
    "solver": {"step_cap": 0.5},
}


def changed(**changes):
    """Return GOOD with dotted keys set, or removed where the value is ``...``."""
    tables = {
        k: dict(v) if isinstance(v, dict) else [dict(t) for t in v] if isinstance(v, list) else v
        for k, v in GOOD.items()
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        table = tables
        for parent in parents:
            table = table[0 if parent == "0" else parent]
        if value is ...:
            del table[key]
        else:
            table[key] = value
    return tables


# ---- what is accepted --------------------------------------------------------------------------------------------
def test_lists_are_products_in_the_order_of_the_file():
    tables = changed(landscape=[{"name": "gaussian_field", "n": [2, 3], "features": [8, 16]}], search__method="newton")
    made = Configuration.from_mapping(tables)
    assert [(c["n"], c["features"]) for c in made.combinations] == [(2, 8), (2, 16), (3, 8), (3, 16)]
    assert made.landscape(3).features == 16


@pytest.mark.parametrize(
    "method, starts", [("newton", 256), ("enumerate", 512), ("ball", 512), ("walk", 1), ("paths", 1)]
)
def test_each_method_has_its_number_of_starts(method, starts):
    """Part of what a configuration means: another default would give a run of the same file other rows."""
    field = {"ball": "gaussian_field"}.get(method, "spherical_spin")
    tables = {"landscape": [{"name": field, "n": 5}], "search": {"method": method, "draws": 1}}
    assert Configuration.from_mapping(tables).starts == starts


def test_a_parameter_that_is_a_list_itself_takes_a_list_of_lists():
    example = next(iter(tomllib.loads(_example("linear_network"))["landscape"]))
    base = {"search": {"method": "newton", "draws": 1}}
    one = Configuration.from_mapping({**base, "landscape": [example]})
    assert [entry["widths"] for entry in one.combinations] == [example["widths"]]
    both = [example["widths"], [*example["widths"][:-1], 1, example["widths"][-1]]]
    two = Configuration.from_mapping({**base, "landscape": [{**example, "widths": both}]})
    assert [entry["widths"] for entry in two.combinations] == both


def _example(name):
    from simcore.landscapes import registry

    return registry.example_configuration(name)


def test_numbers_with_and_without_a_point_are_the_same_sweep():
    hashes = {Configuration.from_mapping(changed(solver__step_cap=cap)).hash for cap in (1, 1.0)}
    assert len(hashes) == 1


def test_the_example_of_every_landscape_is_a_good_configuration():
    from simcore.landscapes import registry

    for name in registry.names():
        made = Configuration.from_mapping(tomllib.loads(registry.example_configuration(name)))
        assert made.combinations[0]["name"] == name


def test_a_configuration_survives_its_dictionary():
    import json

    made = Configuration.from_mapping(changed(seed=2**64 - 1))
    again = Configuration.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made and again.hash == made.hash and again.seed == 2**64 - 1


def test_the_hash_leaves_out_how_many_draws_and_nothing_else():
    base = Configuration.from_mapping(GOOD)
    more = Configuration.from_mapping(changed(search__draws=80))
    until = Configuration.from_mapping(changed(search__draws=..., search__target_error=0.1, search__max_draws=640))
    assert base.hash == more.hash == until.hash
    different = [
        changed(seed=8), changed(landscape__0__p=4), changed(search__starts=65), changed(search__positions=True),
        changed(search__spectrum=True), changed(search__max_starts=9999), changed(solver__tolerance=1e-9),
        changed(search__method="newton"), changed(landscape__0__n=[6, 4]),
    ]  # fmt: skip
    hashes = {Configuration.from_mapping(tables).hash for tables in different}
    assert len(hashes) == len(different) and base.hash not in hashes


def test_the_same_sweep_written_otherwise_has_the_same_hash():
    one = Configuration.from_mapping(GOOD)
    tables = changed(search__start_law="uniform")
    tables["landscape"] = [
        {"name": "spherical_spin", "n": 4},
        {"p": 3, "n": 6, "name": "spherical_spin"},
        GOOD["landscape"][1],
    ]
    two = Configuration.from_mapping(tables)
    assert canonical_json(one.combinations) == canonical_json(two.combinations)
    assert one.hash == Configuration.from_mapping(tables | {"search": GOOD["search"]}).hash == two.hash


def test_looks_double_from_64_and_end_at_max_draws():
    until = Configuration.from_mapping(changed(search__draws=..., search__target_error=0.1, search__max_draws=300))
    assert list(until.looks()) == [64, 128, 256, 300]
    assert list(Configuration.from_mapping(GOOD).looks()) == [40]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"search__draws": 39}, "only be raised"),
        ({"seed": 8}, "seed is 8 here and 7 there"),
        ({"search__starts": 65}, "starts is 65"),
        ({"search__draws": ..., "search__target_error": 0.1, "search__max_draws": 64}, None),
    ],
)
def test_a_run_may_be_continued_with_more_draws_only(change, words):
    objection = Configuration.from_mapping(changed(**change)).extends(Configuration.from_mapping(GOOD))
    assert objection is None if words is None else words in objection


# ---- what is refused ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change, words",
    [
        ({"sead": 1}, ["'sead'", "did you mean 'seed'"]),
        ({"seed": -1}, ["seed is -1", "from 0 to 18446744073709551615"]),
        ({"seed": 2**64}, ["seed is 18446744073709551616"]),
        ({"seed": True}, ["seed is true"]),
        ({"seed": 1.0}, ["seed is 1.0", "whole number"]),
        ({"seed": "1"}, ["seed is '1'"]),
        ({"landscape": ...}, ["[[landscape]]"]),
        ({"landscape": []}, ["[[landscape]]"]),
        ({"landscape": {"name": "torus_field", "n": 2}}, ["two brackets"]),
        ({"landscape": ["torus_field"]}, ["'torus_field'", "table"]),
        ({"landscape__0__name": "sperical_spin"}, ["did you mean 'spherical_spin'"]),
        ({"landscape__0__name": 3}, ["name 3", "torus_field"]),
        ({"landscape__0__name": ...}, ["torus_field"]),
        ({"landscape__0__q": 3}, ["'q'", "n, name, p"]),
        ({"landscape__0__n": []}, ["n is an empty list"]),
        ({"landscape__0__n": [4, 4]}, ["twice"]),
        ({"landscape__0__n": [4, -6]}, ["-6"]),
        ({"landscape__0__n": True}, ["n", "true"]),
        ({"landscape__0__n": 4.5}, ["4.5"]),
        ({"landscape__0__n": math.nan}, ["nan", "finite"]),
        ({"landscape__0__n": math.inf}, ["inf"]),
        ({"landscape__0__n": 10**60}, ["more than 40 digits"]),
        ({"landscape__0__n": "4"}, ["'4'"]),
        ({"landscape__0__n": {"a": 1}}, ["n"]),
        ({"landscape__0__p": 1}, ["p is 1"]),
        ({"landscape": [{"name": "torus_field", "n": 40}]}, ["torus_field", "n=40"]),
        ({"landscape": [{"name": "gaussian_field", "n": list(range(1, 200)), "features": list(range(1, 200))}], "search__method": "newton"}, ["10000 combinations"]),
        ({"search": ...}, ["[search]"]),
        ({"search": 3}, ["search is 3"]),
        ({"search__method": ...}, ["method"]),
        ({"search__method": "enumarate"}, ["did you mean 'enumerate'"]),
        ({"search__method": 1}, ["search.method is 1", "newton, enumerate, ball"]),
        ({"search__draw": 10}, ["'draw'", "did you mean 'draws'"]),
        ({"search__draws": 0}, ["search.draws is 0", "from 1"]),
        ({"search__draws": 1e3}, ["search.draws is 1000.0"]),
        ({"search__draws": [1, 2]}, ["search.draws is [1, 2]"]),
        ({"search__draws": ...}, ["draws", "target_error"]),
        ({"search__target_error": 0.1}, ["draws and also target_error"]),
        ({"search__draws": ..., "search__target_error": 0.1}, ["max_draws"]),
        ({"search__draws": ..., "search__target_error": math.nan, "search__max_draws": 64}, ["nan", "between 0 and 1"]),
        ({"search__draws": ..., "search__target_error": 0, "search__max_draws": 64}, ["between 0 and 1"]),
        ({"search__draws": ..., "search__target_error": 0.1, "search__max_draws": 63}, ["max_draws is 63", "from 64"]),
        ({"search__starts": 2**32}, ["search.starts"]),
        ({"search__max_starts": 63}, ["max_starts is 63", "starts = 64"]),
        ({"search__method": "newton", "search__max_starts": 640}, ["does not use it"]),
        ({"search__start_law": "uniforn"}, ["did you mean 'uniform'"]),
        ({"search__start_law": 3}, ["search.start_law is 3"]),
        ({"search__radius": 1.0}, ["does not use it"]),
        ({"search__method": "ball"}, ["spherical_spin", "not a stationary random field"]),
        ({"landscape__0__n": [24], "search__prove": True}, ["search.prove is true", "spherical_spin", 'prove = "auto"']),
        ({"landscape__0__n": [18], "search__starts": 0}, ["search.starts is 0", "spherical_spin", "prove = true"]),
        ({"search__method": "paths", "search__starts": ...}, ["search.method", "TorusField(n=2)", "3-spin"]),
        ({"landscape": [{"name": "gaussian_field", "n": 2}], "search__method": "ball", "search__radius": 0}, ["above 0"]),
        ({"landscape": [{"name": "gaussian_field", "n": 2}], "search__method": "ball", "search__start_law": "normal"}, ["does not use it"]),
        ({"search__positions": 1}, ["search.positions is 1", "true or false"]),
        ({"solver__tol": 1}, ["'tol'", "did you mean 'tolerance'"]),
        ({"landscape__0__N": 3}, ["'N'", "did you mean 'n'"]),
        ({"landscape__0__name": ...}, ["has no name", "spherical_spin"]),
        ({"solver__stepcap": 1}, ["did you mean 'step_cap'"]),
        ({"solver__step_cap": -1.0}, ["step_cap is -1.0"]),
        ({"solver__step_cap": True}, ["step_cap"]),
        ({"solver__tolerance": math.nan}, ["solver.tolerance is nan"]),
        ({"solver__method": "newtom"}, ["did you mean 'newton'"]),
        ({"solver__method": 3}, ["solver.method is 3"]),
        ({"solver__max_iterations": 0}, ["max_iterations is 0"]),
        ({"solver": []}, ["solver is []"]),
        ({"landscape": [{"name": "gaussian_field", "n": 2}]}, ["gaussian_field", "ball"]),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_is_allowed(change, words):
    with pytest.raises(InputError) as caught:
        Configuration.from_mapping(changed(**change))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "[search]"),
        (b"seed = ", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\x00", "not TOML"),
        (b"a = " + b"[" * 5000, "TOML"),
        (b"#" * (1 << 20) + b"##", "larger"),
        (b"seed = 0x" + b"f" * 5000, "more than 40 digits"),
        (b"seed = [0x" + b"f" * 5000 + b"]", "too long to print"),
        (b"seed = 1\nseed = 2", "not TOML"),
        (b"seed = 1979-05-27", "seed is datetime.date"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_configuration(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_a_directory_and_an_unreadable_file(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError, match="give the path of a TOML file"):
            read_configuration(path)


def test_a_file_can_run_no_code(tmp_path):
    """Text that would act if it were evaluated, formatted or unpickled is only ever text."""
    mark = tmp_path / "acted"
    for text in (
        f"__import__('os').mkdir('{mark}')", "!!python/object/apply:os.system [ls]", "{0.__class__}", "$(touch x)", "%(seed)s",
    ):  # fmt: skip
        for change in (
            {"landscape__0__name": text},
            {"search__method": text},
            {"solver__method": text},
            {"search__start_law": text},
        ):
            with pytest.raises(InputError):
                Configuration.from_mapping(changed(**change))
    assert not mark.exists()


def test_the_command_line_says_one_line_and_leaves_nothing_behind(tmp_path):
    config = write(tmp_path / "config.toml", "seed = 1\n[search]\nmethd = 'newton'\n")
    run = [sys.executable, "-m", "simcore.cli", "run", str(config), "--out", str(tmp_path / "out")]
    done = subprocess.run(run, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "did you mean 'method'" in one_line(done.stderr)
    assert not os.path.exists(tmp_path / "out")


# ---- fuzzing -----------------------------------------------------------------------------------------------------
scalars = st.one_of(
    st.integers(-3, 70), st.integers(), st.integers(2**63 - 2, 2**64 + 2), st.floats(), st.booleans(), st.text(max_size=8),
    st.sampled_from(["auto", "newton", "enumerate", "ball", "uniform", "torus_field", "spherical_spin", "gaussian_field", "box", "inf"]),
    st.dates(), st.times(),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
keys = st.sampled_from(
    ["seed", "landscape", "search", "solver", "name", "n", "p", "m", "features", "frequencies", *SEARCH, "step_cap", "tolerance", "max_iterations"]
) | st.text(max_size=5)  # fmt: skip
numbers = st.integers(1, 40) | st.lists(st.integers(1, 12), min_size=1, max_size=3)
landscape_tables = st.dictionaries(keys, values, max_size=3) | st.fixed_dictionaries(
    {
        "name": st.sampled_from(["torus_field", "spherical_spin", "gaussian_field", "confined_field"]),
        "n": numbers | values,
    },
    optional={
        "p": numbers | values,
        "m": st.floats(0.1, 2) | values,
        "features": numbers | values,
        "frequencies": values,
    },
)
search_tables = st.fixed_dictionaries(
    {"method": st.sampled_from(["newton", "enumerate", "ball"]) | values},
    optional={key: st.integers(1, 1000) | st.floats(0, 1) | values for key in SEARCH if key != "method"}
    | {"odd": values},
)
files = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**64 - 1) | values,
        "landscape": st.lists(landscape_tables, min_size=1, max_size=3) | values,
        "search": search_tables | values,
        "solver": st.dictionaries(
            st.sampled_from(["method", "step_cap", "tolerance", "max_iterations"]) | keys, values, max_size=3
        )
        | values,
        "odd": values,
    },
)
EXAMPLES = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "database": None,
}


def judge(tables):
    """A table is either a configuration that survives its dictionary, or refused in one line of reasonable length."""
    try:
        made = Configuration.from_mapping(tables)
    except InputError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 1000, message
        return False
    assert Configuration.from_dict(made.to_dict()).hash == made.hash
    assert 0 <= made.seed < 2**64 and made.most_draws >= 1 and made.starts >= 1 and made.combinations
    return True


@settings(max_examples=150, derandomize=True, **EXAMPLES)
@given(files)
def test_fuzzed_tables(tables):
    judge(tables)


@settings(max_examples=150, derandomize=True, **EXAMPLES)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 30))
def test_fuzzed_bytes(tmp_path_factory, junk, place, cut):
    """Junk written into a good file, or a piece cut out of it."""
    good = b'seed = 1\n[[landscape]]\nname = "torus_field"\nn = [2, 3]\n[search]\nmethod = "newton"\ndraws = 10\nstarts = 20\n'
    place = min(place, len(good))
    check_bytes(tmp_path_factory.getbasetemp() / "fuzzed.toml", good[:place] + junk + good[place + cut :])


def check_bytes(path, data):
    path.write_bytes(data)
    try:
        read_configuration(path)
    except InputError as error:
        message = str(error)
    else:
        assert judge(tomllib.loads(data.decode()))
        return
    assert "\n" not in message


def test_the_fuzzer_reaches_good_configurations_too():
    """Otherwise the tests above would only ever see refusals."""
    good = 0

    @settings(max_examples=200, derandomize=True, **EXAMPLES)
    @given(
        st.fixed_dictionaries({
            "landscape": st.lists(st.fixed_dictionaries({"name": st.just("torus_field"), "n": st.integers(1, 14)}), min_size=1, max_size=2),
            "search": st.fixed_dictionaries({"method": st.sampled_from(["newton", "enumerate"]), "draws": st.integers(1, 9)}),
        })
    )  # fmt: skip
    def count(tables):
        nonlocal good
        good += judge(tables)

    count()
    assert good > 50


@pytest.mark.long
@settings(max_examples=8000, **EXAMPLES)
@given(files)
def test_fuzzed_tables_at_length(tables):
    judge(tables)


@pytest.mark.long
@settings(max_examples=4000, **EXAMPLES)
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 60))
def test_fuzzed_bytes_at_length(tmp_path_factory, junk, place, cut):
    good = b'seed = 1\n[[landscape]]\nname = "spherical_spin"\nn = [3, 4]\np = 3\n[search]\nmethod = "enumerate"\ndraws = 10\n'
    place = min(place, len(good))
    check_bytes(tmp_path_factory.getbasetemp() / "fuzzed.toml", good[:place] + junk + good[place + cut :])
