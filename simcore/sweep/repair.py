"""A run that lost its run.json gets another one, made of what its shards say of themselves.

Each Parquet file holds the whole configuration, each record who computed the shard and how long it took. What stood in
run.json alone is lost: its sessions. A run.json that is there but damaged is kept beside, as ``run.json.damaged``.
"""

from __future__ import annotations

import os
from typing import Any

from simcore.errors import InputError, RunError
from simcore.sweep import provenance
from simcore.sweep.config import Configuration
from simcore.sweep.files import write_document
from simcore.sweep.lock import RunLock
from simcore.sweep.schema import SCHEMA_VERSION
from simcore.sweep.store import RunDirectory, checked_bytes, identity_of


def repair_run(run: RunDirectory) -> str | None:
    """Write a lost or damaged run.json anew; return a sentence that says so, None where it is sound.

    Raises ``InputError`` where there is no shard to learn from, and ``RunError`` where shards are of different runs,
    none is sound, or another process writes the run.
    """
    damaged = run.information.exists()
    if damaged:
        try:
            provenance.read_run(run)
            return None
        except RunError:
            pass
    if not run.shards():
        raise InputError(f"{run.path} holds no shards that a run.json could be made of; give the directory of a run")
    with RunLock(run.path):
        document, configuration = _document(run)
        if damaged:
            os.replace(run.information, run.path / "run.json.damaged")
        if not (run.path / "config.toml").exists():
            provenance.keep_source(run, configuration.to_toml())
        write_document(run.information, document)
    return f"run.json was written anew from the shards' own descriptions, as of {configuration.most_draws} draws"


def _document(run: RunDirectory) -> tuple[dict[str, Any], Configuration]:
    """Return what run.json should say, with its configuration: of those of the shards the one with most draws."""
    found: dict[str, Configuration] = {}
    records = []
    for shard in run.shards():
        try:
            record = run.record(shard)
            files = record["files"].items()
            described = [identity_of(checked_bytes(run.folder(kind) / f"{shard.name}.parquet", f)) for kind, f in files]
            made = [Configuration.from_dict((one or {})["configuration"]) for one in described]
        except (RunError, InputError, KeyError, TypeError, ValueError):
            continue  # verify names it, once there is a run.json
        for one in made:
            best = found.setdefault(one.hash, one)
            found[one.hash] = max(best, one, key=lambda c: c.most_draws)
        records.append(record)
    if not found:
        raise RunError(f"{run.path}: no shard is sound; restore run.json from a copy")
    said = {key: sorted({str(record.get(key)) for record in records}) for key in ("backend", "simcore", "arithmetic")}
    if len(found) > 1 or len(said["backend"]) > 1:
        raise RunError(f"{run.path} holds shards of several runs; move those of the others and their records away")
    (configuration,) = found.values()
    return {
        "schema": SCHEMA_VERSION,
        "configuration_hash": configuration.hash,
        "configuration": configuration.to_dict(),
        "seed": str(configuration.seed),
        "data": provenance.data_hashes(configuration),
        "backend": said["backend"][0],
        "versions": said["simcore"],
        "arithmetic": said["arithmetic"],
        "sessions": [],
        "repaired": provenance.now(),
        **provenance.family_facts(configuration),
    }, configuration
