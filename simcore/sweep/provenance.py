"""Where the numbers come from: ``run.json`` and the facts that every shard's record carries.

``run.json`` holds the schema version, the full configuration with its seed and hash, the backend, the versions of
simcore that were allowed to write, and one entry a *session* (one call of ``simcore run``): when, where, versions,
processor, threads, GPU, git commit, engine, and what it did. Wall and CPU time per shard stand in the shard's record
and, gathered, under ``shards`` once a session ends. Times are for people: nothing is ever decided by a wall clock.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import simcore
from simcore import plugins
from simcore.errors import InputError, RunError
from simcore.sweep.config import Configuration, canonical_json
from simcore.sweep.files import read_document, write_document
from simcore.sweep.lock import gate
from simcore.sweep.store import SCHEMA_VERSION, RunDirectory, check_schema

BLAS = ("internal_api", "version", "architecture")
MOST_GATHERED = 4096
"""Shards up to which run.json repeats the seconds of each: it is read and written whole."""
LIBRARIES = ("numba", "llvmlite", "numpy", "scipy", "pandas", "pyarrow")


def software() -> dict[str, str]:
    """Return versions of simcore, Python and the libraries that make the numbers, the git commit if any, and the
    SHA-256 of each plugin's file."""
    return {
        **_software(),
        "simcore": simcore.__version__,
        **{f"plugin {name}": digest for name, digest in plugins.sources().items()},
    }


@cache
def _software() -> dict[str, str]:
    from importlib import metadata

    found = {"simcore": simcore.__version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    commit = git_commit()
    return found | ({"commit": commit} if commit else {})


@cache
def git_commit() -> str | None:
    """Return the commit of the checkout that simcore runs from, "+changes" where files differ, None outside one."""
    root = Path(simcore.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        options: dict[str, Any] = {"cwd": root, "capture_output": True, "text": True, "timeout": 10, "check": True}
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **options).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **options).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


@cache
def machine() -> dict[str, Any]:
    """Return the host, its processor and vector features, its threads and its GPUs."""
    from simcore import info

    try:
        import llvmlite.binding as llvm

        name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
        devices = info.gpu()["devices"]
    except Exception as error:  # provenance must never stop a sweep
        name, devices = f"unknown ({type(error).__name__}: {error})", []
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": name,
        "features": instruction_set(),
        "processors": os.cpu_count(),
        "usable": info.usable_processors(),
        "gpu": devices,
    }


def instruction_set() -> str:
    """Return the vector features that rows may depend on, as one word."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME")
    if name:
        return f"{platform.machine()}:{name}:{os.environ.get('NUMBA_CPU_FEATURES', '')}"
    features = llvm.get_host_cpu_features()
    return "+".join([platform.machine(), *(f for f in ("fma", "avx2", "avx512f", "neon", "sve") if features.get(f))])


@cache
def arithmetic() -> str:
    """Return what rows' last digits depend on beside simcore: libraries, each BLAS and its core type, vector features.

    LAPACK's eigenvalues differ in rounding between the kernels that OpenBLAS chooses for a processor.
    """
    import scipy.linalg  # noqa: F401 (NumPy and SciPy bring a BLAS each, which is seen once it is loaded)
    from threadpoolctl import threadpool_info

    known = software()
    libraries = [f"{name} {known[name]}" for name in ("numpy", "scipy", "numba", "llvmlite") if name in known]
    found = (one for one in threadpool_info() if one["user_api"] == "blas")
    blas = sorted({" ".join(str(one.get(key)) for key in BLAS if one.get(key)) for one in found})
    return ", ".join([*libraries, *blas, instruction_set()])


def now() -> str:
    """Return the time of day in UTC, for people."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def data_hashes(configuration: Configuration) -> list[str | None]:
    """Return the SHA-256 of each combination's training data, None where it has none or draws them afresh.

    What a description does not fix (scikit-learn's digits, a principal component's last digits) is fixed by it.
    """
    from simcore.networks.data import source

    found: dict[str, str | None] = {}
    for combination in configuration.combinations:
        data = combination.get("data")
        key = canonical_json(data)
        if data is not None and key not in found:
            found[key] = source(data).digest()
    return [found.get(canonical_json(combination.get("data"))) for combination in configuration.combinations]


