"""``run_sweep``: compute what is missing of a run, on local processes or a Dask cluster, and lose nothing.

The loop hands shards to an engine and takes small answers back; rows never pass through it. A shard that fails is tried
again, at the end and twice, then set aside with its traceback while the rest goes on. Ctrl-C or SIGTERM: nothing new is
handed out, running shards get a moment to finish and are dropped then; the run can be resumed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from simcore import plugins
from simcore.errors import InputError, RunError, SimcoreError, unknown_name
from simcore.info import usable_processors
from simcore.progress import duration
from simcore.sweep import provenance
from simcore.sweep.agenda import Agenda, held_shards
from simcore.sweep.config import Configuration, configuration_of
from simcore.sweep.files import UNWRITABLE, disk_message, write_document
from simcore.sweep.lock import RunLock, alone
from simcore.sweep.merge import mergeable
from simcore.sweep.plan import Shard, check_part
from simcore.sweep.progress import Progress
from simcore.sweep.schema import KINDS, SCHEMA_VERSION
from simcore.sweep.store import RunDirectory

ATTEMPTS = 3
"""Times a shard is tried before it is set aside."""

WATCH = 2.0
"""Seconds between two looks at whether a worker was stopped."""

GRACE = 0.6
"""Seconds that running shards get to finish after Ctrl-C or SIGTERM, so that a run ends within one; a second signal
drops them at once."""


class Engine(Protocol):
    """Where shards are computed."""

    name: str

    @property
    def capacity(self) -> int: ...
    @property
    def running(self) -> int: ...
    def submit(self, shard: Shard, merge: bool = False) -> None: ...
    def wait(self, timeout: float) -> list[tuple[Shard, dict[str, Any]]]: ...
    def stopped(self) -> list[int]:
        """Return the numbers of worker processes that a signal has stopped."""
        ...

    def close(self) -> None: ...


@dataclass
class RunSummary:
    """What a call of ``run_sweep`` did. ``int(summary)`` is the exit code: 0 done, 1 the run is incomplete.

    computed, held : shards computed now, shards that were there.
    set_aside : names of shards that failed repeatedly, with the error of each.
    rows : rows computed now, by kind.
    wall_seconds, start_seconds, cpu_seconds : the whole call, the start of the engine, processor time of all shards.
    waits : a sentence for each combination that can't go on before other jobs' shards are there.
    notes : sentences for the user.
    """

    run: str
    shards: int = 0
    computed: int = 0
    held: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wall_seconds: float = 0.0
    start_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_worker_bytes: int = 0
    engine: str = ""

    @property
    def exit_code(self) -> int:
        """0 where everything asked for is there, 1 where shards were set aside or wait for other jobs."""
        return 1 if self.set_aside or self.waits else 0

    def __int__(self) -> int:
        return self.exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a JSON-safe dictionary."""
        return {**self.__dict__, "complete": self.exit_code == 0}


