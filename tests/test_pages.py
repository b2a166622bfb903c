"""The hook that runs pages of the documentation while the site is built, and draws their formulas."""

import importlib.util

import pytest
from places import ROOT

spec = importlib.util.spec_from_file_location("pages", ROOT / ".ci" / "pages.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)

PAGE = """Text.

```python
x = 6
print(x * 7)
```

```sh
echo from a shell
```

```toml
n = 1
```

```python
from matplotlib import pyplot
pyplot.plot([0, 1]); print(x)
```
"""


def test_what_a_block_prints_and_draws_stands_below_it():
    page, figures = pages.executed(PAGE, "page")
    assert page.index("print(x * 7)") < page.index("```text\n42\n```") < page.index("```text\nfrom a shell\n```")
    assert page.index("```text\n6\n```") < page.index("![Figure of the code above](page-1.svg)")
    assert list(figures) == ["page-1.svg"] and b"<svg" in figures["page-1.svg"]


@pytest.mark.parametrize("block", ["```python\n1 / 0\n```\n", "```sh\nfalse\n```\n"])
def test_an_error_ends_the_build(block):
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        pages.executed(block, "page")


def test_formulas_are_drawn_and_code_is_left_alone():
    page = pages.typeset("$E[N_k]$, `$x$`, 5$ and 6$.\n\n$$\\int f$$\n\n```sh\necho $HOME $PATH\n```\n")
    assert page.count("<svg") == 2 and 'aria-label="E[N_k]"' in page and 'aria-label="\\int f"' in page
    assert "`$x$`" in page and "5$ and 6$" in page and "echo $HOME $PATH" in page


RUNNING = sorted(p for p in (ROOT / "docs").rglob("*.md") if p.read_text(encoding="utf-8").startswith("---\nrun: true"))


def test_the_pages_that_run_are_there():
    assert {"gallery.md", "ways.md", "first_counts.md", "paper_table.md"} <= {path.name for path in RUNNING}


@pytest.mark.long  # a build of the site runs them too
@pytest.mark.parametrize("path", RUNNING, ids=lambda path: path.stem)
def test_every_block_of_a_page_runs(path):
    page, _ = pages.executed(path.read_text(encoding="utf-8"), path.stem)
    assert page.count("```") > path.read_text(encoding="utf-8").count("```")  # something was printed below