def family_sources(configuration: Configuration) -> dict[str, str]:
    """Return the SHA-256 of the source of each plugin, and of each module that a family of the sweep comes from."""
    from simcore.landscapes import registry

    found = plugins.sources()
    for name in {combination["name"] for combination in configuration.combinations}:
        if registry.is_own(name):
            found |= {module: one for module, one in registry.source_of(name).items() if one not in found.values()}
    return found


def family_facts(configuration: Configuration) -> dict[str, Any]:
    """Return the entries of run.json for families that are not simcore's; none where all are.

    ``families``: what reading needs to know of each combination, so that it need not import the family's module, None
    for simcore's own; ``plugins``: the SHA-256 of each module's sources that was allowed to write.
    """
    from simcore.landscapes import registry, stored

    facts = [
        stored.facts(configuration.landscape(c)) if registry.is_own(entry["name"]) else None
        for c, entry in enumerate(configuration.combinations)
    ]
    if not any(facts):
        return {}
    return {"families": facts, "plugins": {name: [one] for name, one in family_sources(configuration).items()}}


# ---- run.json ----------------------------------------------------------------------------------------------------
def read_run(run: RunDirectory) -> tuple[dict[str, Any], Configuration]:
    """Return run.json and its configuration.

    Raises ``InputError`` where the directory holds no run, ``RunError`` where run.json is damaged.
    """
    from simcore.landscapes import registry

    if not run.path.is_dir():
        raise InputError(f"{run.path} is not a directory; give the directory of a run, the --out of simcore run")
    if not run.information.exists():
        if run.shards():
            raise InputError(f"{run.path} holds shards and no run.json; simcore verify {run.path} --repair writes one")
        raise InputError(f"{run.path} holds no run.json; give the directory of a run, the --out of simcore run")
    document = read_document(run.information)
    check_schema(document, run.information)
    try:
        if "families" in document:
            registry.remember(document["configuration"]["combinations"], document["families"])
        configuration = Configuration.from_dict(document["configuration"])
        document["sessions"], document["versions"], document["backend"]
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.information} does not hold a run that this simcore can read: {error}") from None
    if document.get("configuration_hash") != configuration.hash:
        raise RunError(
            f"{run.information}: the configuration does not match its hash; another version wrote it or it was altered"
        )
    return document, configuration


def open_run(
    run: RunDirectory, configuration: Configuration, *, backend: str, allow_version: bool, source: str
) -> dict[str, Any]:
    """Create a run directory, or check that this configuration may continue the one that is there; return run.json.

    ``source`` is the text of the configuration file, kept beside. Raises ``InputError`` when the directory belongs to
    another configuration, backend or version, before anything in it is touched.
    """
    with gate(run.path):
        return _open_run(run, configuration, backend, allow_version, source)


def _open_run(
    run: RunDirectory, configuration: Configuration, backend: str, allow_version: bool, source: str
) -> dict[str, Any]:
    version = simcore.__version__
    if not run.information.exists():
        _refuse_strangers(run)
        document: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "configuration_hash": configuration.hash,
            "configuration": configuration.to_dict(),
            "seed": str(configuration.seed),
            "data": data_hashes(configuration),
            "backend": backend,
            "versions": [version],
            "arithmetic": [arithmetic()],
            "sessions": [],
            **family_facts(configuration),
        }
        run.create(configuration.method)
        keep_source(run, source)
        write_document(run.information, document)
        return document
    document, before = read_run(run)
    _check_continues(run, configuration, before, document, backend, allow_version)
    run.create(configuration.method)
    if version not in document["versions"]:
        document["versions"].append(version)
    if "arithmetic" in document and arithmetic() not in document["arithmetic"]:
        document["arithmetic"].append(arithmetic())
    for name, digest in family_sources(configuration).items() if "plugins" in document else ():
        known = document["plugins"].setdefault(name, [])
        if digest not in known:
            known.append(digest)
    if configuration.to_dict() != before.to_dict():
        document["configuration"] = configuration.to_dict()
        keep_source(run, source)
    write_document(run.information, document)
    return document


