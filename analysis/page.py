"""``simcore report``: one self-contained page by which a run, or a directory of studies, can be judged and shared.

No script, style or picture comes from elsewhere: figures are inline SVG, so that the file can be mailed, archived and
opened without a network. The same data give the same page, byte for byte.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import simcore
from simcore.errors import InputError

from . import canvas
from .figures import FIGURES_OF_METHOD, draw
from .samples import as_runs, run_provenance
from .tables import provenance_note, run_tables
from .writers import Column, Table

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --good: #1a6b3c; --bad: #9a2b1e; }
body { font: 16px/1.55 Georgia, "Times New Roman", serif; color: var(--ink); background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem;
  border-bottom: 1px solid var(--line); } h3 { font-size: 1.05rem; margin: 1.4rem 0 .3rem; }
p.lead { color: var(--soft); margin-top: 0; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font: .86rem/1.4 system-ui, sans-serif; margin: .6rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; } th { border-bottom: 1.5px solid var(--ink); }
th, td { padding: .18rem .7rem .18rem 0; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody tr:nth-child(even) { background: #f6f8fa; }
td.long { min-width: 15rem; }
pre.audit { white-space: pre-wrap; }
pre { background: #f6f8fa; padding: .7rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
figure { margin: 1rem 0; } figure svg, figure img { max-width: 100%; height: auto; }
figcaption, .notes { color: var(--soft); font-size: .88rem; } .notes p { margin: .2rem 0; }
.verdict { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure, table { break-inside: avoid; } }
"""

LONG = 40
"""Characters of a cell from which on its column gets room for sentences."""

CAPTIONS = {
    "ratio": "Saddles per minimum against the dimension, with 95 % intervals between functions; the exact law where "
    "one is known.",
    "index_cost": "Index fraction against cost at the largest dimension; the exact law in blue where one is known.",
    "spectrum": "Eigenvalues of the Hessian at critical points, by index.",
    "outcomes": "How the starts ended.",
    "coverage": "How nearly all points were found: saturation (left) and hits a point (right).",
}


def report(runs: Sequence[Any] | Any, out: Path | str | None = None) -> Path:
    """Write the page of one or several run directories, or of a directory of ``simcore reproduce``; return its path.

    Parameters
    ----------
    runs : run directories, or one directory of studies.
    out : file ending in .html; default ``report.html`` in the working directory.

    Raises
    ------
    InputError
        For a suffix other than .html, or a directory that is neither a run nor the output of ``simcore reproduce``.
    """
    path = Path(out or "report.html")
    if path.suffix not in (".html", ".htm"):
        raise InputError(f"report file {str(path)!r} ends in {path.suffix!r}; give a name that ends in .html")
    directories = [Path(run) for run in as_runs(runs)]
    if len(directories) == 1 and not (directories[0] / "run.json").is_file() and _studies(directories[0]):
        page = _page_of_studies(directories[0])
    else:
        page = _page_of_runs(directories)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


# ---- runs --------------------------------------------------------------------------------------------------------
def _page_of_runs(runs: list[Path]) -> str:
    from simcore.sweep import verify_run

    facts = [run_provenance(run) for run in runs]
    tables = run_tables(runs)
    parts = [_lead(facts)]
    parts.append("<h2>What was asked</h2>")
    for run, document in zip(runs, facts, strict=True):
        source = run / "config.toml"
        stored = json.dumps(document["configuration"], indent=2)
        asked = source.read_text(encoding="utf-8").strip() if source.is_file() else stored
        parts.append(f"<h3>{_escape(run.name)}</h3><pre>{_escape(asked)}</pre>")
    parts.append("<h2>What was found</h2>")
    parts += [table_html(table) for table in tables]
    for kind in FIGURES_OF_METHOD.get(facts[0]["configuration"]["method"], ()):
        try:
            parts.append(_figure(draw(runs, kind), CAPTIONS[kind]))
        except InputError as error:  # a run without eigenvalues, say: named, not left out in silence
            parts.append(f'<p class="notes">No figure {kind}: {_escape(str(error))}</p>')
    parts.append("<h2>Audit</h2>")
    for run in runs:
        found = verify_run(run)
        mark, word = ("good", "sound") if found.ok else ("bad", "NOT SOUND")
        parts.append(f'<h3>{_escape(run.name)}: <span class="verdict {mark}">{word}</span></h3>')
        parts.append(f'<pre class="audit">{_escape(found.text().replace(str(run), run.name))}</pre>')
    parts.append("<h2>Where it comes from</h2>")
    parts += [f"<p>{_escape(run.name)}: {_escape(provenance_note(run))}</p>" for run in runs]
    parts += [_sessions(run, document) for run, document in zip(runs, facts, strict=True)]
    return _page("simcore report: " + ", ".join(run.name for run in runs), parts)


