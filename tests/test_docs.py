"""The documentation holds all public names and no others; its pages are all in the navigation."""

import re

from places import ROOT

import simcore


def test_the_reference_lists_every_public_name_once():
    listed = re.findall(r"^::: simcore\.(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.M)
    assert sorted(listed) == sorted(set(simcore.__all__) - {"__version__"})


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"([\w/]+\.md)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == listed