def run_sweep(
    config: str | Path | Configuration | Mapping[str, Any],
    out: str | Path,
    *,
    backend: str = "cpu",
    workers: int | None = None,
    dask: Any = None,
    shard: tuple[int, int] | str | None = None,
    allow_version: bool = False,
    dry_run: bool = False,
    json: bool = False,
    progress: bool = True,
) -> Any:
    """Compute what is missing of a sweep; run again with the same ``out`` it resumes.

    Parameters
    ----------
    config : path, Configuration or mapping
        A TOML file, or its tables.
    out : path
        The run directory. One that belongs to another configuration is refused and left alone.
    backend : "cpu", "cuda" or "reference"
    workers : int
        Local worker processes; default one for each processor that this process may use, but two with "cuda", which
        share the device; 0 computes in this very process, on all threads. Rows do not depend on it.
    dask : str or distributed.Client
        Address of a Dask scheduler, "local" or "local:N" for a cluster of N processes on this machine, or a client.
    shard : (i, k) or "i/k"
        Compute part i of k; k such jobs may write one run together.
    allow_version : bool
        Continue a run that another version of simcore began, or other libraries, another BLAS or processor.
    dry_run : bool
        Print what the sweep would take and return that (``simcore.sweep.dry_run.Estimate``); compute nothing.
    json : bool
        Print the result as one JSON document on standard output.
    progress : bool
        Say on standard error where things stand; otherwise the logger ``simcore`` is told.

    Returns
    -------
    RunSummary, or Estimate; ``int()`` of either is the exit code.

    Raises
    ------
    InputError
        For a bad configuration or argument, or a directory that belongs to another configuration.
    RunError
        Where the disk is full, another process writes the run, or the run is damaged or would not fit.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, once the run is in order; everything finished is kept.
    """
    configuration, source = configuration_of(config)
    part = check_part(shard)
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or not 0 <= workers <= 4096):
        raise InputError(f"workers is {workers!r}; give a whole number from 0 (in this process) to 4096")
    if workers is not None and dask is not None:
        raise InputError("workers and dask are both given; give one, a Dask cluster has its own workers")
    from simcore import backends

    if not isinstance(backend, str) or backend not in backends.NAMES:
        raise unknown_name("backend", backend, backends.NAMES, backends.MEANT)
    run = RunDirectory(out)
    count = default_workers(backend) if workers is None else workers
    provenance.check_run(run, configuration, backend=backend, allow_version=allow_version)
    from simcore.sweep.dry_run import estimate, refuse_what_does_not_fit

    refuse_what_does_not_fit(run, configuration, workers=count, part=part)  # before a calibration allocates anything
    if dry_run:
        result: Any = estimate(run, configuration, backend=backend, workers=count, part=part)
        print_lines(result.lines(), aside=json)
    else:
        if backend == "cuda" and dask is None:
            backends.get(backend).require()
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--out {run.path} can't be made: {error.strerror or error}; give a directory that can be written"
            ) from None
        try:
            result = _Session(run, configuration, source, backend, count, dask, part, allow_version, progress).execute()
        except OSError as error:
            if error.errno in UNWRITABLE:
                raise RunError(disk_message(error, run.path)) from None
            raise
    if json:
        print_json(result.to_dict())
    return result