def _lead(facts: list[dict[str, Any]]) -> str:
    names = dict.fromkeys(c["name"] for f in facts for c in f["configuration"]["combinations"])
    methods = dict.fromkeys(f["configuration"]["method"] for f in facts)
    seeds = dict.fromkeys(str(f["configuration"]["seed"]) for f in facts)
    return (
        f'<p class="lead">Critical points of {_escape(", ".join(names))}, by method {_escape(", ".join(methods))}, '
        f"seed {_escape(', '.join(seeds))}.</p>"
    )


def _sessions(run: Path, document: dict[str, Any]) -> str:
    rows = []
    for number, session in enumerate(document.get("sessions", []), 1):
        software = session.get("software", {})
        rows.append(
            {
                "session": number,
                "began": str(session.get("started", session.get("began", ""))),
                "software": ", ".join(f"{k} {v}" for k, v in software.items() if isinstance(v, str)),
                "processor": str(session.get("machine", {}).get("processor", session.get("processor", ""))),
            }
        )
    columns = [Column(key, key) for key in ("session", "began", "software", "processor")]
    return table_html(Table(columns, rows, f"Sessions of {run.name}")) if rows else ""


# ---- studies -----------------------------------------------------------------------------------------------------
def _studies(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob("*/verdict.json"))


def _page_of_studies(directory: Path) -> str:
    from .studies import names
    from .studies.study import verdict_table
    from .studies.summary import summary_table
    from .studies.verdicts import read_verdicts

    found = read_verdicts(directory, names())
    old = [name for name, entries in found.items() if not all("expected" in entry for entry in entries)]
    verdicts = {name: entries for name, entries in found.items() if name not in old}
    if not verdicts:
        raise InputError(f"all studies in {directory} were written by an older version; run `simcore reproduce` again")
    parts = ['<p class="lead">Published claims, measured again; each is judged as its source words it.</p>']
    if old:
        parts.append(
            f"<p>Left out, since an older version wrote them: {_escape(', '.join(old))}. <code>simcore reproduce "
            f"{_escape(' '.join(old))}</code> measures them anew.</p>"
        )
    parts.append("<h2>Summary</h2>")
    parts.append(table_html(summary_table(verdicts)))
    for name in verdicts:
        parts.append(f'<h2 id="{_escape(name)}">{_escape(name)}</h2>')
        text = (directory / name / "table.md").read_text(encoding="utf-8").splitlines()
        about = [line for line in text[1:6] if line and not line.startswith("|")]
        parts += [f"<p>{_escape(line)}</p>" for line in about[:1]]
        picture = directory / name / "figure.png"
        if picture.is_file():
            data = base64.b64encode(picture.read_bytes()).decode()
            parts.append(f'<figure><img alt="figure of {_escape(name)}" src="data:image/png;base64,{data}"></figure>')
        parts.append(table_html(verdict_table(verdicts[name])))
        parts += [f'<p class="notes">{_escape(line)}</p>' for line in text if line.startswith("Made by ")]
    return _page("simcore: published claims, measured again", parts)


# ---- pieces ------------------------------------------------------------------------------------------------------
def table_html(table: Table) -> str:
    """Return a table as HTML: caption, right-aligned numbers, notes below; every cell escaped."""
    numeric, headings, cells = table.texts()
    longest = [max(map(len, column), default=0) for column in zip(*cells, strict=True)] or [0] * len(numeric)
    kinds = ["number" if right else "long" if most > LONG else "" for right, most in zip(numeric, longest, strict=True)]
    marks = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(f"<th{mark}>{_escape(text)}</th>" for mark, text in zip(marks, headings, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{_escape(text)}</td>" for mark, text in zip(marks, row, strict=True)) + "</tr>\n"
        for row in cells
    )
    caption = f"<caption>{_escape(table.caption)}</caption>" if table.caption else ""
    notes = "".join(f"<p>{_escape(note)}</p>" for note in table.notes)
    return (
        f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        f'<div class="notes">{notes}</div>'
    )


def _figure(figure: Any, caption: str) -> str:
    target = io.StringIO()
    with canvas.style():
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": "simcore"})
    drawing = target.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    return f"<figure>{drawing}<figcaption>{_escape(caption)}</figcaption></figure>"


def _page(title: str, parts: Sequence[str]) -> str:
    cite = (
        f"The simcore developers. simcore {simcore.__version__}: critical points of random functions and small neural "
        "networks, counted honestly and fast. The exact laws' own papers are cited in the docstrings of simcore.theory."
    )
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{_escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{_escape(title)}</h1>\n{body}\n"
        f"<h2>How to cite</h2>\n<p>{_escape(cite)}</p>\n</body>\n</html>\n"
    )


def _escape(text: str) -> str:
    return html.escape(str(text), quote=True)
