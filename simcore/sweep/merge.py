"""The second step of a draw whose starts lie in several shards: rows get ``point``, ``certified`` and ``eigenvalues``.

Shards of such a draw first write *parts* (``RUN/parts``). Once all parts of a draw are there a merge writes the final
files, then replaces the records, then removes the parts. In that order, so that a crash at any moment leaves either all
parts or all final files: while one record still points to a part, every part is still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simcore.errors import RunError
from simcore.sweep.compute import search_of
from simcore.sweep.config import Configuration
from simcore.sweep.plan import Shard, layout, missing
from simcore.sweep.store import RunDirectory, read_table, write_files, write_record

PARTS = "parts"
MERGED = "merged_from"
"""Key of a record: the facts of the part that its final file was made of, for a merge that has to be done again."""


def mergeable(run: RunDirectory, configuration: Configuration, held: Iterable[Shard]) -> list[Shard]:
    """Return the first shard of every draw that has all its parts and is not merged, and clear away parts that are."""
    split = [shard for shard in held if layout(configuration, shard.combination).split]
    draws: dict[tuple[int, int], list[Shard]] = {}
    for shard in split:
        draws.setdefault((shard.combination, shard.first_draw), []).append(shard)
    found = []
    for (combination, draw), shards in sorted(draws.items()):
        if any(m.first_draw == draw for m in missing(configuration, combination, draw + 1, shards)):
            continue
        if any(PARTS in run.record(shard)["files"] for shard in shards):
            found.append(min(shards))
        else:
            _remove_parts(run, shards)
    return found


def merge_draw(path: str | Path, configuration: Configuration, first: Shard, *, backend: str) -> dict[str, Any]:
    """Finish the draw that ``first`` belongs to; return an answer like that of a computed shard."""
    import pandas as pd

    from simcore.search.split import finish_draw

    run = RunDirectory(path)
    cut = layout(configuration, first.combination)
    shards = [
        Shard(first.combination, first.first_draw, first.last_draw, start, min(start + cut.start_block, cut.starts))
        for start in range(0, cut.starts, cut.start_block)
    ]
    records = [run.record(shard) for shard in shards]
    if all(PARTS not in record["files"] for record in records):
        return {"rows": {}, "bytes": 0}
    parts = [record["files"].get(PARTS) or record[MERGED] for record in records]  # a merge may have been killed halfway
    frames = [read_table(run.file(PARTS, s), facts).to_pandas() for s, facts in zip(shards, parts, strict=True)]
    search = search_of(configuration, first.combination, backend=backend, threads=1)
    rows = finish_draw(search, pd.concat(frames, ignore_index=True))
    if len(rows) != cut.starts:
        raise RunError(
            f"draw {first.first_draw} of combination {first.combination} has {len(rows)} rows for {cut.starts} starts"
        )
    written = []
    for shard, record in zip(shards, records, strict=True):
        piece = rows.iloc[shard.first_start : shard.last_start].reset_index(drop=True)
        written.append(write_files(run, configuration, shard, {"starts": piece}, record["software"]))
    for shard, record, files, part in zip(shards, records, written, parts, strict=True):
        write_record(run, shard, {**record, "files": files, MERGED: part})
    _remove_parts(run, shards)
    return {"rows": {}, "bytes": sum(files["starts"]["bytes"] for files in written)}


def _remove_parts(run: RunDirectory, shards: Iterable[Shard]) -> None:
    for shard in shards:
        run.file(PARTS, shard).unlink(missing_ok=True)
