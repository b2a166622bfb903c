"""What a sweep would take: shards, rows, bytes on disk, memory, time. Nothing is computed that would be kept.

Rows, bytes and memory follow from the configuration (for enumerations, from the exact law where one is known). The time
comes from a calibration of about two seconds with draws that no sweep uses (``CALIBRATION_SEED``), combination by
combination, costliest first; what is not reached is scaled by the cost model.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simcore.errors import RunError, SimcoreError
from simcore.info import bytes_as_text as size
from simcore.info import free_memory, usable_processors
from simcore.landscapes.memory import working_bytes
from simcore.progress import duration
from simcore.sweep.agenda import held_shards
from simcore.sweep.config import ESTIMATED, Configuration
from simcore.sweep.plan import (
    Shard,
    by_combination,
    layout,
    missing,
    part_of,
    require_shards,
    seconds_per_draw,
    shard_count,
)
from simcore.sweep.schema import KINDS
from simcore.sweep.store import RunDirectory

CALIBRATION_SECONDS = 2.0
CALIBRATION_SEED = 0x5EED_0F_CA11B

# Measured with a warm cache (benchmarks/sweep_limits.py): what a process holds for itself, and the file pages of the
# libraries, which all of them share. A worker that compiles holds some 130 MB more while it does.
PROCESS_BYTES = 124e6
PARENT_BYTES = 57e6 + 147e6  # the command's own and the libraries'
START_BYTES, POINT_BYTES, AUDIT_BYTES = 24.0, 30.0, 90.0  # on disk a row, compressed, measured on torus and spin runs
FILE_BYTES = 9000.0  # a Parquet file's schema and its record
MEMORY_PER_ROW = 250.0  # while a shard is turned into a file: columns, Arrow table, Parquet pages
LAW_DIMENSIONS = 200  # beyond them an exact law takes minutes, and nobody enumerates
ENUMERATION_BYTES = 40e6  # starts, Hessians and tables of points while a draw is enumerated


@dataclass
class Estimate:
    """What a sweep would take. ``int(estimate)`` is the exit code, 0."""

    shards: int
    held: int
    rows: float
    rows_kind: str
    bytes_on_disk: float
    bytes_per_worker: float
    peak_bytes: float
    wall_seconds: float
    cpu_seconds: float
    workers: int
    free_disk: float
    free_memory: float
    at_most: bool  # target_error may stop it earlier

    def __int__(self) -> int:
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as a JSON-safe dictionary; rows and bytes are whole numbers."""
        counts = ("rows", "bytes_on_disk", "bytes_per_worker", "peak_bytes", "free_disk", "free_memory")
        return self.__dict__ | {
            name: round(getattr(self, name)) for name in counts if math.isfinite(getattr(self, name))
        }

    def lines(self) -> list[str]:
        """Return the estimate as text."""
        there = f" ({self.held} are there already)" if self.held else ""
        workers = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        return [
            f"shards       {self.shards:,}{there}",
            f"rows         {self.rows:,.0f} {self.rows_kind}",
            f"disk         {size(self.bytes_on_disk)} of {size(self.free_disk)} free",
            f"peak memory  {size(self.peak_bytes)} for {workers}, of {size(self.free_memory)} free",
            f"time         {duration(self.wall_seconds)} with {workers}, "
            f"{duration(self.cpu_seconds)} of processor time",
            *(["at most: target_error may end it at an earlier look"] if self.at_most else []),
        ]


def estimate(
    run: RunDirectory, configuration: Configuration, *, backend: str, workers: int, part: tuple[int, int] | None
) -> Estimate:
    """Return what the rest of a sweep would take; calibrates for about two seconds."""
    held = held_shards(run, configuration) if run.information.exists() else set()
    draws = configuration.most_draws
    combinations = range(len(configuration.combinations))
    require_shards(sum(shard_count(configuration, c, draws) for c in combinations))
    measured = _calibrate(configuration, backend)
    there = by_combination(held)
    rows = size_on_disk = cpu = 0.0
    longest = 0.0
    to_do = 0
    for c in combinations:
        lacking = missing(configuration, c, draws, there[c])
        mine = [shard for shard in lacking if part_of(shard, configuration, part)]
        to_do += len(mine)
        left = sum(shard.draws * shard.starts for shard in mine) / max(configuration.starts, 1)
        one = measured[c]
        rows += left * (configuration.starts if configuration.method == "newton" else one.rows)
        size_on_disk += left * one.bytes + len(mine) * FILE_BYTES
        cpu += left * one.seconds
        if left:
            cut = layout(configuration, c)
            longest = max(longest, one.seconds * min(left, cut.draw_block) * cut.start_block / cut.starts)
    kept = sum(part_of(shard, configuration, part) for shard in held)
    busy = max(1, min(workers, usable_processors(), to_do))
    wall = max(cpu / busy, longest) + (1.5 if cpu else 0.0)  # starting the workers
    per_worker = worker_bytes(configuration)
    return Estimate(
        shards=to_do + kept,
        held=kept,
        rows=rows,
        rows_kind=KINDS[configuration.method][0],
        bytes_on_disk=size_on_disk,
        bytes_per_worker=per_worker,
        peak_bytes=PARENT_BYTES + workers * per_worker,
        wall_seconds=wall,
        cpu_seconds=cpu,
        workers=workers,
        free_disk=free_disk(run.path),
        free_memory=free_memory(),
        at_most=configuration.error_of_draws is not None,
    )


