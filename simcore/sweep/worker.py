"""A worker process: reads shards from standard input, a JSON line each, and answers with a JSON line each.

It is a fresh interpreter, not a fork: Numba's threads do not survive a fork, and a fresh process needs nothing of the
user's script. It ends when its standard input closes, so it never outlives the run, however the run dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any


def main() -> None:
    """Serve shards until standard input closes."""
    for name in ("SIGINT", "SIGTERM"):  # the run decides when to stop; a closed pipe or SIGKILL stops a worker
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    lines = _Lines()
    setting = lines.next()
    if setting is None:
        return
    serve = _server(setting)
    while (request := lines.next()) is not None:
        print(json.dumps(serve(request)), file=answers, flush=True)


class _Lines:
    """Requests, read by a thread of its own, which ends the process as soon as the pipe closes, even in mid-shard."""

    def __init__(self) -> None:
        import queue

        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._queue.put(json.loads(line))
        os._exit(0)

    def next(self) -> dict[str, Any] | None:
        return self._queue.get()


def _server(setting: dict[str, Any]) -> Any:
    from simcore.sweep.plan import Shard

    def serve(request: dict[str, Any]) -> dict[str, Any]:
        shard = Shard.from_name(request["shard"])
        assert shard is not None
        configuration = prepared(setting)
        if isinstance(configuration, str):
            return {"shard": shard.name, "error": configuration, "traceback": ""}
        return attempt(
            setting["path"], configuration, shard, setting["backend"], setting["threads"], merge=request["merge"]
        )

    return serve


_prepared: dict[str, Any] = {}


def prepared(setting: dict[str, Any]) -> Any:
    """Return the configuration of a run, made once a process, with the families of its plugins; or what is wrong.

    A source that is not the one that the run was begun with computes nothing.
    """
    key = json.dumps([setting["configuration"], setting["plugins"]], sort_keys=True)
    if key not in _prepared:
        from simcore import plugins
        from simcore.errors import InputError
        from simcore.sweep.config import Configuration
        from simcore.sweep.provenance import family_sources

        try:
            plugins.adopt(setting["plugins"]["roots"])
            configuration = Configuration.from_dict(setting["configuration"])
        except InputError as error:
            return f"InputError: {error}"
        here = family_sources(configuration)
        for name, digest in setting["plugins"]["sources"].items():
            if here.get(name, digest) != digest:
                return (
                    f"InputError: {name} is another source in a worker than where the run was started (SHA-256 "
                    f"{here[name][:12]} and {digest[:12]}); bring both to one state and run again"
                )
        _prepared[key] = configuration
    return _prepared[key]


def attempt(
    path: str, configuration: Any, shard: Any, backend: str, threads: int | None, *, merge: bool = False
) -> dict[str, Any]:
    """Compute a shard, or merge the draw that it begins; return what it took, or what went wrong with the traceback.

    Never raises an ``Exception``.
    """
    try:
        from simcore.sweep.compute import compute_shard
        from simcore.sweep.merge import merge_draw

        if merge:
            return {"shard": shard.name, **merge_draw(path, configuration, shard, backend=backend)}

        record = compute_shard(path, configuration, shard, backend=backend, threads=threads)
        rows = {kind.replace("parts", "starts"): facts["rows"] for kind, facts in record["files"].items()}
        size = sum(facts["bytes"] for facts in record["files"].values())
        cost = {key: record[key] for key in ("wall_seconds", "cpu_seconds", "peak_bytes")}
        return {"shard": shard.name, "rows": rows, "bytes": size, **cost}
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        text = " ".join(str(error).split()) or type(error).__name__
        return {
            "shard": shard.name,
            "error": f"{type(error).__name__}: {text}",
            "errno": number,
            "file": str(getattr(error, "filename", None) or ""),
            "traceback": traceback.format_exc(),
        }


if __name__ == "__main__":
    main()
