"""One child of the ceiling: multiplies matrices when told to, in a process whose OpenBLAS core type was chosen before.

Run as ``python -m simcore.benchmarks.dgemm THREADS SIZES``: prints the name of the core type in use, then, for each
line "go" that it reads, a rate in Gflop/s.
"""

from __future__ import annotations

import sys

SLICE = 0.1  # seconds a size


def core_type() -> str:
    """Return the core type that the loaded OpenBLAS uses; empty where it does not say."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ""
    return ",".join(sorted({str(pool.get("architecture", "")) for pool in threadpool_info()}))


def main(threads: int, sizes: list[int]) -> None:
    """Answer on standard output until standard input ends."""
    import numpy as np

    from simcore.benchmarks.timing import clock_of

    clock = clock_of(threads)

    generator = np.random.default_rng(0)
    matrices = [tuple(generator.standard_normal((size, size)) for _ in range(3)) for size in sizes]
    for a, b, c in matrices:
        np.matmul(a, b, out=c)
    print(core_type(), flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            return
        rates = []
        for a, b, c in matrices:
            products, begin = 0, clock()
            while (elapsed := clock() - begin) < SLICE:
                np.matmul(a, b, out=c)
                products += 1
            rates.append(2.0 * len(a) ** 3 * products / elapsed / 1e9)
        print(max(rates), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(size) for size in sys.argv[2].split(",")])