def check_run(run: RunDirectory, configuration: Configuration, *, backend: str, allow_version: bool) -> None:
    """Raise as ``open_run`` would, and touch nothing."""
    if not run.information.exists():
        try:
            return _refuse_strangers(run)
        except InputError:
            if not run.information.exists():  # else another job began the run just now
                raise
    document, before = read_run(run)
    _check_continues(run, configuration, before, document, backend, allow_version)


def _refuse_strangers(run: RunDirectory) -> None:
    """Raise ``InputError`` for a directory without run.json that holds what no run of simcore has just begun with."""
    others = [entry.name for entry in run.path.iterdir() if entry.name != "locks"] if run.path.is_dir() else []
    ours = ("starts", "parts", "points", "counts", "audits", "manifest", "failed", "config.toml")
    strange = [name for name in others if name not in ours and not name.endswith(".tmp")]
    if strange or run.shards():
        what = f"other files ({min(strange)})" if strange else "shards"
        mend = "" if strange else f", or let simcore verify {run.path} --repair write one"
        raise InputError(f"{run.path} holds {what} and no run.json; give --out a new or empty directory{mend}")


def _check_continues(
    run: RunDirectory,
    now: Configuration,
    before: Configuration,
    document: dict[str, Any],
    backend: str,
    allow_version: bool,
) -> None:
    objection = now.extends(before)
    if objection:
        raise InputError(
            f"{run.path} belongs to another configuration: {objection}; give another --out, or the old settings"
        )
    hashes = data_hashes(now)
    if document.get("data", hashes) != hashes:
        raise InputError(
            f"{run.path} was begun with other training data (their hash in run.json differs); restore them, or give "
            "another --out"
        )
    for name, digest in family_sources(now).items() if not allow_version else ():
        if digest not in document.get("plugins", {}).get(name, [digest]):
            raise InputError(
                f"{run.path} was begun with another source of {name} (its SHA-256 in run.json differs); restore it, "
                "give another --out, or give --allow-version where the functions are the same"
            )
    if document["backend"] != backend:
        raise InputError(
            f"{run.path} was begun with backend {document['backend']}, not {backend}; "
            f"give --backend {document['backend']}"
        )
    if simcore.__version__ not in document["versions"] and not allow_version:
        raise InputError(
            f"{run.path} was written by simcore {', '.join(document['versions'])}, this is {simcore.__version__}; "
            "use that version, or give --allow-version (simcore verify will list both)"
        )
    known = document.get("arithmetic")
    if known is not None and arithmetic() not in known and not allow_version:
        raise InputError(
            f"{run.path} was computed with {' and '.join(known)}; this is {arithmetic()}, whose rows agree in "
            "distribution, not bit for bit; use the same, or give --allow-version (simcore verify will list both)"
        )


def keep_source(run: RunDirectory, source: str) -> None:
    """Write the text of the configuration file beside the run."""
    from simcore.sweep.files import write_atomically

    write_atomically(run.path / "config.toml", lambda path: path.write_bytes(source.encode()))


def session(engine: str, workers: int, threads: int, part: tuple[int, int] | None) -> dict[str, Any]:
    """Return the entry of a session that begins now."""
    return {
        "began": now(),
        "engine": engine,
        "workers": workers,
        "threads": threads,
        "shard": f"{part[0]}/{part[1]}" if part else None,
        "software": software(),
        "machine": machine(),
    }


def end_session(run: RunDirectory, entry: dict[str, Any], outcome: str, began: float, computed: int) -> None:
    """Add a finished session to run.json, with the wall and CPU seconds of every shard. ``began`` is monotonic.

    Beyond ``MOST_GATHERED`` shards the seconds stand in their records alone.
    """
    wall = round(time.monotonic() - began, 3)
    entry = {**entry, "ended": now(), "outcome": outcome, "shards": computed, "wall_seconds": wall}
    few = len(os.listdir(run.manifest)) <= MOST_GATHERED
    with gate(run.path):
        document, _ = read_run(run)
        document["sessions"].append(entry)
        if few:
            gathered = document.setdefault("shards", {})
            for shard in run.shards():
                if shard.name not in gathered:
                    record = run.record(shard)
                    gathered[shard.name] = {key: record.get(key) for key in ("wall_seconds", "cpu_seconds")}
        write_document(run.information, document)
