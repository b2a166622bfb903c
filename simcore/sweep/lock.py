"""Who may write a run directory.

The locks are ``filelock``'s (``flock``, which a dead process does not hold). What it does not do is here, since a
network file system may keep its locks from other machines and users want to know whom they wait for: beside each lock
``NAME.lock`` its holder describes itself in ``NAME.json``.

- a holder on this machine is told by its process number *and* its start time (in clock ticks since boot, which no
  change of the clock touches), so a reused process number is not taken for the holder;
- a holder on another machine of a shared file system is watched for a few seconds of the monotonic clock: it counts up
  a heartbeat in its file. A count that stands still is a dead holder's. Wall clocks are never compared.

A plain writer excludes all others; jobs ``i/k`` exclude writers of the same i, of another k, and plain ones.
Descriptions are emptied on release; lock files are never deleted: two processes might lock two files of one name.
Files get the rights that the umask leaves, so that a group with umask 002 shares a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from simcore.errors import RunError

HEARTBEAT = 2.0  # seconds between counts
WATCH = 7.0  # seconds a holder on another machine is watched: more than three heartbeats
PATIENCE = 60.0  # seconds to wait for other processes that are just looking at the locks
LOOK = 0.02  # seconds between two tries


class RunLock:
    """The right to write one run directory; use as a context manager.

    Raises ``RunError`` naming the holder when another process has it.
    """

    def __init__(self, run: Path, shard: tuple[int, int] | None = None) -> None:
        self.directory = run / "locks"
        self.name = "writer" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"
        self.description = self.directory / f"{self.name}.json"
        self._lock: FileLock | None = None
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None

    def __enter__(self) -> RunLock:
        with gate(self.directory.parent):
            for path in sorted(self.directory.glob("*.json")):
                if self._conflicts(path.stem) and (holder := living_holder(path)):
                    raise RunError(
                        f"{self.directory.parent} is being written by process {holder.get('pid')} on "
                        f"{holder.get('host')} ({path.stem}); wait for it to end, stop it, or give another --out"
                    )
            self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._beat is not None:
            self._beat.join()
        with contextlib.suppress(OSError):  # a vanished disk must not hide the error that ended the run
            self.description.write_bytes(b"")
        if self._lock is not None:
            self._lock.release()

    def _conflicts(self, other: str) -> bool:
        if "writer" in (self.name, other):
            return True
        return other == self.name or other.rpartition("-of-")[2] != self.name.rpartition("-of-")[2]

    def _take(self) -> None:
        self._lock = acquired(self.description.with_suffix(".lock"))
        if self._lock is None:
            raise RunError(f"{self.directory.parent}: another process took the lock {self.name}; try again")
        self._write(0)
        self._beat = threading.Thread(target=self._count, name="simcore-lock", daemon=True)
        self._beat.start()

    def _count(self) -> None:
        count = 0
        while not self._stop.wait(HEARTBEAT):
            count += 1
            try:
                self._write(count)
            except OSError:
                return  # the run itself will meet the same error and report it

    def _write(self, count: int) -> None:
        text = json.dumps({**identity(os.getpid()), "count": count}).encode()
        # In place and cut to length last, so that a reader never finds it empty.
        with os.fdopen(os.open(self.description, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as stream:
            stream.write(text)
            stream.truncate(len(text))


def acquired(path: Path) -> FileLock | None:
    """Return a lock on a file, taken; None where another process has it."""
    # Made here, not by filelock, which would set rights of its own against the umask.
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    mode = os.fstat(handle).st_mode & 0o777
    os.close(handle)
    lock = FileLock(path, mode=mode)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextlib.contextmanager
def alone(run: Path, name: str, tick: Callable[[], object]) -> Iterator[None]:
    """Be the only process of a run in a section of that name; while another one is there, call ``tick`` and wait."""
    (run / "locks").mkdir(exist_ok=True)
    while (lock := acquired(run / "locks" / name)) is None:
        tick()
        time.sleep(LOOK)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def gate(run: Path) -> Iterator[None]:
    """Be alone with a run's locks and its run.json for a moment; jobs of one run wait for each other here."""
    deadline = time.monotonic() + PATIENCE

    def tick() -> None:
        if time.monotonic() > deadline:
            raise RunError(f"{run / 'locks'}: another process holds the gate for long; wait for it, then try again")

    with alone(run, "gate", tick):
        yield


def identity(pid: int) -> dict[str, Any]:
    """Return what tells one process from every other: number, start time in ticks since boot, boot, machine."""
    return {"pid": pid, "started": start_time(pid), "boot": _boot(), "host": socket.gethostname()}


def process_state(pid: int) -> str | None:
    """Return a process's state as one letter (R running, S asleep, T stopped, Z dead), None where it is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None


def start_time(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, None where there is none or the system won't say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a process's name may hold anything, parentheses too
    return None if fields[0] in "ZX" else int(fields[19])


def living_holder(description: Path) -> dict[str, Any] | None:
    """Return who holds the lock that a description stands beside, None where nobody does or the holder is dead."""
    lock = acquired(description.with_suffix(".lock"))
    holder = _holder(description)
    if lock is None:
        return holder or {"pid": "unknown", "host": "this file system"}
    lock.release()
    if not holder:
        return None
    if holder.get("host") == socket.gethostname():
        alive = holder.get("boot") == _boot() and holder.get("started") is not None
        return holder if alive and start_time(int(holder["pid"])) == holder["started"] else None
    # On another machine: a network file system may keep its lock from us, so watch the heartbeat.
    deadline = time.monotonic() + WATCH
    while time.monotonic() < deadline:
        time.sleep(HEARTBEAT / 4)
        if _holder(description).get("count") != holder.get("count"):
            return holder
    return None


def _holder(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes() or b"{}")
        return found if isinstance(found, dict) and isinstance(found.get("pid", 0), int) else {}
    except (OSError, ValueError):
        return {}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