def refuse_what_does_not_fit(
    run: RunDirectory, configuration: Configuration, *, workers: int, part: tuple[int, int] | None
) -> None:
    """Raise ``RunError`` with the numbers where the sweep would not fit the disk or the memory."""
    combinations = range(len(configuration.combinations))
    share = 1.0 if part is None else 1.0 / part[1]
    if configuration.draws is not None:
        require_shards(sum(shard_count(configuration, c, configuration.draws) for c in combinations))
        if not run.information.exists():
            needed = share * sum(
                configuration.draws
                * (_rows_by_law(configuration, c) * _row_bytes(configuration, c) + _audit_bytes(configuration))
                for c in combinations
            )
            if needed > free_disk(run.path):
                raise RunError(
                    f"the sweep would write about {size(needed)}, {size(free_disk(run.path))} are free at {run.path}; "
                    "give fewer draws or starts, leave out positions and spectrum, or another --out"
                )
    memory = PARENT_BYTES + max(1, workers) * worker_bytes(configuration)
    if memory > free_memory():
        raise RunError(
            f"the sweep would need about {size(memory)} of memory with {workers} workers "
            f"({size(worker_bytes(configuration))} each), {size(free_memory())} are free; "
            "give fewer workers, or smaller landscapes"
        )


def worker_bytes(configuration: Configuration) -> float:
    """Return about how much memory a worker process needs for its largest shard."""
    largest = 0.0
    for c in range(len(configuration.combinations)):
        landscape, cut = configuration.landscape(c), layout(configuration, c)
        n = float(landscape.n)
        held = working_bytes(landscape)
        if configuration.method == "newton":
            values = 8.0 * n * (1 + 2 * configuration.positions + 3 * configuration.spectrum)
            held += cut.draw_block * cut.start_block * (MEMORY_PER_ROW + values)
            if cut.split:  # a merge holds the whole draw
                held = max(held, cut.starts * (MEMORY_PER_ROW + 2 * values))
        else:
            points = cut.draw_block * _rows_by_law(configuration, c)
            held += ENUMERATION_BYTES + points * (MEMORY_PER_ROW + 24.0 * n * (1 + 2 * configuration.spectrum))
        largest = max(largest, held)
    return PROCESS_BYTES + largest


def free_disk(path: Path) -> float:
    """Return the free bytes where ``path`` is or would be."""
    where = Path(os.path.realpath(path))  # a loop of links is no error here
    while not where.exists():
        where = where.parent
    usage = shutil.disk_usage(where)
    return float(usage.free) if usage.total else math.inf  # a file system without blocks says nothing


def _row_bytes(configuration: Configuration, combination: int) -> float:
    landscape = configuration.landscape(combination)
    values = landscape.n * configuration.positions + landscape.dimension * configuration.spectrum
    return (START_BYTES if configuration.method == "newton" else POINT_BYTES) + 8.0 * values


def _audit_bytes(configuration: Configuration) -> float:
    return 0.0 if configuration.method == "newton" else AUDIT_BYTES


def _rows_by_law(configuration: Configuration, combination: int) -> float:
    """Return the mean number of rows a draw: the starts, or the law's number of points (3^D where none is known; n
    classes of a small network)."""
    if configuration.method == "newton":
        return float(configuration.starts)
    landscape = configuration.landscape(combination)
    if configuration.method in ESTIMATED:
        return float(landscape.dimension + 1)
    if landscape.coercive:  # classes modulo symmetries: 3 to 22 were measured for 9 to 17 parameters
        return float(landscape.n)
    if landscape.dimension > LAW_DIMENSIONS:
        return 3.0**30
    try:
        return float(landscape.expected_counts()["mean_count"].sum())
    except (SimcoreError, ImportError, ValueError, ArithmeticError):
        return 3.0 ** min(landscape.dimension, 30)


# ---- calibration -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Measured:
    """What one draw of a combination takes: seconds of one processor, rows, bytes on disk."""

    seconds: float
    rows: float
    bytes: float


