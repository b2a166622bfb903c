"""Pages of the documentation that run while the site is built, and their formulas: a hook of mkdocs.

A page whose front matter says ``run: true`` is executed from top to bottom in a directory of its own: blocks marked
``python`` in one namespace, blocks marked ``sh`` by a shell. What they print and draw appears below each block; an
error ends the build. So pages are plain text in the repository, and what they show is never out of date. With
SIMCORE_PAGES=0 in the environment they are left unrun.

Formulas, ``$...$`` and ``$$...$$``, become inline drawings by matplotlib's typesetter: no script, font or network when
the site is built or read, and no other dependency.
"""

from __future__ import annotations

import contextlib
import functools
import html
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$\n?", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```[ \t]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
DISPLAY, INLINE = (
    re.compile(r"\$\$(.+?)\$\$", re.DOTALL),
    re.compile(r"(?<![\\\w$])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])"),
)
SIZE = 100
"""Units of a drawing that one em of text takes."""
MOST_LINES = 40
"""Lines of output that a page shows of one block."""


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Run a page that asks for it, and typeset the formulas of every page."""
    if page.meta.get("run") and os.environ.get("SIMCORE_PAGES") != "0":
        from mkdocs.structure.files import File

        stem = page.file.src_uri.removesuffix(".md")
        markdown, figures = executed(markdown, Path(stem).name)
        for name, content in figures.items():
            place = f"{stem.rpartition('/')[0]}/{name}".lstrip("/")
            files.append(File.generated(config, place, content=content))
    return typeset(markdown)


@functools.lru_cache(maxsize=64)
def executed(markdown: str, stem: str) -> tuple[str, dict[str, bytes]]:
    """Return a page with what its blocks print and draw below them, and the figures by file name."""
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    figures: dict[str, bytes] = {}

    def run(block: re.Match[str]) -> str:
        kind, source = block[1], block[2]
        if kind not in ("python", "sh"):
            return block[0]
        printed = _python(source, names) if kind == "python" else _shell(source)
        shown = block[0].rstrip() + "\n"
        if printed.strip():
            lines = printed.rstrip().splitlines()
            more = [f"... and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
            shown += "\n```text\n" + "\n".join([*lines[:MOST_LINES], *more]) + "\n```\n"
        for content in _drawn():
            name = f"{stem}-{len(figures) + 1}.svg"
            figures[name] = content
            shown += f"\n![Figure of the code above]({name})\n"
        return shown

    here = os.getcwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        try:
            return FENCE.sub(run, markdown), figures
        finally:
            os.chdir(here)


def _python(source: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "<page>", "exec"), names)
    return printed.getvalue()


def _shell(source: str) -> str:
    """Run commands; ``simcore`` is that of this very interpreter. Messages on standard error are not shown."""
    door = f'simcore() {{ "{sys.executable}" -m simcore "$@"; }}\n'
    done = subprocess.run(["bash", "-e", "-c", door + source], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"a block of the page failed with {done.returncode}:\n{source}\n{done.stderr}")
    return done.stdout


def _drawn() -> list[bytes]:
    """Return the figures that are open, as SVG, and close them."""
    from matplotlib import pyplot
    from simcore_analysis import canvas

    found = []
    for number in pyplot.get_fignums():
        content = io.BytesIO()
        with canvas.style():
            pyplot.figure(number).savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None})
        found.append(content.getvalue())
    pyplot.close("all")
    return found


def typeset(markdown: str) -> str:
    """Return a page with its formulas drawn; code is left alone."""
    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [_formulas(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _formulas(markdown[end:])])


def _formulas(text: str) -> str:
    text = DISPLAY.sub(lambda found: f'<p class="formula">{drawing(" ".join(found[1].split()))}</p>', text)
    return INLINE.sub(lambda found: drawing(found[1]), text)


@functools.lru_cache(maxsize=1024)
def drawing(tex: str) -> str:
    """Return a formula as an inline SVG that takes the size and colour of the text round it."""
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    with matplotlib.rc_context({"mathtext.fontset": "stix"}):
        font = FontProperties(family="STIXGeneral", size=SIZE)
        writer = TextToPath()
        width, height, descent = (v * SIZE / writer.FONT_SCALE for v in _extent(writer, tex))
        points, codes = writer.get_text_path(font, f"${tex}$", ismath=True)
    scale = SIZE / writer.FONT_SCALE
    letters = {1: "M", 2: "L", 3: "Q", 4: "C"}
    path, k = [], 0
    while k < len(codes):
        code = int(codes[k])
        if code == 79:
            path.append("Z")
            k += 1
            continue
        many = {1: 1, 2: 1, 3: 2, 4: 3}[code]
        numbers = " ".join(f"{scale * x:.0f} {-scale * y:.0f}" for x, y in points[k : k + many])
        path.append(letters[code] + numbers)
        k += many
    box = f"0 {descent - height:.0f} {width:.0f} {height:.0f}"
    size = f"width:{width / SIZE:.3f}em;height:{height / SIZE:.3f}em"
    style = f"overflow:visible;{size};vertical-align:{-descent / SIZE:.3f}em"
    return (
        f'<svg class="tex" role="img" aria-label="{html.escape(tex, quote=True)}" viewBox="{box}" style="{style}">'
        f'<path fill="currentColor" d="{"".join(path)}"/></svg>'
    )


def _extent(writer: Any, tex: str) -> tuple[float, float, float]:
    """Return width, height and descent in the writer's units."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family="STIXGeneral", size=writer.FONT_SCALE)
    return writer.get_text_width_height_descent(f"${tex}$", font, ismath=True)  # type: ignore[no-any-return]
