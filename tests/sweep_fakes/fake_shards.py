"""Rows that look like a search's and depend on (seed, draw, start) alone, with faults on demand.

The environment variable SWEEP_FAKE holds a JSON object: ``delay`` seconds a shard; ``nan``, ``raise``, ``allocate``,
``die``, ``input`` or ``device``: a draw whose shard is struck (``device``: every later shard of that process too);
``once``: a path, so that the fault strikes only until the file is
there.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from simcore.errors import DeviceError, InputError

STATUSES = ["critical", "degenerate", "gradient_flat", "max_iterations", "left_domain", "not_finite"]


def _noise(seed, draw, item):
    with np.errstate(over="ignore"):
        words = np.asarray(draw, np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(item, np.uint64)
        words = (words ^ np.uint64(seed)) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return (words >> np.uint64(11)).astype(np.float64) / 2.0**53


lost_device = False


def _strike(first_draw, draws):
    global lost_device
    setting = json.loads(os.environ.get("SWEEP_FAKE", "{}"))
    time.sleep(setting.get("delay", 0.0))
    once = setting.get("once")
    kinds = ("nan", "raise", "allocate", "die", "input", "device")
    struck = [k for k in kinds if first_draw <= setting.get(k, -1) < first_draw + draws]
    if lost_device:
        raise DeviceError("planted, and still there")
    if not struck or (once and Path(once).exists()):
        return None
    if once:
        Path(once).touch()
    if "raise" in struck:
        raise ValueError("planted")
    if "input" in struck:
        raise InputError("planted bad input")
    if "device" in struck:
        lost_device = True
        raise DeviceError("planted")
    if "die" in struck:
        os.kill(os.getpid(), 9)
    if "allocate" in struck:
        hold = [np.empty(1 << 27) for _ in range(512)]
        return str(len(hold))
    return struck[0]


def newton_rows(search, *, first_draw, draws, starts, first_start=0):
    landscape, seed, positions = search.landscape, search.seed, search.positions
    fault = _strike(first_draw, draws)
    draw = np.repeat(np.arange(first_draw, first_draw + draws), starts)
    start = np.tile(np.arange(first_start, first_start + starts), draws)
    u = _noise(seed, draw, start)
    status = np.where(u < 0.9, 0, 3).astype(np.int8)
    index = np.where(status == 0, (u * 1e6).astype(int) % (landscape.dimension + 1), -1)
    cost = np.where(status == 0, u, np.nan)
    if fault == "nan":
        cost[np.flatnonzero(status == 0)[0]] = np.nan
    columns = {
        "draw": draw, "start": start, "status": pd.Categorical.from_codes(status, STATUSES),
        "iterations": (10 * u).astype(np.int32), "cost": cost, "grad_norm": u * 1e-12,
        "morse_index": index.astype(np.int32),
        "nullity": np.zeros(len(draw), np.int32), "point": np.where(status == 0, start, -1), "certified": status == 0,
        "source": pd.Categorical.from_codes(np.zeros(len(draw), np.int8), [landscape.start_laws[0]]),
    }  # fmt: skip
    if positions:
        columns["x"] = list(np.outer(u, np.ones(landscape.n)))
    return pd.DataFrame(columns)


def enumerate_rows(search, *, first_draw, draws, starts, **_):
    landscape, seed = search.landscape, search.seed
    fault = _strike(first_draw, draws)
    draw = np.repeat(np.arange(first_draw, first_draw + draws), 6)
    point = np.tile(np.arange(6), draws)
    u = _noise(seed, draw, point)
    points = pd.DataFrame({
        "draw": draw, "point": point, "cost": u, "morse_index": (u * 1e6).astype(np.int32) % (landscape.dimension + 1),
        "nullity": np.zeros(len(draw), np.int32), "grad_norm": u * 1e-15, "hits": point + 4, "certified": True,
    })  # fmt: skip
    if fault == "nan":
        points.loc[0, "cost"] = np.nan
    euler = [int((1 - 2 * (group & 1)).sum()) for _, group in points.groupby("draw")["morse_index"]]
    audits = pd.DataFrame({
        "draw": np.arange(first_draw, first_draw + draws), "distinct": 6, "starts": starts, "singletons": 0,
        "coverage": 1.0, "euler_sum": euler, "euler_expected": 0, "complete": False, "certified_fraction": 1.0,
    })  # fmt: skip
    return points, audits