def _calibrate(configuration: Configuration, backend: str) -> dict[int, Measured]:
    """Return what a draw of each combination takes, measured, or scaled from those measured."""
    combinations = range(len(configuration.combinations))
    model = {c: seconds_per_draw(configuration, configuration.landscape(c)) for c in combinations}
    trial = replace(configuration, seed=CALIBRATION_SEED)
    found: dict[int, Measured] = {}
    paces = []  # measured over modelled time
    began = math.inf
    for c in sorted(model, key=lambda c: -model[c]):
        if time.monotonic() - began > CALIBRATION_SECONDS:
            break
        seconds = CALIBRATION_SECONDS / min(len(model), 8)
        if trial.method in ESTIMATED:
            continue  # a count may take hours, and no part of it says how long: the model alone
        try:
            if trial.method != "newton" and model[c] > CALIBRATION_SECONDS:  # one draw alone would take too long
                paces.append(_pace(trial, c, backend, seconds))
            else:
                found[c] = _measure(trial, c, backend, seconds)
        except SimcoreError:
            continue
        began = min(began, time.monotonic())  # the first one may have compiled
    modelled = {c: _rows_by_law(configuration, c) * _row_bytes(configuration, c) for c in combinations}
    if found:
        paces.append(sum(one.seconds for one in found.values()) / sum(model[c] for c in found))
    slower = sum(paces) / len(paces) if paces else 1.0
    larger = sum(one.bytes for one in found.values()) / sum(modelled[c] for c in found) if found else 1.0
    for c in set(combinations) - set(found):
        size_of_draw = modelled[c] * larger + _audit_bytes(configuration)
        found[c] = Measured(model[c] * slower, _rows_by_law(configuration, c), size_of_draw)
    return found


def _pace(trial: Configuration, combination: int, backend: str, seconds: float) -> float:
    """Return measured over modelled time of plain searches from a few starts, for draws too long to enumerate here."""
    few = replace(trial, method="newton", starts=_few_starts(trial, combination, seconds), max_starts=None, radius=None)
    model = seconds_per_draw(few, few.landscape(combination))
    return _measure(few, combination, backend, seconds).seconds / model


def _few_starts(trial: Configuration, combination: int, seconds: float) -> int:
    """Return how many starts the model puts into a quarter of the time, 24 at most: those of a network are slow."""
    fitting = seconds / 4 / trial.landscape(combination).seconds_per_start
    return max(1, min(trial.starts, 24, int(fitting)))


def _measure(trial: Configuration, combination: int, backend: str, seconds: float) -> Measured:
    """Measure one combination, warm, on as many draws as fit the time; a cold compilation is not counted."""
    from simcore.sweep.compute import shard_rows

    landscape = trial.landscape(combination)
    newton = trial.method == "newton"
    starts = _few_starts(trial, combination, seconds) if newton else trial.starts
    first = 4_000_000_000 if landscape.draws is None else 0
    tried = Shard(combination, first, first + 1, 0, starts)
    shard_rows(trial, tried, backend=backend, threads=1)  # compiles
    if newton:  # as many starts as fit the time, since those of a large network take a second each
        began = time.perf_counter()
        shard_rows(trial, tried, backend=backend, threads=1)
        fitting = starts * seconds / 2 / max(time.perf_counter() - began, 1e-9)
        starts = min(trial.starts, 480, max(starts, int(fitting)))
    draws, spent, rows, length, size_of_draw = 0, 0.0, 0, 1, 0.0
    while spent < seconds / 2:
        shard = Shard(combination, first, first + length, 0, starts)
        began = time.perf_counter()
        frames = shard_rows(trial, shard, backend=backend, threads=1)
        sizes = [_compressed(frame) for frame in frames.values()]
        spent += time.perf_counter() - began
        draws += length
        rows += sum(len(frame) for kind, frame in frames.items() if kind != "audits")
        size_of_draw = sum(sizes) / length
        if landscape.draws is None:
            first += length
            length = max(1, min(4 * length, int(draws * (seconds / 2 - spent) / max(spent, 1e-9))))
    share = trial.starts / starts if newton else 1.0
    counted = rows / draws if rows and not newton else _rows_by_law(trial, combination)
    return Measured(spent / draws * share, counted, size_of_draw * share)


def _compressed(frame: Any) -> float:
    """Write rows to memory as a shard does to its file; return their bytes beyond what an empty file takes."""
    import io

    import pyarrow.parquet as parquet

    from simcore.sweep.checksum import row_sum
    from simcore.sweep.schema import to_arrow

    buffer, empty = io.BytesIO(), io.BytesIO()
    # Counters compress to next to nothing, but only in long files.
    table = to_arrow(frame.drop(columns=["draw", "start"], errors="ignore"), {})
    row_sum(table, "")
    words = [f.name for f in table.schema if str(f.type).startswith("dictionary")]
    for rows, stream in ((table, buffer), (table.slice(0, 0), empty)):
        parquet.write_table(rows, stream, compression="zstd", compression_level=3, use_dictionary=words)
    return float(buffer.tell() - empty.tell())
