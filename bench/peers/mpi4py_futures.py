"""The cases of wasmpool bench, done with mpi4py.futures.

usage: mpirun -n N python3 mpi4py_futures.py CASE...

Prints lines of JSON like wasmpool bench. Environment:
  MPI4PY_FUTURES_BACKOFF  mpi4py's own setting: the longest sleep between polls
  PEER_SLEEP              "slack": a sleep ends when it should, not 50 µs later;
                          "3.10": sleeping for no time does what it did before
                          Python 3.11, and takes 0.4 µs instead of 71
"""

import ctypes
import json
import os
import select
import statistics
import sys
import time

from mpi4py import MPI
from mpi4py import futures
from mpi4py.futures import MPICommExecutor

RUNS = 3


def tune():
    """Takes what holds mpi4py's polling up out of its way."""
    how = os.environ.get("PEER_SLEEP", "")
    if how == "slack":
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK, ns
    elif how == "3.10":
        real = time.sleep
        futures._lib.time = type("time", (), {
            "sleep": staticmethod(lambda s: real(s) if s else select.select([], [], [], 0)),
        })


def report(case, unit, n, values):
    print(json.dumps({
        "case": case, "ranks": MPI.COMM_WORLD.size, "value": statistics.median(values),
        "unit": unit, "n": n, "runs": len(values), "min": min(values), "max": max(values),
    }), flush=True)


def echo(arg):
    return arg


ARG = b"12345678"


def submit(ex, n):
    start = time.perf_counter()
    futures = [ex.submit(echo, ARG) for _ in range(n)]
    for f in futures:
        f.result()
    return n / (time.perf_counter() - start)


def map_all(ex, n, chunk):
    start = time.perf_counter()
    for _ in ex.map(echo, (ARG for _ in range(n)), chunksize=chunk):
        pass
    return n / (time.perf_counter() - start)


def round_trips(ex, n, pause):
    trips = []
    for _ in range(n):
        time.sleep(pause)
        start = time.perf_counter()
        ex.submit(echo, ARG).result()
        trips.append((time.perf_counter() - start) * 1e6)
    return sorted(trips)


def payload(ex, size, n):
    arg = b"x" * size
    start = time.perf_counter()
    for _ in ex.map(echo, (arg for _ in range(n))):
        pass
    return 2 * n * size / 1e9 / (time.perf_counter() - start)


JULIA_ROWS, JULIA_WIDTH, JULIA_ITERATIONS = 300, 800, 100


def julia(y):
    """A row of a Julia set, in about the time that a row takes in wasm."""
    step = 3.2 / JULIA_WIDTH
    im0 = step * (y * JULIA_WIDTH / JULIA_ROWS - JULIA_WIDTH / 2)
    row = bytearray(JULIA_WIDTH)
    for x in range(JULIA_WIDTH):
        z, n = complex(step * (x - JULIA_WIDTH / 2), im0), 0
        while n < JULIA_ITERATIONS and z.real * z.real + z.imag * z.imag <= 4:
            z, n = z * z + (-0.8 + 0.156j), n + 1
        row[x] = n
    return bytes(row)


def julia_serial():
    start = time.perf_counter()
    for y in range(JULIA_ROWS):
        julia(y)
    return JULIA_ROWS / (time.perf_counter() - start)


def julia_pool(ex):
    start = time.perf_counter()
    for _ in ex.map(julia, range(JULIA_ROWS)):
        pass
    return JULIA_ROWS / (time.perf_counter() - start)


def measure(ex, case):
    if case == "first":
        ex.submit(echo, ARG).result()
        report(case, "ms", 1, [0])
    elif case == "submit":
        report(case, "calls/s", 5000, [submit(ex, 5000) for _ in range(RUNS)])
    elif case.startswith("map_"):
        chunk = int(case[4:])
        n = {1: 5000, 100: 100_000, 1000: 500_000}[chunk]
        report(case, "calls/s", n, [map_all(ex, n, chunk) for _ in range(RUNS)])
    elif case == "latency_busy":
        trips = round_trips(ex, 3000, 0)
        report(case, "µs", len(trips), [trips[len(trips) // 2]])
        report("latency_busy_p99", "µs", len(trips), [trips[len(trips) * 99 // 100]])
    elif case == "latency_idle":
        report(case, "µs", 4, [statistics.median(round_trips(ex, 4, 1))])
    elif case.startswith("echo_"):
        size, n = {"64KiB": (64 << 10, 500), "1MiB": (1 << 20, 100), "64MiB": (64 << 20, 4)}[case[5:]]
        report(case, "GB/s", n, [payload(ex, size, n) for _ in range(RUNS)])
    elif case == "julia":
        report(case, "calls/s", JULIA_ROWS, [julia_pool(ex) for _ in range(RUNS)])
    else:
        sys.exit(f"no case {case}")


def main():
    tune()
    if sys.argv[1:] == ["julia_serial"]:
        report("julia_serial", "calls/s", JULIA_ROWS, [julia_serial() for _ in range(RUNS)])
        return
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as ex:
        if ex is not None:
            if sys.argv[1:] != ["first"]:
                list(ex.map(echo, [ARG] * 100))
            for case in sys.argv[1:]:
                measure(ex, case)


main()
