"""Published claims, measured again: the registry behind ``simcore reproduce``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from simcore.errors import InputError, SimcoreError, unknown_name

from . import together
from .study import Study, write_study
from .summary import summary_table, write_summary
from .verdicts import read_verdicts

STUDIES = (
    "ratio_growth",
    "coin_flip",
    "index_cost",
    "newton_bias",
    "topology_trivialisation",
    "fluctuations",
    "completeness",
    "baldi_hornik_1989",
    "small_network_minima",
    "weight_symmetry",
    "deeper_linear",
    "dauphin_2014",
    "choromanska_2014",
    "pennington_bahri_2017",
    "saddle_escape",
    "saxe_2013",
    "minibatch_gradient",
    "ill_conditioning",
    "gradient_norm_test",
    "goodfellow_2015",
)
"""Names of the studies; the module of the same name holds ``STUDY``."""


def names() -> list[str]:
    """Return the names of the studies."""
    return list(STUDIES)


def get(name: str) -> Study:
    """Return a study by name; ``InputError`` with the choices for an unknown one."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return import_module(f"simcore_analysis.studies.{name}").STUDY


def listing() -> list[str]:
    """Return one line a study: its name and its claim."""
    width = max(map(len, STUDIES))
    return [f"{s.name:<{width}}  {s.claim} {s.source}" for s in map(get, STUDIES)]


def reproduce(
    studies: Sequence[str] | str = (), *, full: bool = False, out: Path | str = "results/reproduce", all: bool = False
) -> bool:
    """Measure studies, print their verdicts as one Markdown table, a row a claim; return whether all could be measured.

    A claim that a study contradicts is a result, not a failure.

    Parameters
    ----------
    studies : names; see ``names()``.
    full : more functions, starts and steps than the quick version (under two minutes a study on two cores).
    out : directory; each study writes into its own subdirectory, and resumes what it finds there.
    all : every study of the registry, as many at once as there are processors, one each; the table is written too, as
        ``summary.md``, ``summary.tex``, ``summary.csv``. A study that fails is named, and the others go on.

    Raises
    ------
    InputError
        For an unknown name, or none at all; where a package is missing that a study needs (not with ``all``).
    RunError
        If a study's run fails (not with ``all``).
    """
    chosen = list(STUDIES) if all else [studies] if isinstance(studies, str) else list(dict.fromkeys(studies))
    if not chosen:
        raise InputError(f"no study given; name some of {', '.join(STUDIES)}, or give --all")
    known = [get(name) for name in chosen]  # names are checked before anything is measured
    if all and together.possible():
        failed = together.measured_together(chosen, full, Path(out))
        read = read_verdicts(Path(out), chosen)
        verdicts = {name: read[name] for name in chosen if name not in failed}
    else:
        verdicts, failed = _one_by_one(known, full, Path(out), stop=not all)
    table = summary_table(verdicts, failed)
    if all:
        write_summary(table, Path(out))
    print(table.markdown().rstrip())
    return not failed


def _one_by_one(
    known: Sequence[Study], full: bool, out: Path, stop: bool
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Return the verdicts by study and the names of those that failed; ``stop``: raise at the first that fails."""
    verdicts: dict[str, list[dict[str, Any]]] = {}
    failed = []
    for number, study in enumerate(known, 1):
        began = time.monotonic()
        try:
            verdicts[study.name] = write_study(study, full, out / study.name, len(STUDIES))
        except SimcoreError as error:
            if stop:
                raise
            failed.append(study.name)
            print(f"simcore: {study.name} failed: {error}", file=sys.stderr)
            continue
        took = f"claims {len(verdicts[study.name])}, {time.monotonic() - began:.0f} s"
        print(f"simcore: study {number} of {len(known)}, {study.name}: {took}", file=sys.stderr)
    return verdicts, failed
