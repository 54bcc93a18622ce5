"""The method of schwimmbad's MPIPool, written anew: the master sends one pickled
task at a time to each worker that is free, and probes for results.

usage: mpirun -n N python3 schwimmbad_pool.py CASE...

  map_1, map_C   8-byte tasks a second; with C, the tasks of a message are a
                 list of C, as a user makes it who chunks by hand
  latency_busy   round trip of one task at a time    µs

Prints lines of JSON like wasmpool bench.
"""

import json
import statistics
import sys
import time

from mpi4py import MPI

RUNS = 3
ARG = b"12345678"

comm = MPI.COMM_WORLD


def work():
    """Runs what the master sends until that is None."""
    while (task := comm.recv(source=0)) is not None:
        function, arg = task
        comm.ssend(function(arg), dest=0)


def pool_map(function, args):
    """Returns the results in the order of the arguments."""
    free, has = list(range(1, comm.size)), {}
    results, sent, back = [None] * len(args), 0, 0
    status = MPI.Status()
    while back < len(args):
        if free and sent < len(args):
            worker = free.pop()
            comm.send((function, args[sent]), dest=worker)
            has[worker] = sent
            sent += 1
            if not comm.Iprobe():  # while there are tasks, no wait for a result
                continue
        result = comm.recv(status=status)
        free.append(status.source)
        results[has[status.source]] = result
        back += 1
    return results


def echo(arg):
    return arg


def echo_all(args):
    return [echo(arg) for arg in args]


def report(case, unit, n, values):
    print(json.dumps({
        "case": case, "ranks": comm.size, "value": statistics.median(values),
        "unit": unit, "n": n, "runs": len(values), "min": min(values), "max": max(values),
    }), flush=True)


def map_all(n, chunk):
    """Maps so many arguments, in lists if a message is to have several."""
    start = time.perf_counter()
    args = [ARG] * n
    if chunk == 1:
        results = pool_map(echo, args)
    else:
        lists = [args[at:at + chunk] for at in range(0, n, chunk)]
        results = [r for some in pool_map(echo_all, lists) for r in some]
    rate = n / (time.perf_counter() - start)
    assert results == args
    return rate


def round_trips(n):
    trips = []
    for _ in range(n):
        start = time.perf_counter()
        pool_map(echo, [ARG])
        trips.append((time.perf_counter() - start) * 1e6)
    return sorted(trips)


def measure(case):
    if case.startswith("map_"):
        chunk = int(case[4:])
        n = {1: 50_000, 100: 500_000, 1000: 1_000_000}[chunk]
        report(case, "calls/s", n, [map_all(n, chunk) for _ in range(RUNS)])
    elif case == "latency_busy":
        trips = round_trips(10_000)
        report(case, "µs", len(trips), [trips[len(trips) // 2]])
        report("latency_busy_p99", "µs", len(trips), [trips[len(trips) * 99 // 100]])
    else:
        sys.exit(f"no case {case}")


def main():
    if comm.rank > 0:
        work()
        return
    pool_map(echo, [ARG] * 100)
    for case in sys.argv[1:]:
        measure(case)
    for worker in range(1, comm.size):
        comm.send(None, dest=worker)


main()
