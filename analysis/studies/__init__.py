"""Published claims, measured again: the registry behind ``simcore reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from analysis.studies.study import Study, write_study
from analysis.writers import Column, Table
from simcore.errors import InputError, unknown_name

STUDIES = (
    "ratio_growth",
    "coin_flip",
    "index_cost",
    "newton_bias",
    "topology_trivialisation",
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
    return import_module(f"analysis.studies.{name}").STUDY


def listing() -> list[str]:
    """Return one line a study: its name and its claim."""
    width = max(map(len, STUDIES))
    return [f"{s.name:<{width}}  {s.claim} {s.source}" for s in map(get, STUDIES)]


def reproduce(
    studies: Sequence[str] | str = (), *, full: bool = False, out: Path | str = "results/reproduce", all: bool = False
) -> None:
    """Measure studies and print their verdicts as one Markdown table, a row a claim.

    A claim that a study contradicts is a result, not a failure.

    Parameters
    ----------
    studies : names; see ``names()``.
    full : the paper's size in place of the quick version (under two minutes a study on two cores).
    out : directory; each study writes into its own subdirectory, and resumes what it finds there.
    all : every study of the registry.

    Raises
    ------
    InputError
        For an unknown name, or none at all.
    """
    chosen = list(STUDIES) if all else [studies] if isinstance(studies, str) else list(dict.fromkeys(studies))
    if not chosen:
        raise InputError(f"no study given; name some of {', '.join(STUDIES)}, or give --all")
    rows = []
    for study in [get(name) for name in chosen]:  # names are checked before anything is measured
        for entry in write_study(study, full, Path(out) / study.name):
            rows.append({"study": study.name, **entry})
    columns = [Column("study", "study"), Column("claim", "claim")]
    columns += [Column(k, k, digits=4) for k in ("reference", "measured", "low", "high")]
    columns += [Column("verdict", "verdict")]
    print(Table(columns, rows, "95 % intervals, simultaneous over each study").markdown().rstrip())
