"""Local worker processes, each a fresh interpreter that computes one shard at a time (``simcore.sweep.worker``)."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import site
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import simcore
from simcore.errors import DeviceError, RunError
from simcore.progress import Background
from simcore.sweep.config import Configuration
from simcore.sweep.lock import process_state
from simcore.sweep.plan import Shard
from simcore.sweep.worker import attempt

Answer = dict[str, Any]

MOST_STILLBORN = 5
"""Workers in a row that may die before they answer anything; more means that none can live here."""


class LocalPool:
    """An engine: ``submit`` shards, ``wait`` for answers, ``close``. A worker that dies is replaced at once.

    ``workers`` processes of ``threads`` threads each.
    """

    def __init__(self, setting: dict[str, Any], workers: int, threads: int) -> None:
        self.name = "local processes"
        self.capacity = workers
        self._setting = {**setting, "threads": threads}
        self._environment = worker_environment(threads)
        self._answers: queue.SimpleQueue[tuple[_Worker, Answer | None]] = queue.SimpleQueue()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._stillborn = 0

    @property
    def running(self) -> int:
        """Number of shards being computed."""
        return len(self._busy)

    def submit(self, shard: Shard, merge: bool = False) -> None:
        """Hand a shard, or the merge of the draw it begins, to an idle worker; only while ``running < capacity``."""
        worker = self._idle.pop() if self._idle else _Worker(self._environment, self._setting, self._answers)
        worker.give(shard, merge)
        self._busy.add(worker)

    def wait(self, timeout: float) -> list[tuple[Shard, Answer]]:
        """Return the answers that came in, after at most ``timeout`` seconds; a dead worker answers with an error."""
        answers: list[tuple[Shard, Answer]] = []
        try:
            item = self._answers.get(timeout=timeout)
            while True:
                answers.extend(self._received(*item))
                item = self._answers.get_nowait()
        except queue.Empty:
            return answers

    def _received(self, worker: _Worker, answer: Answer | None) -> list[tuple[Shard, Answer]]:
        if worker not in self._busy:
            if worker in self._idle:  # it died between two shards
                self._idle.remove(worker)
                worker.end()
            return []
        self._busy.remove(worker)
        shard = worker.shard
        assert shard is not None
        if answer is not None:
            self._stillborn = 0
            if _lost_its_device(answer):
                worker.end()
            else:
                self._idle.append(worker)
            return [(shard, answer)]
        code = worker.end()
        self._stillborn += not worker.answered
        if self._stillborn > MOST_STILLBORN:
            raise RunError(
                f"{self._stillborn} worker processes in a row ended ({_death(code)}) before their first shard; "
                "see what they printed, and whether there is memory for them"
            )
        return [(shard, {"shard": shard.name, "error": f"the worker process ended: {_death(code)}", "traceback": ""})]

    def stopped(self) -> list[int]:
        """Process numbers of workers that compute nothing because somebody stopped them (SIGSTOP, a debugger)."""
        return [w.process.pid for w in self._busy if process_state(w.process.pid) in ("T", "t")]

    def close(self) -> None:
        """End all workers at once; what they were computing is dropped, unfinished files stay unnamed."""
        for worker in [*self._idle, *self._busy]:
            worker.end()
        self._idle.clear()
        self._busy.clear()

    def processes(self) -> list[int]:
        """Process numbers of the workers."""
        return [worker.process.pid for worker in [*self._idle, *self._busy]]


class InProcess:
    """An engine without processes: each shard is computed in a thread of this one, on all threads. For small sweeps."""

    name = "in process"
    capacity = 1

    def __init__(self, setting: dict[str, Any], threads: int) -> None:
        self._setting, self._threads = setting, threads
        self._configuration = Configuration.from_dict(setting["configuration"])
        self._answers: queue.SimpleQueue[tuple[Shard, Answer]] = queue.SimpleQueue()
        self._call: Background | None = None
        self.running = 0

    def submit(self, shard: Shard, merge: bool = False) -> None:
        """Begin to compute a shard, or the merge of the draw it begins."""
        path, backend = self._setting["path"], self._setting["backend"]

        def compute() -> None:
            answer = attempt(path, self._configuration, shard, backend, self._threads, merge=merge)
            self._answers.put((shard, {**answer, "final": _lost_its_device(answer)}))

        self.running = 1
        self._call = Background(compute)

    def wait(self, timeout: float) -> list[tuple[Shard, Answer]]:
        """Return the answer that came in, after at most ``timeout`` seconds."""
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            if self._call is not None and self._call.over.is_set() and self._answers.empty():
                self._call.result()  # it ended without an answer: what ended it is raised here
            return []
        self.running = 0
        return [answer]

    def stopped(self) -> list[int]:
        """Return no process: there is none but this one."""
        return []

    def close(self) -> None:
        """Stop what is being computed."""
        if self._call is not None:
            self._call.stop()


def _lost_its_device(answer: Answer) -> bool:
    """Whether the process that answered so can't use its CUDA device any more."""
    return str(answer.get("error", "")).startswith(f"{DeviceError.__name__}: ")


class _Worker:
    def __init__(self, environment: dict[str, str], setting: dict[str, Any], answers: queue.SimpleQueue) -> None:
        self.shard: Shard | None = None
        self.answered = False
        # In a group of its own, so that Ctrl-C reaches the run, which then decides, and not the workers.
        group: Any = {} if sys.platform == "win32" else {"process_group": 0}
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "simcore.sweep.worker"]
        self.process: Any = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, **group)
        self._answers = answers
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._send(setting)

    def give(self, shard: Shard, merge: bool) -> None:
        self.shard = shard
        self._send({"shard": shard.name, "merge": merge})

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it is dead; its listener says so

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue  # cut short by the worker's death
                self.answered = True
                self._answers.put((self, answer))
        self._answers.put((self, None))

    def end(self) -> int:
        """Kill the process if it lives; return its exit code."""
        self.process.kill()
        code = self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):  # what was still to be sent has nobody to read it
                self.process.stdin.close()
        self._listener.join(timeout=5)
        return code


def _death(code: int) -> str:
    if code == -9:
        return "killed (signal 9; the system kills processes when memory runs out)"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def worker_environment(threads: int) -> dict[str, str]:
    """Return the workers' environment: their number of threads, and where simcore lies."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    for library in ("OMP", "OPENBLAS", "MKL"):
        environment[f"{library}_NUM_THREADS"] = "1"
    root = str(Path(simcore.__file__).resolve().parents[1])
    if root not in [*site.getsitepackages(), site.getusersitepackages()]:
        paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        environment["PYTHONPATH"] = os.pathsep.join([*paths, *([root] if root not in paths else [])])
    return environment
