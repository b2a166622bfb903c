"""README.md is executed: its Python runs, and what it names exists."""

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


PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", [p.name for p in PAGES if "```python" in p.read_text(encoding="utf-8")])
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
    "page", ["README.md", "ARCHITECTURE.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
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
    assert commands == ["pip install '.[test]' && python -m pytest"]


def test_the_configuration_page_names_every_key_and_method():
    from dataclasses import fields

    from simcore.search.solvers import SOLVERS
    from simcore.sweep.config import METHODS, SEARCH

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    words = [*SEARCH, *METHODS, *SOLVERS, *(f.name for kind in SOLVERS.values() for f in fields(kind))]
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


def test_the_measured_table_is_that_of_the_demo():
    import csv

    with (ROOT / "results" / "demo" / "table.csv").open(encoding="utf-8") as stream:
        demo = {(row["landscape"], row["n"]): row for row in csv.DictReader(stream)}
    block = re.search(r"<!-- results -->(.*?)<!-- end results -->", README, flags=re.DOTALL)
    assert block is not None
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in block[1].splitlines() if "| `" in line]
    assert len(rows) >= 8
    for name, n, functions, points, ratio, exact, hits, coins in rows:
        row = demo[name, n]
        assert row["complete"] == row["functions"] == functions
        assert row["critical_points"] == points
        assert ratio == f"{float(row['ratio_distinct']):.2f} ± {float(row['ratio_distinct_se']):.2f}"
        assert exact == f"{float(row['ratio_exact']):.2f}"
        assert hits == f"{float(row['ratio_hits']):.1f}"
        assert coins == row["ratio_coin_flip"]
