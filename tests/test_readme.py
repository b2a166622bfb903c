"""README.md is executed: its Python runs, and what it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_first_screen_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert snippets, "README.md shows no Python"
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


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
        assert list(ROOT.glob(name.rstrip("/"))), f"ARCHITECTURE.md names {name}"


def test_ci_finds_the_test_command():
    block = re.search(r"<!-- test command -->(.*?)<!-- end -->", README, flags=re.DOTALL)
    assert block is not None
    commands = [line for line in block[1].splitlines() if line.startswith("pip install")]
    assert commands == ["pip install '.[test]' && python -m pytest"]
