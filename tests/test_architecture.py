"""The house keeps its shape: imports point downwards, files stay readable, public names are documented."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest
from places import ROOT

FLOORS = [
    {"simcore.cli", "simcore.plot", "simcore.run"},
    {"analysis", "simcore.benchmarks"},
    {"simcore.sweep"},
    {"simcore.statistics"},
    {"simcore.trajectories"},
    {"simcore.counts"},
    {"simcore.search"},
    {"simcore.proof", "simcore.arcs"},
    {"simcore.networks"},
    {"simcore.landscapes"},
    {"simcore.info"},
    {"simcore.backends"},
    {"simcore.theory"},
    {"simcore.formulas"},
    {"simcore.plugins", "simcore.compilation", "simcore.domains", "simcore.steps"},
    {"simcore.checked_cache", "simcore.progress"},
    {"simcore.arrays", "simcore.completion", "simcore.validate"},
    {"simcore.blas", "simcore.errors", "simcore.forks", "simcore.interrupt"},
]
"""Rooms from the top; a room imports only rooms below it. ``simcore/__init__.py`` names all and imports none."""

HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}
SOURCES = sorted(path for top in ("simcore", "analysis") for path in (ROOT / top).rglob("*.py"))
MOST_LINES = 600


def room_of(module: str) -> str:
    parts = module.split(".")
    return "analysis" if parts[0] == "simcore_analysis" else ".".join(parts[:2])


def module_name(path: Path) -> str:
    """Return the name under which a file is imported: the folder analysis/ is installed as simcore_analysis."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return f"simcore_{name}" if name.startswith("analysis.") else name


def source(node: ast.ImportFrom, path: Path) -> str:
    """Return the module that a ``from`` statement names, in full."""
    if not node.level:
        return node.module or ""
    above = module_name(path).split(".")[: -node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return the import statements of a file, anywhere, but for those that only a type checker sees."""
    nodes = list(ast.walk(tree(path)))
    hidden = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in hidden]


def imported(path: Path):
    """Yield the modules that a file imports."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            module = source(node, path)
            yield from ([f"simcore.{a.name}" for a in node.names] if module == "simcore" else [module])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    own = room_of(module_name(path))
    if own in ("simcore.__init__", "simcore.__main__"):
        return
    assert own in HEIGHT, f"{own} has no floor in this test's list; give it one"
    for module in imported(path):
        room = room_of(module)
        if room in HEIGHT and room != own:
            assert HEIGHT[room] < HEIGHT[own], f"{own} imports {module}, which is not below it"


def test_no_import_goes_round_in_a_circle():
    """Not even one inside a function: each module can be understood after those that it imports."""
    modules = {module_name(p).removesuffix(".__init__"): p for p in SOURCES}
    needs = {}
    for name, path in modules.items():
        named = set()
        for node in statements(path):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            else:
                module = source(node, path)
                named |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        packages = {name.rsplit(".", part)[0] for part in range(1, name.count(".") + 1)}  # hand names on, lazily
        needs[name] = {other for other in named if other in modules} - {name} - packages
    ready: set[str] = set()
    while free := {name for name in needs if name not in ready and needs[name] <= ready}:
        ready |= free
    assert set(needs) - ready == set()


def test_only_the_doors_import_the_analysis():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == "simcore" and any(room_of(m) == "analysis" for m in imported(path))
    }
    assert users == {"simcore/cli.py", "simcore/plot.py"}


def test_no_file_is_too_long():
    long = {p.relative_to(ROOT).as_posix(): n for p in SOURCES if (n := len(p.read_text().splitlines())) > MOST_LINES}
    assert long == {}


def test_every_public_definition_has_a_docstring():
    missing = []
    for path in SOURCES:
        for node in tree(path).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert missing == []


def test_the_compiler_flags_are_in_one_place():
    users = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if "fastmath" in path.read_text(encoding="utf-8") or "njit(" in path.read_text(encoding="utf-8")
    ]
    assert [user for user in users if not user.endswith("compilation.py")] == []


def test_every_package_is_installed():
    """pyproject.toml lists the packages by hand, since one of them has another name than its folder."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {module_name(path).removesuffix(".__init__") for path in SOURCES if path.name == "__init__.py"}
    assert settings["packages"] == sorted(packages)


def test_every_room_has_its_line():
    """The table of rooms in ARCHITECTURE.md names every room of the floors above, and none that is not there."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("`simcore/__init__.py` names")]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = [
        path.removesuffix(".py").rstrip("/").replace("/", ".") for c in cells for path in re.findall(r"`([^`]+)`", c)
    ]
    assert sorted(named) == sorted(set().union(*FLOORS))


def test_no_function_is_too_long():
    """Kernels and signatures with their docstrings aside, a function is read at a glance."""
    long = []
    for path in SOURCES:
        if {"cpu", "cuda", "arcs"} & set(path.parts):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and "jit" not in map(ast.unparse, node.decorator_list):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > 100:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {lines}")
    assert long == []


