"""Dask distributed as the engine: the same shards, the same files, on a cluster that the user owns.

Workers must see the run directory under the same path and have this version of simcore. A task writes its own files and
returns a small answer; no rows travel through the scheduler. Each worker process should have one thread
(``dask worker --nthreads 1``): tasks in one process take turns otherwise, since Numba's thread layer allows no two
callers.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import threading
import time
import uuid
from typing import Any

from simcore.errors import InputError, RunError
from simcore.sweep.plan import Shard

CONNECT_SECONDS = 20
WORKERS_SECONDS = 120
COUNT_SECONDS = 5.0  # how long a count of workers is believed

QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.scheduler.work-stealing": False,
}
"""Settings of a cluster of our own. By default Dask profiles the running task and counts ticks some hundred times a
second, which nobody reads here."""

_TURN = threading.Lock()


class DaskEngine:
    """An engine on a Dask cluster; ``address`` is a scheduler's, "local", "local:N", or a ``distributed.Client``.

    Raises ``InputError`` where Dask is not installed or the address is none, ``RunError`` where nobody answers or no
    worker comes.
    """

    def __init__(self, setting: dict[str, Any], address: Any) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError(
                "Dask distributed is not installed; pip install 'simcore[dask]', or leave out --dask"
            ) from None
        self._setting = {**setting, "version": _version()}
        self._cluster: Any = None
        self._answers: queue.SimpleQueue[tuple[Shard, dict[str, Any]]] = queue.SimpleQueue()
        self._futures: dict[Any, Shard] = {}
        self._tasks = itertools.count()
        self._counted, self._capacity = -math.inf, 2
        self._owned = isinstance(address, str)
        self._client: Any = None
        self._client = self._connect(distributed, address)
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            self._check_versions()
        except TimeoutError:
            self.close()
            raise RunError(
                f"no worker joined {address} in {WORKERS_SECONDS} s; start some with: dask worker ADDRESS --nthreads 1"
            ) from None
        except RunError:
            self.close()
            raise
        self.name = f"dask, {len(self._workers())} workers"

    def _connect(self, distributed: Any, address: Any) -> Any:
        if not isinstance(address, str):
            if not isinstance(address, distributed.Client):
                raise InputError(
                    f"dask is {address!r}; give a scheduler's address, 'local', 'local:N' or a distributed.Client"
                )
            return address
        kind, colon, count = address.partition(":")
        if kind == "local":
            if colon and not (count.isdecimal() and 1 <= int(count) <= 4096):
                raise InputError(f"dask is {address!r}; give local:N with N from 1 to 4096, or a scheduler's address")
            try:
                self._cluster = _local_cluster(distributed, int(count) if colon else None)
            except (RuntimeError, OSError, TimeoutError) as error:
                raise RunError(f"no Dask cluster could be started on this machine: {_line(error)}") from None
            address = self._cluster.scheduler_address
        try:
            return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except ValueError as error:
            raise InputError(f"dask is {address!r}: {_line(error)}; give an address such as tcp://host:8786") from None
        except OSError as error:
            raise RunError(
                f"no Dask scheduler answers at {address}: {_line(error)}; start one with: dask scheduler"
            ) from None

    def _workers(self) -> dict[str, Any]:
        return self._client.scheduler_info(n_workers=-1)["workers"]

    def _check_versions(self) -> None:
        import simcore

        for address, version in self._client.run(_version).items():
            if version != simcore.__version__:
                raise RunError(
                    f"worker {address} has simcore {version}, this is {simcore.__version__}; install the same on all"
                )

    @property
    def capacity(self) -> int:
        """Shards to keep in flight: two a worker, so that none waits for the next; recounted now and then."""
        if time.monotonic() > self._counted + COUNT_SECONDS:
            self._capacity = max(2, 2 * len(self._workers()))
            self._counted = time.monotonic()
        return self._capacity

    @property
    def running(self) -> int:
        """Number of shards in flight."""
        return len(self._futures)

    def submit(self, shard: Shard, merge: bool = False) -> None:
        """Send a shard, or the merge of the draw it begins, to the cluster."""
        # A key of its own for each attempt: Dask would answer a known key with the old result.
        key = f"simcore-{shard.name}{'-merge' if merge else ''}-{uuid.uuid4().hex[:8]}-{next(self._tasks)}"
        future = self._client.submit(_task, self._setting, shard.name, merge, key=key, pure=False, retries=0)
        self._futures[future] = shard
        future.add_done_callback(self._finished)

    def _finished(self, future: Any) -> None:
        """Called in a thread of the client when a future ends, however it ends."""
        shard = self._futures.get(future)
        if shard is None:
            return
        try:
            answer = future.result(timeout=10)
        except BaseException as error:  # a lost worker, a lost scheduler, a task that Dask itself could not run
            answer = {"shard": shard.name, "error": f"{type(error).__name__}: {_line(error)}", "traceback": ""}
        self._answers.put((shard, answer))

    def wait(self, timeout: float) -> list[tuple[Shard, dict[str, Any]]]:
        """Return the answers that came in, after at most ``timeout`` seconds."""
        answers = []
        try:
            answers.append(self._answers.get(timeout=timeout))
            while True:
                answers.append(self._answers.get_nowait())
        except queue.Empty:
            pass
        if not answers and self._client.status not in ("running", "connecting"):
            raise RunError("the connection to the Dask scheduler was lost; run again to resume")
        done = {shard for shard, _ in answers}
        for future in [future for future, shard in self._futures.items() if shard in done]:
            del self._futures[future]
        return answers

    def stopped(self) -> list[int]:
        """Return no process: the scheduler watches its workers."""
        return []

    def close(self) -> None:
        """Drop what is in flight; close the client and the cluster if they are ours."""
        futures, self._futures = list(self._futures), {}
        client = self._client
        if client is not None and futures:
            with contextlib.suppress(Exception):  # the scheduler is gone, and its tasks with it
                client.cancel(futures, force=True)
        if client is not None and self._owned:
            client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=10)


def _task(setting: dict[str, Any], name: str, merge: bool) -> dict[str, Any]:
    """Compute one shard on a worker."""
    from simcore.sweep.worker import attempt, prepared

    shard = Shard.from_name(name)
    assert shard is not None
    if _version() != setting["version"]:  # a worker that joined after the others were asked
        error = f"RunError: a worker has simcore {_version()}, the run {setting['version']}; install the same on all"
        return {"shard": name, "error": error, "traceback": ""}
    with _TURN:
        configuration = prepared(setting)
        if isinstance(configuration, str):
            return {"shard": name, "error": configuration, "traceback": ""}
        return attempt(setting["path"], configuration, shard, setting["backend"], 1, merge=merge)


def _version() -> str:
    import simcore

    return simcore.__version__


def _local_cluster(distributed: Any, workers: int | None) -> Any:
    import dask

    from simcore.info import usable_processors
    from simcore.sweep.local import worker_environment

    with dask.config.set(QUIET):
        return distributed.LocalCluster(
            n_workers=workers or usable_processors(),
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=None,
            preload=["simcore.sweep.dask_worker"],
            env={**worker_environment(1), **_as_variables(QUIET)},
        )


def _as_variables(settings: dict[str, Any]) -> dict[str, str]:
    """Return Dask settings as the environment variables that a worker reads them from."""
    return {f"DASK_{key.upper().replace('.', '__').replace('-', '_')}": str(value) for key, value in settings.items()}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
