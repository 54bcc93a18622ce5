// The floor under wasmpool: what raw MPI does on the same machine, with no
// futures, no wasm and no errors to look after. Rank 0 sends, the others send
// back what they get. It prints lines of JSON like wasmpool bench.
//
// usage: mpirun -n N echo CASE...
//   empty          nothing: a line after MPI_Init
//   farm_W         8-byte messages, W in flight per worker     calls/s
//   farm_batch     messages of 100 calls of 8 bytes, 4 in flight  calls/s
//   ping           one 8-byte message at a time, to one worker    µs
//   echo_64KiB, echo_1MiB, echo_64MiB                             GB/s
//                  one at a time per worker
//   loop           no message: a step of a loop whose steps wait for each other, ns
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STOP = 0, DATA = 1, MOST = 64 << 20, RUNS = 5 };

static int rank, ranks;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(const char *name, const char *unit, int n, double *values, int runs) {
  qsort(values, runs, sizeof *values, by_value);
  printf("{\"case\":\"%s\",\"ranks\":%d,\"value\":%g,\"unit\":\"%s\",\"n\":%d,\"runs\":%d,\"min\":%g,\"max\":%g}\n", name,
         ranks, values[runs / 2], unit, n, runs, values[0], values[runs - 1]);
  fflush(stdout);
}

// work sends everything back until the root says stop.
static void work(void) {
  char *buf = malloc(MOST);
  for (;;) {
    MPI_Status st;
    int n;
    MPI_Recv(buf, MOST, MPI_BYTE, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &st);
    if (st.MPI_TAG == STOP) break;
    MPI_Get_count(&st, MPI_BYTE, &n);
    MPI_Send(buf, n, MPI_BYTE, 0, st.MPI_TAG, MPI_COMM_WORLD);
  }
  free(buf);
}

// farm keeps window short messages in flight at each worker and returns the
// seconds that n of them take.
static double farm(int window, int size, int n) {
  char *buf = calloc(1, size);
  int sent = 0, back = 0;
  double start = MPI_Wtime();
  for (int i = 0; i < window; i++)
    for (int to = 1; to < ranks && sent < n; to++, sent++)
      MPI_Send(buf, size, MPI_BYTE, to, DATA, MPI_COMM_WORLD);
  while (back < n) {
    MPI_Status st;
    MPI_Recv(buf, size, MPI_BYTE, MPI_ANY_SOURCE, DATA, MPI_COMM_WORLD, &st);
    back++;
    if (sent < n) {
      MPI_Send(buf, size, MPI_BYTE, st.MPI_SOURCE, DATA, MPI_COMM_WORLD);
      sent++;
    }
  }
  free(buf);
  return MPI_Wtime() - start;
}

// echo is farm for long messages, which travel only when both sides are there.
static double echo(int window, int size, int n) {
  int slots = window * (ranks - 1);
  MPI_Request *in = malloc(slots * sizeof *in), *out = malloc(slots * sizeof *out);
  char **to = malloc(slots * sizeof *to), **from = malloc(slots * sizeof *from);
  for (int s = 0; s < slots; s++) {
    memset(to[s] = malloc(size), 1, size);
    memset(from[s] = malloc(size), 2, size);
    in[s] = out[s] = MPI_REQUEST_NULL;
  }
  int sent = 0, back = 0;
  double start = MPI_Wtime();
  for (int s = 0; back < n;) {
    if (sent < n && sent < slots) {
      s = sent;
    } else {
      MPI_Waitany(slots, in, &s, MPI_STATUS_IGNORE);
      MPI_Wait(&out[s], MPI_STATUS_IGNORE);
      back++;
    }
    if (sent < n) {
      int peer = 1 + s % (ranks - 1);
      MPI_Irecv(from[s], size, MPI_BYTE, peer, DATA + s, MPI_COMM_WORLD, &in[s]);
      MPI_Isend(to[s], size, MPI_BYTE, peer, DATA + s, MPI_COMM_WORLD, &out[s]);
      sent++;
    }
  }
  double seconds = MPI_Wtime() - start;
  for (int s = 0; s < slots; s++) {
    free(to[s]);
    free(from[s]);
  }
  free(to), free(from), free(in), free(out);
  return seconds;
}

static void measure_farm(const char *name, int window, int calls, int n) {
  double values[RUNS];
  farm(window, 8 * calls, n / calls / 10);
  for (int r = 0; r < RUNS; r++) values[r] = n / farm(window, 8 * calls, n / calls);
  report(name, "calls/s", n, values, RUNS);
}

static void measure_echo(const char *name, int window, int size, int n) {
  double values[RUNS];
  echo(window, size, n / 4 + 1);
  for (int r = 0; r < RUNS; r++) values[r] = 2.0 * n * size / 1e9 / echo(window, size, n);
  report(name, "GB/s", n, values, RUNS);
}

static void measure_ping(void) {
  enum { N = 20000 };
  static double trips[N];
  char buf[8] = {0};
  for (int i = 0; i < N; i++) {
    double start = MPI_Wtime();
    MPI_Send(buf, 8, MPI_BYTE, 1, DATA, MPI_COMM_WORLD);
    MPI_Recv(buf, 8, MPI_BYTE, 1, DATA, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    trips[i] = (MPI_Wtime() - start) * 1e6;
  }
  qsort(trips, N, sizeof *trips, by_value);
  report("ping", "µs", N, &trips[N / 2], 1);
  report("ping_p99", "µs", N, &trips[N / 100 * 99], 1);
}

// measure_loop says how fast one core is: a multiplication and an addition a
// step, each on the result of the one before.
static void measure_loop(void) {
  enum { N = 20000000 };
  static volatile uint64_t sink;
  double values[RUNS];
  for (int r = 0; r < RUNS; r++) {
    uint64_t x = r;
    double start = MPI_Wtime();
    for (int i = 0; i < N; i++) x = x * 6364136223846793005u + 1442695040888963407u;
    values[r] = (MPI_Wtime() - start) * 1e9 / N;
    sink = x;
  }
  (void)sink;
  report("loop", "ns", N, values, RUNS);
}

static int measure(const char *name) {
  if (!strcmp(name, "farm_batch")) measure_farm(name, 4, 100, 5000000);
  else if (!strncmp(name, "farm_", 5)) measure_farm(name, atoi(name + 5), 1, 200000);
  else if (!strcmp(name, "ping")) measure_ping();
  else if (!strcmp(name, "loop")) measure_loop();
  else if (!strcmp(name, "echo_64KiB")) measure_echo(name, 1, 64 << 10, 4000);
  else if (!strcmp(name, "echo_1MiB")) measure_echo(name, 1, 1 << 20, 400);
  else if (!strcmp(name, "echo_64MiB")) measure_echo(name, 1, 64 << 20, 12);
  else return 0;
  return 1;
}

int main(int argc, char **argv) {
  int status = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (rank > 0) {
    work();
  } else if (ranks < 2) {
    fprintf(stderr, "echo: start at least 2 ranks\n");
    status = 2;
  } else {
    if (argc == 2 && !strcmp(argv[1], "empty")) {
      double none = 0;
      report("empty", "ms", 1, &none, 1);
    } else {
      for (int i = 1; i < argc; i++) {
        if (measure(argv[i])) continue;
        fprintf(stderr, "echo: no case %s\n", argv[i]);
        status = 2;
      }
    }
    for (int to = 1; to < ranks; to++) MPI_Send("", 0, MPI_BYTE, to, STOP, MPI_COMM_WORLD);
  }
  MPI_Finalize();
  return status;
}