def test_a_draw_goes_from_configuration_to_table_in_ten_hops():
    """Each hop that ARCHITECTURE.md names is a definition of the file that it names."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    walk = text[text.index("## One draw") : text.index("## Contracts")]
    hops = re.findall(r"^(\d+)\. `([\w/.]+)` `(\w+)`", walk, flags=re.M)
    assert [int(number) for number, _, _ in hops] == list(range(1, len(hops) + 1)) and 5 <= len(hops) <= 10
    for _, path, name in hops:
        defined = {node.name for node in tree(ROOT / path).body if hasattr(node, "name")}
        assert name in defined, f"{path} defines no {name}"


EXERCISED = {
    "simcore.__main__": ("test_cli.py", '"-m", "simcore"'),
    "simcore.interrupt": ("test_progress_of_calls.py", "SIGINT"),
    "simcore.info": ("test_cli.py", '"info"'),
    "simcore.arcs.walk": ("arcs/test_arc_walk.py", "test_compiled_walk_is_its_twin"),
    "simcore.backends.cpu.marquardt": ("search/test_network_search.py", "LevenbergMarquardt"),
    "simcore.backends.cpu.network_layout": ("backends/cpu/test_network_kernel.py", "network_points"),
    "simcore.backends.cpu.outer": ("backends/cpu/test_network_kernel.py", "network_points"),
    "simcore.backends.cpu.regularised": ("search/test_regularised_newton.py", "regularised_newton"),
    "simcore.backends.cpu.small": ("backends/cpu/test_cpu_backend.py", "solve_alone"),
    "simcore.backends.cpu.sphere": ("conformance/test_every_backend_and_family.py", "family"),
    "simcore.backends.cpu.spin": ("conformance/test_every_backend_and_family.py", "family"),
    "simcore.backends.cuda.loop": ("backends/cuda/test_newton.py", "newton"),
    "simcore.backends.cuda.monomials": ("backends/cuda/test_pool.py", "SphericalSpin"),
    "simcore.backends.cuda.spin": ("backends/cuda/test_newton.py", "SphericalSpin"),
    "simcore.backends.cuda.spin_pool": ("backends/cuda/test_pool.py", "SphericalSpin"),
    "simcore.backends.families.wave_bounds": ("search/test_search_certify.py", "_wave_terms"),
    "simcore.benchmarks.dgemm": ("benchmarks/test_benchmarks.py", "test_the_ceiling_is_the_best_core_type"),
    "simcore.benchmarks.micro_kernel": ("benchmarks/test_benchmarks.py", "micro_kernel"),
    "simcore.benchmarks.timing": ("benchmarks/test_benchmarks.py", "us_per_start_iteration"),
    "simcore.benchmarks.walk": ("benchmarks/test_benchmarks.py", "test_walk_times_whole_counts"),
    "simcore.counts.beginnings": ("counts/test_estimate_counts.py", "estimate_counts"),
    "simcore.counts.records": ("counts/test_estimate_counts.py", "estimate_counts"),
    "simcore.counts.result": ("counts/test_estimate_counts.py", "diagnostics"),
    "simcore.counts.shards": ("sweep/test_sweep_walk.py", "walk"),
    "simcore.networks.base": ("networks/test_network_derivatives.py", "MLP"),
    "simcore.sweep.compute": ("sweep/test_sweep_runs.py", "test_the_size_of_shards_changes_no_bit"),
    "simcore.sweep.dask_worker": ("sweep/test_sweep_dask.py", "dask"),
    "simcore.sweep.local": ("sweep/test_sweep_runs.py", "test_worker_processes_and_their_number_change_no_bit"),
    "simcore.sweep.merge": ("sweep/test_sweep_parts.py", "merge"),
    "simcore.sweep.repair": ("sweep/test_sweep_runs.py", "test_a_lost_run_json_is_made_again_from_the_shards"),
    "simcore.trajectories.flow": ("trajectories/test_trajectory.py", "test_gradient_flow_of_a_quadratic"),
    "simcore.trajectories.paths": ("trajectories/test_trajectory.py", "gradient_descent"),
    "simcore_analysis.disconnectivity": ("search/test_graph.py", "simcore.plot.disconnectivity"),
    "simcore_analysis.plots": ("analysis/test_doors.py", "plot"),
}
"""Modules that no test imports, since nothing calls them but others: the test that goes through them, and a word of it.
A module that is not here is imported by a test, offers a public name that one uses, or has a test file of its name."""


def named_in(texts: dict[Path, str]) -> set[str]:
    """Return the modules that tests import, or whose public names they use."""
    named = set()
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text, str(path))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    used = set(re.findall(r"\bsimcore\.(\w+)", "\n".join(texts.values())))
    for node in ast.walk(ast.parse((ROOT / "simcore" / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in used:
                    named |= {node.module or "", f"{node.module}.{alias.name}"}
    return named


def test_every_module_has_its_test():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    named, files = named_in(texts), {(path.parent.name, path.stem): path for path in texts}
    missing = []
    for path in SOURCES:
        name = module_name(path).removesuffix(".__init__")
        room, stem = path.parent.name, path.stem
        room = "tests" if path.parent == ROOT / "simcore" else room
        mirrored = any((room, f"test_{prefix}{stem}") in files for prefix in ("", f"{room}_"))
        if name in named or mirrored or path.name == "__init__.py":
            continue
        if name not in EXERCISED:
            missing.append(name)
        else:
            file, word = EXERCISED[name]
            assert word in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file} has no word {word} for {name}"
    assert missing == [], "give each a test, or the place of one that goes through it in EXERCISED"
