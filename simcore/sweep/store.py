"""A run directory: where its files lie, and how one shard becomes files that are whole or not there.

    RUN/run.json              configuration, seed, versions, machine, sessions (simcore.sweep.provenance)
    RUN/config.toml           the configuration file as it was given
    RUN/starts/NAME.parquet   rows of a newton run; RUN/points and RUN/audits for the other methods
    RUN/manifest/NAME.json    the record of a shard: its ranges, and each file's bytes, rows and checksums
    RUN/failed/NAME.json      a shard that failed repeatedly, with its traceback
    RUN/locks                 who writes

A shard exists when its record does: files first, record last, each written under a temporary name, flushed and renamed.
A crash leaves no record and at most files that the next attempt overwrites. Files without a record are never read as
data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import InputError, RunError, shown
from simcore.sweep import checksum
from simcore.sweep.config import Configuration, canonical_json
from simcore.sweep.files import (
    crc32_of,
    read_document,
    remove_temporaries,
    write_atomically,
    write_document,
)
from simcore.sweep.plan import Shard
from simcore.sweep.schema import FOLDERS, SCHEMA_VERSION, to_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ENDING = ".parquet"
METADATA_KEY = b"simcore"
ROW_GROUP = 1 << 17
FACTS = {"bytes", "sha256", "crc32", "rows", "row_sum"}
"""What a shard's record says of each of its files."""
DAMAGED = "does not match its checksum; bytes of it were altered"