class _Session:
    """One call of ``run_sweep``."""

    def __init__(
        self,
        run: RunDirectory,
        configuration: Configuration,
        source: str,
        backend: str,
        workers: int,
        dask: Any,
        part: tuple[int, int] | None,
        allow_version: bool,
        progress: bool,
    ) -> None:
        self.run, self.configuration, self.source, self.backend = run, configuration, source, backend
        self.workers, self.dask, self.part, self.allow_version = workers, dask, part, allow_version
        self.summary = RunSummary(str(run.path))
        self.failures: dict[Shard, int] = {}
        self.stopped: set[int] = set()
        self.watched = 0.0
        self.progress = Progress(KINDS[configuration.method][0], workers=workers, quiet=not progress)

    def execute(self) -> RunSummary:
        began = time.monotonic()
        with RunLock(self.run.path, self.part):
            provenance.open_run(
                self.run, self.configuration, backend=self.backend, allow_version=self.allow_version, source=self.source
            )
            if self.part is None:
                self.run.sweep_up(self.configuration.method)
            held = held_shards(self.run, self.configuration)
            agenda = Agenda(self.run, self.configuration, held, self.part)
            self.summary.held = len(held)
            threads = max(1, usable_processors() // max(1, self.workers)) if self.dask is None else 1
            entry = provenance.session("dask" if self.dask is not None else "local", self.workers, threads, self.part)
            outcome = "interrupted"
            try:
                self._work(agenda, threads)
                self.summary.waits = agenda.waits
                outcome = "incomplete" if self.summary.exit_code else "done"
            except SimcoreError as error:
                outcome = f"stopped: {error}"
                raise
            finally:
                self.progress.close()
                if self.part is None:  # a worker may have been killed in the middle of a file
                    with contextlib.suppress(OSError):
                        self.run.sweep_up(self.configuration.method)
                self._end(entry, outcome, began)
        self._report(agenda)
        return self.summary

    def _work(self, agenda: Agenda, threads: int) -> None:
        weight = sum(map(agenda.weight, agenda.remaining()))
        self.progress.start(self.summary.held, agenda.total, weight, sum(map(agenda.weight, agenda.held)))
        if agenda.empty and not self._mergeable(agenda):
            return
        with _Signals() as signals:
            began = time.monotonic()
            try:
                engine = self._engine(threads)
            except RunError:
                signals.check(0)  # a Dask cluster that Ctrl-C struck while it started
                raise
            self.summary.engine = engine.name
            self.summary.start_seconds = round(time.monotonic() - began, 3)
            try:
                self._loop(agenda, engine, signals)
                while agenda.look_again():
                    self._loop(agenda, engine, signals)
                self._finish_split_draws(agenda, engine, signals)
            finally:
                engine.close()

    def _loop(self, agenda: Agenda, engine: Engine, signals: _Signals) -> None:
        while engine.running or not agenda.empty:
            while engine.running < engine.capacity and not agenda.empty and not signals.count:
                engine.submit(agenda.next())
            signals.check(engine.running)
            total = agenda.total
            for shard, answer in engine.wait(0.2):
                self._take(agenda, shard, answer)
            self._watch(engine)
            if agenda.total != total:
                weight = self.progress.weight + sum(map(agenda.weight, agenda.remaining()))
                self.progress.extend(agenda.total, weight)
            self.progress.tick()
        signals.check(0)

    def _watch(self, engine: Engine) -> None:
        """Say once of each worker that it was stopped: its shard, and with it the run, waits for ever otherwise."""
        if time.monotonic() < self.watched + WATCH:
            return
        self.watched = time.monotonic()
        stopped = engine.stopped()
        self.progress.stopped = len(stopped)
        for pid in stopped:
            if pid not in self.stopped:
                self.stopped.add(pid)
                self.progress.log(
                    f"worker process {pid} is stopped: kill -CONT {pid} lets it go on, kill -9 {pid} has its shard "
                    "computed again"
                )

    def _mergeable(self, agenda: Agenda) -> list[Shard]:
        """Return the draws that can be merged now, from every job's shards: other parts may have ended meanwhile."""
        held = agenda.held if self.part is None else self.run.shards()
        return mergeable(self.run, self.configuration, held)

    def _finish_split_draws(self, agenda: Agenda, engine: Engine, signals: _Signals) -> None:
        """Merge what is whole. Of several jobs i/k the one that ends last does it.

        Each looks after its own last record is written, so the later of two looks sees the shards of both; a lock lets
        one merge at a time, and whoever waited looks again.
        """
        if not self._mergeable(agenda):
            return
        with alone(self.run.path, "merge", lambda: signals.check(0)):
            self._merge(self._mergeable(agenda), engine, signals)

    def _merge(self, draws: list[Shard], engine: Engine, signals: _Signals) -> None:
        """Finish draws whose starts lie in several shards; a merge that fails is tried again, then set aside."""
        waiting = list(draws)
        failures: dict[Shard, int] = {}
        while engine.running or waiting:
            while engine.running < engine.capacity and waiting and not signals.count:
                engine.submit(waiting.pop(0), merge=True)
            signals.check(engine.running)
            for shard, answer in engine.wait(0.2):
                if "error" not in answer:
                    self._forget_failure(shard)
                    continue
                self._refuse_to_go_on(answer)
                failures[shard] = failures.get(shard, 0) + 1
                if failures[shard] < ATTEMPTS:
                    waiting.append(shard)
                else:
                    self._set_aside(shard, answer)
        signals.check(0)

    def _take(self, agenda: Agenda, shard: Shard, answer: dict[str, Any]) -> None:
        if "error" not in answer:
            agenda.done(shard)
            self.summary.computed += 1
            for kind, rows in answer["rows"].items():
                self.summary.rows[kind] = self.summary.rows.get(kind, 0) + rows
            self.summary.cpu_seconds += answer["cpu_seconds"]
            self.summary.peak_worker_bytes = max(self.summary.peak_worker_bytes, answer["peak_bytes"] or 0)
            self._forget_failure(shard)
            self.progress.done(answer["rows"][KINDS[self.configuration.method][0]], agenda.weight(shard))
            return
        self._refuse_to_go_on(answer)
        self.failures[shard] = self.failures.get(shard, 0) + 1
        if self.failures[shard] < ATTEMPTS:
            self.progress.log(f"shard {shard.name} failed ({answer['error']}); it will be tried again")
            agenda.again(shard)
            return
        self.progress.log(f"shard {shard.name} failed {ATTEMPTS} times ({answer['error']}); set aside")
        agenda.give_up(shard)
        self._set_aside(shard, answer)

    def _forget_failure(self, shard: Shard) -> None:
        (self.run.failed / f"{shard.name}.json").unlink(missing_ok=True)

    def _set_aside(self, shard: Shard, answer: dict[str, Any]) -> None:
        self.summary.set_aside[shard.name] = answer["error"]
        document = {
            "schema": SCHEMA_VERSION,
            "shard": shard.name,
            "attempts": ATTEMPTS,
            "error": answer["error"],
            "traceback": answer.get("traceback", ""),
            "when": provenance.now(),
        }
        write_document(self.run.failed / f"{shard.name}.json", document)

    def _refuse_to_go_on(self, answer: dict[str, Any]) -> None:
        """Raise for an error that every other shard will meet too."""
        if answer.get("errno") in UNWRITABLE and answer.get("errno") is not None:
            error = OSError(answer["errno"], os.strerror(answer["errno"]))
            raise RunError(disk_message(error, self.run.path))
        if answer["error"].startswith("InputError: "):
            raise InputError(answer["error"].removeprefix("InputError: "))
        if answer.get("final"):
            raise RunError(f"{answer['error'].partition(': ')[2]}; everything finished is kept")

    def _engine(self, threads: int) -> Engine:
        setting = {
            "path": os.path.realpath(self.run.path),
            "configuration": self.configuration.to_dict(),
            "backend": self.backend,
            "plugins": {"roots": plugins.roots(), "sources": provenance.family_sources(self.configuration)},
        }
        if self.dask is not None:
            from simcore.sweep.dask import DaskEngine

            return DaskEngine(setting, self.dask)
        from simcore.sweep.local import InProcess, LocalPool

        if self.workers == 0:
            return InProcess(setting, threads)
        return LocalPool(setting, self.workers, threads)

    def _end(self, entry: dict[str, Any], outcome: str, began: float) -> None:
        self.summary.wall_seconds = round(time.monotonic() - began, 3)
        try:
            provenance.end_session(self.run, entry, outcome, began, self.summary.computed)
        except (OSError, SimcoreError) as error:
            self.progress.log(f"the session could not be noted in {self.run.information}: {error}")

    def _report(self, agenda: Agenda) -> None:
        summary = self.summary
        summary.shards = len(agenda.held)
        for note in [*summary.notes, *summary.waits]:
            self.progress.log(note)
        if summary.set_aside:
            for name, error in summary.set_aside.items():
                self.progress.log(f"set aside: {name}: {error}")
            if any("MemoryError" in error or "signal 9" in error for error in summary.set_aside.values()):
                self.progress.log("memory ran out, it seems: give fewer --workers")
            self.progress.log(
                f"{len(summary.set_aside)} shards were set aside; see {self.run.failed}, then run again to retry them"
            )
            return
        rows = ", ".join(f"{count:,} {kind}" for kind, count in summary.rows.items()) or "nothing was missing"
        share = "" if self.part is None else f" (part {self.part[0]} of {self.part[1]})"
        state = "incomplete" if summary.waits else "done"
        self.progress.log(f"{state}{share}: {rows}, {duration(summary.wall_seconds)}; {summary.run}")


class _Signals:
    """Counts SIGINT and SIGTERM while it is open; elsewhere than in the main thread there is nothing to count."""

    def __init__(self) -> None:
        self.count = 0
        self._first: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._first is None:
            self._first = time.monotonic()

    def check(self, running: int) -> None:
        """Raise ``KeyboardInterrupt`` once a signal came and nothing runs, the grace is over, or the user insists."""
        if self._first is None:
            return
        if not running or self.count > 1 or time.monotonic() - self._first > GRACE:
            raise KeyboardInterrupt


def default_workers(backend: str) -> int:
    """Return one worker for each processor; two share a CUDA device: one's searches fill what the other leaves idle."""
    return min(2, usable_processors()) if backend == "cuda" else usable_processors()


def print_lines(lines: list[str], *, aside: bool) -> None:
    """Print lines on standard output, or on standard error (``aside``) where that belongs to a JSON document."""
    import sys

    for line in lines:
        print(line, file=sys.stderr if aside else sys.stdout)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output; infinities and NaN become null."""
    import json

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        return None if isinstance(value, float) and value - value != 0 else value

    print(json.dumps(plain(document), indent=2, allow_nan=False))
