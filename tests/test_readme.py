"""README.md is executed: its Python runs, and what it names exists."""

import importlib.util
import re

import pytest
from places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_first_screen_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert snippets, "README.md shows no Python"
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if not page.read_text().startswith("---\nrun: true")]
"""Those that run while the site is built are the business of tests/test_pages.py."""
RECIPES = "own_functions.md"  # files, each run by tests/test_recipes.py


@pytest.mark.parametrize(
    "page", [p.name for p in PAGES if p.name != RECIPES and "```python" in p.read_text(encoding="utf-8")]
)
def test_the_python_of_the_documentation_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for snippet in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        code = compile(snippet, page, "exec")
        if "SLURMCluster" not in snippet:  # needs a cluster
            exec(code, {"__name__": page})


def test_the_first_screen_has_eight_lines_of_python():
    first = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert first is not None
    assert len([line for line in first[1].splitlines() if line.strip()]) == 8


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_to_files_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_files_that_architecture_names_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:simcore|analysis|tests|benchmarks|docs)/[\w/.<>*-]+)`", text)
    assert named
    for name in named:
        assert list(ROOT.glob(re.sub(r"<\w+>", "*", name).rstrip("/"))), f"ARCHITECTURE.md names {name}"


def test_ci_finds_the_test_command():
    block = re.search(r"<!-- test command -->(.*?)<!-- end -->", README, flags=re.DOTALL)
    assert block is not None
    commands = [line for line in block[1].splitlines() if line.startswith("pip install")]
    assert commands == ["pip install '.[test]' && python -m pytest -n 2 --dist worksteal"]


def test_the_configuration_page_names_every_key_and_method():
    from dataclasses import fields

    from simcore.search.solvers import SOLVERS
    from simcore.sweep.config import METHODS, SEARCH

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    ours = {name: kind for name, kind in SOLVERS.items() if kind.__module__.startswith("simcore.")}
    words = [*SEARCH, *METHODS, *ours, *(f.name for kind in ours.values() for f in fields(kind))]
    assert [word for word in words if f"`{word}`" not in page and f'"{word}"' not in page] == []


def test_the_example_of_the_configuration_page_and_of_the_readme_are_valid():
    import tomllib

    from simcore.sweep.config import Configuration

    pages = [README, (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")]
    examples = [block for page in pages for block in re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)]
    assert len(examples) == 2
    for example in examples:
        assert Configuration.from_mapping(tomllib.loads(example)).method == "enumerate"


def test_the_status_page_says_all_statuses():
    from simcore.formulas.outcome import STATUSES

    page = (ROOT / "docs" / "statuses.md").read_text(encoding="utf-8")
    assert [status for status in STATUSES if f"| `{status}`" not in page and f", `{status}`" not in page] == []


def test_the_readme_lists_every_verb():
    from simcore.cli import _parsers

    verbs = _parsers()[1]
    assert [verb for verb in verbs if f"| `simcore {verb}" not in README] == []


def _of_benchmarks(name):
    """Return a script of ``benchmarks`` as a module: the folder is not installed."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_measured_table_is_that_of_the_demo():
    """Every row, odd n and n = 3 too, with its z, and the sentences below: ``python -m benchmarks.readme_table``."""
    script = _of_benchmarks("readme_table")
    rows = script.demo_rows()
    assert len(rows) >= 14
    assert script.BLOCK.search(README)[0] == script.block(rows)
    for row in rows:
        assert f"| `{row['landscape']}` | {row['n']} | " in README


def test_the_table_says_what_it_lacks():
    script = _of_benchmarks("readme_table")
    row = dict(script.demo_rows()[1], complete="39", functions="40", z="")
    assert script.line(row).split(" | ")[2] == "39 of 40"
    assert script.line(row).split(" | ")[6] == "-"
    assert "(not every function enumerated completely" in script.block([*script.demo_rows(), row]).replace("\n", " ")
    assert script.bias([row | {"ratio_hits": "6", "ratio_distinct": "2"}], row["landscape"]) == (3.0, 3.0)


def test_the_row_with_more_draws_is_that_of_its_file():
    import csv

    with (ROOT / "results" / "many_draws" / "spherical_spin_n3.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    said = (
        f"{int(row['functions']):,} further functions of three spins give {float(row['ratio_distinct']):.4f} ± "
        f"{float(row['ratio_distinct_se']):.4f} (exact {float(row['ratio_exact']):.4f}, z = {float(row['z']):+.2f})"
    )
    assert said in " ".join(README.split())
    assert int(row["first_draw"]) >= 40, "functions that the demo has seen"


def test_the_bias_of_hits_is_said_as_it_was_measured():
    """newton_bias judges growth; README must not say more than its verdicts."""
    text = " ".join(README.split())
    assert "For the 3-spin the factor by which hits overstate the ratio grows with n" in text
    assert "for torus fields up to n = 6 it shows no clear trend" in text
    assert "by a factor that grows with the dimension" not in text
