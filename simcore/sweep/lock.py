"""One writer per run directory, also after crashes.

Every writer holds a file in ``RUN/locks``: the operating system's lock on it, and in it who holds it. The system drops
its lock when the holder dies, however it dies, so a dead holder never blocks a run. Where the lock can't be trusted
alone:

- on the same machine, the holder's process number counts only with its start time (in clock ticks since boot, which no
  change of the clock touches), so a reused process number is not taken for the holder;
- a holder on another machine of a shared file system is watched for a few seconds of the monotonic clock: it counts up
  a
  heartbeat in its file. A count that stands still is a dead holder's. Wall clocks are never compared.

A plain writer excludes all others; jobs ``i/k`` exclude writers of the same i, of another k, and plain ones.
Lock files are emptied on release and never deleted: deleting would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from simcore.errors import RunError

try:
    import fcntl
except ImportError:  # not a POSIX system: process numbers alone decide
    fcntl = None  # type: ignore[assignment]

HEARTBEAT = 2.0  # seconds between counts
WATCH = 7.0  # seconds a holder on another machine is watched: more than three heartbeats
PATIENCE = 60.0  # seconds to wait for other processes that are just looking at the locks


class RunLock:
    """The right to write one run directory; use as a context manager.

    Raises ``RunError`` naming the holder when another process has it.
    """

    def __init__(self, run: Path, shard: tuple[int, int] | None = None) -> None:
        self.directory = run / "locks"
        self.name = "writer" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"
        self.stream: IO[bytes] | None = None
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None

    def __enter__(self) -> RunLock:
        with gate(self.directory.parent):
            for path in sorted(self.directory.glob("*.lock")):
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
        if self.stream is not None:
            with contextlib.suppress(OSError):  # a vanished disk must not hide the error that ended the run
                self.stream.truncate(0)
            self.stream.close()

    def _conflicts(self, other: str) -> bool:
        if "writer" in (self.name, other):
            return True
        return other == self.name or other.rpartition("-of-")[2] != self.name.rpartition("-of-")[2]

    def _take(self) -> None:
        self.stream = _open(self.directory / f"{self.name}.lock")
        if not _try_lock(self.stream):
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
        assert self.stream is not None
        text = json.dumps({**identity(os.getpid()), "count": count}).encode()
        self.stream.seek(0)
        self.stream.write(text)
        self.stream.truncate(len(text))
        self.stream.flush()


@contextlib.contextmanager
def gate(run: Path) -> Iterator[None]:
    """Be alone with a run's locks and its run.json for a moment; jobs of one run wait for each other here."""
    directory = run / "locks"
    directory.mkdir(exist_ok=True)
    with _open(directory / "gate") as stream:
        deadline = time.monotonic() + PATIENCE
        while not _try_lock(stream):
            if time.monotonic() > deadline:
                raise RunError(f"{directory}: another process holds the gate for long; wait for it, then try again")
            time.sleep(0.02)
        yield


def identity(pid: int) -> dict[str, Any]:
    """Return what tells one process from every other: number, start time in ticks since boot, boot, machine."""
    return {"pid": pid, "started": start_time(pid), "boot": _boot(), "host": socket.gethostname()}


def start_time(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, None where there is none or the system won't say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a process's name may hold anything, parentheses too
    return None if fields[0] in "ZX" else int(fields[19])


def living_holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lock file, None where nobody does or the holder is dead."""
    try:
        stream = _open(path)
    except FileNotFoundError:
        return None
    with stream:
        free = _try_lock(stream)
        holder = _holder(path)
        if not free:
            return holder or {"pid": "unknown", "host": "this file system"}
    if not holder:
        return None
    if holder.get("host") == socket.gethostname():
        alive = holder.get("boot") == _boot() and holder.get("started") is not None
        return holder if alive and start_time(int(holder["pid"])) == holder["started"] else None
    # On another machine: a network file system may keep its lock from us, so watch the heartbeat.
    deadline = time.monotonic() + WATCH
    while time.monotonic() < deadline:
        time.sleep(HEARTBEAT / 4)
        if _holder(path).get("count") != holder.get("count"):
            return holder
    return None


def _holder(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes() or b"{}")
        return found if isinstance(found, dict) and isinstance(found.get("pid", 0), int) else {}
    except (OSError, ValueError):
        return {}


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)


def _try_lock(stream: IO[bytes]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (11, 13)  # a file system without locks: identities and heartbeats decide alone
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
