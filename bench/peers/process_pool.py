"""Cases of wasmpool bench, done with Python's concurrent.futures.ProcessPoolExecutor
on two processes.

usage: python3 process_pool.py CASE...

  submit         all tasks submitted, then all results    calls/s
  map_C          map with chunks of C; 1 is untuned       calls/s
  latency_busy   round trip of one task at a time         µs

Prints lines of JSON like wasmpool bench.
"""

import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor

WORKERS = 2
RUNS = 3
ARG = b"12345678"


def echo(arg):
    return arg


def report(case, unit, n, values):
    print(json.dumps({
        "case": case, "ranks": 0, "value": statistics.median(values),
        "unit": unit, "n": n, "runs": len(values), "min": min(values), "max": max(values),
    }), flush=True)


def submit(ex, n):
    start = time.perf_counter()
    for f in [ex.submit(echo, ARG) for _ in range(n)]:
        f.result()
    return n / (time.perf_counter() - start)


def map_all(ex, n, chunk):
    start = time.perf_counter()
    for _ in ex.map(echo, [ARG] * n, chunksize=chunk):
        pass
    return n / (time.perf_counter() - start)


def round_trips(ex, n):
    trips = []
    for _ in range(n):
        start = time.perf_counter()
        ex.submit(echo, ARG).result()
        trips.append((time.perf_counter() - start) * 1e6)
    return sorted(trips)


def measure(ex, case):
    if case == "submit":
        report(case, "calls/s", 5000, [submit(ex, 5000) for _ in range(RUNS)])
    elif case.startswith("map_"):
        chunk = int(case[4:])
        n = {1: 10_000, 100: 100_000, 1000: 500_000}[chunk]
        report(case, "calls/s", n, [map_all(ex, n, chunk) for _ in range(RUNS)])
    elif case == "latency_busy":
        trips = round_trips(ex, 3000)
        report(case, "µs", len(trips), [trips[len(trips) // 2]])
        report("latency_busy_p99", "µs", len(trips), [trips[len(trips) * 99 // 100]])
    else:
        sys.exit(f"no case {case}")


def main():
    with ProcessPoolExecutor(WORKERS) as ex:
        list(ex.map(echo, [ARG] * 100))
        for case in sys.argv[1:]:
            measure(ex, case)


if __name__ == "__main__":
    main()