class RunDirectory:
    """Paths and records of one run."""

    def __init__(self, path: str | Path) -> None:
        try:
            self.path = Path(path)
        except TypeError:
            raise InputError(f"the directory of a run is {shown(path)}; give a path") from None
        try:
            str(self.path).encode()
        except UnicodeEncodeError:
            raise InputError(
                f"the directory {os.fsencode(self.path)!r} has a name that is not UTF-8; rename it"
            ) from None

    @property
    def information(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def manifest(self) -> Path:
        """The folder of the shards' records."""
        return self.path / "manifest"

    @property
    def failed(self) -> Path:
        """The folder of the shards that were set aside."""
        return self.path / "failed"

    def folder(self, kind: str) -> Path:
        """The folder of one kind of rows."""
        return self.path / kind

    def file(self, kind: str, shard: Shard) -> Path:
        """The file of one kind of a shard's rows."""
        return self.folder(kind) / f"{shard.name}{ENDING}"

    def record_path(self, shard: Shard) -> Path:
        """A shard's record."""
        return self.manifest / f"{shard.name}.json"

    def create(self, method: str) -> None:
        """Make the folders that are missing."""
        for name in (*FOLDERS[method], "manifest", "failed"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def sweep_up(self, method: str) -> int:
        """Remove temporary files of killed writers; return how many."""
        folders = [self.path, *(self.path / name for name in (*FOLDERS[method], "manifest", "failed"))]
        return sum(remove_temporaries(folder) for folder in folders)

    def shards(self) -> list[Shard]:
        """Return the shards that have a record, in the order of combination, draw and start."""
        if not self.manifest.is_dir():
            return []
        names = sorted(name[:-5] for name in os.listdir(self.manifest) if name.endswith(".json"))
        return [shard for shard in map(Shard.from_name, names) if shard is not None]  # names sort as shards do

    def records(self) -> Iterator[tuple[Shard, dict[str, Any]]]:
        """Yield every shard with its record, in order; raise ``RunError`` for a damaged record."""
        for shard in self.shards():
            yield shard, self.record(shard)

    def record(self, shard: Shard) -> dict[str, Any]:
        """Return a shard's record; raise ``RunError`` where it is damaged or of a newer schema."""
        name = shard.name
        path = f"{self.path}/manifest/{name}.json"  # a text: runs of 100,000 shards read as many records
        document = read_document(path)
        check_schema(document, path)
        files = document.get("files")
        if not isinstance(files, dict) or not all(isinstance(f, dict) and f.keys() >= FACTS for f in files.values()):
            raise RunError(f"{path} does not say what the shard's files hold; it was altered")
        if document.get("shard") != name:
            raise RunError(f"{path} is the record of {document.get('shard')}; it was copied or renamed")
        return document


def check_schema(document: dict[str, Any], path: Path | str) -> None:
    """Raise ``RunError`` for a document of another schema version than this simcore reads."""
    version = document.get("schema")
    if version != SCHEMA_VERSION:
        listed = document.get("versions")  # run.json lists them, a shard's record names libraries as well
        wrote = listed.get("simcore") if isinstance(listed, dict) else ", ".join(map(str, listed or ()))
        old = " (the column morse_index was still called index)" if version == 1 else ""
        raise RunError(
            f"{path} was written by simcore {wrote or 'of an unknown version'} in schema version {version!r}{old}; "
            f"this simcore reads version {SCHEMA_VERSION}; use the simcore that wrote it, or run the sweep again"
        )


# ---- writing -----------------------------------------------------------------------------------------------------
def write_shard(
    run: RunDirectory,
    configuration: Configuration,
    shard: Shard,
    frames: dict[str, pd.DataFrame],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Write a shard's rows, then its record; return the record.

    ``frames`` maps each kind of rows to a DataFrame; ``facts`` (versions, machine, times) go into the record, and
    ``facts["software"]`` into each file's metadata too.
    """
    files = write_files(run, configuration, shard, frames, facts["software"])
    return write_record(run, shard, {**_identity(configuration, shard), "files": files, **facts})


def write_files(
    run: RunDirectory,
    configuration: Configuration,
    shard: Shard,
    frames: dict[str, pd.DataFrame],
    software: dict[str, str],
) -> dict[str, Any]:
    """Write a shard's Parquet files; return, for each kind, its bytes, rows and checksums."""
    import pyarrow.parquet as parquet

    files: dict[str, Any] = {}
    for kind, frame in frames.items():
        described = {
            **_identity(configuration, shard),
            "kind": kind,
            "configuration": configuration.to_dict(),
            "software": software,
        }
        table = to_arrow(frame, {METADATA_KEY.decode(): canonical_json(described)})
        words = [f.name for f in table.schema if str(f.type).startswith("dictionary")]
        path = run.file(kind, shard)

        def write(temporary: Path, table: pa.Table = table, words: list[str] = words) -> None:
            options: Any = {"compression": "zstd", "compression_level": 3, "row_group_size": ROW_GROUP}
            parquet.write_table(table, temporary, use_dictionary=words, **options)

        write_atomically(path, write)
        key = checksum.row_key(configuration.combinations[shard.combination], kind)
        data = path.read_bytes()
        files[kind] = {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "crc32": crc32_of(data),
            "rows": len(table),
            "row_sum": checksum.row_sum(table, key),
        }
    return files


def write_record(run: RunDirectory, shard: Shard, record: dict[str, Any]) -> dict[str, Any]:
    """Write a shard's record, the last step: from here on the shard exists."""
    write_document(run.record_path(shard), record, lines=False)
    return record


def _identity(configuration: Configuration, shard: Shard) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "configuration_hash": configuration.hash,
        "shard": shard.name,
        "seed": str(configuration.seed),  # beyond 2^53 some JSON readers lose digits
        "combination": configuration.combinations[shard.combination],
    }


# ---- reading one file --------------------------------------------------------------------------------------------
class MissingFile(RunError):
    """A shard's record is there, a file that it speaks of is not."""


def checked_bytes(path: Path | str, facts: Mapping[str, Any]) -> bytes:
    """Return a shard file's bytes; raise ``RunError`` in one line unless they are those that its record speaks of.

    ``facts`` are the record's: ``bytes`` and ``crc32``. Every reading of rows passes here, since a flipped bit in a
    Parquet file may well give other rows and no error. ``MissingFile`` where there is none.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        raise MissingFile(f"{path} is missing; run the sweep again, it recomputes what simcore verify names") from None
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}; run simcore verify") from None
    if len(data) != facts["bytes"]:
        what = f"has {len(data)} bytes, its record says {facts['bytes']}; it was truncated or altered"
    else:
        what = "" if crc32_of(data) == facts["crc32"] else DAMAGED
    if what:
        raise RunError(f"{path} {what}: remove it, then run the sweep again to recompute it")
    return data


def read_table(path: Path, facts: Mapping[str, Any], columns: list[str] | None = None) -> pa.Table:
    """Return a shard file's rows, or raise ``RunError`` in one line where it is missing, truncated or altered.

    Not by ``pyarrow.dataset``: it knows page checksums at most, which leave page headers and the footer unguarded.
    """
    return table_of(checked_bytes(path, facts), path, columns)


def table_of(data: bytes, path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return the rows in the checked bytes of a shard file."""
    with _parquet(data, path) as file:
        return file.read(columns=columns, use_threads=False)


def read_columns(path: Path, facts: Mapping[str, Any]) -> list[str]:
    """Return the names of a shard file's columns."""
    with _parquet(checked_bytes(path, facts), path) as file:
        return list(file.schema_arrow.names)


@contextlib.contextmanager
def _parquet(data: bytes, path: Path) -> Iterator[Any]:
    """Open the bytes of a Parquet file; whatever goes wrong with them is a ``RunError`` in one line."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        yield parquet.ParquetFile(pa.BufferReader(data))
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise RunError(
            f"{path} can't be read: {_first_line(error)}; run simcore verify to see what is damaged"
        ) from None


def file_identity(path: Path) -> dict[str, Any] | None:
    """Return what a Parquet file says it is, None where simcore did not write it or it can't be read."""
    try:
        return identity_of(path.read_bytes())
    except OSError:
        return None


def identity_of(data: bytes) -> dict[str, Any] | None:
    """Return what the bytes of a Parquet file say it is, None where they are none of simcore's."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        text = (parquet.read_schema(pa.BufferReader(data)).metadata or {}).get(METADATA_KEY)
        found = json.loads(text) if text else None
    except (OSError, pa.ArrowException, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
