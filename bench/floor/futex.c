// The floor under a call after a pause: two processes that share a page and
// wake each other by futex, with nothing else to do. It prints lines of JSON
// like wasmpool bench. Linux only.
//
// usage: futex CASE...
//   cold   round trip after a second without any    µs
//   warm   round trips one after the other          µs
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Each side writes a number of its own, in a cache line of its own.
struct page {
  _Alignas(64) atomic_uint asked;
  _Alignas(64) atomic_uint answered;
};

static struct page *page;

static void set(atomic_uint *word, unsigned value) {
  atomic_store(word, value);
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

// await sleeps until the word is no longer old, and returns what it is then.
static unsigned await(atomic_uint *word, unsigned old) {
  unsigned value;
  while ((value = atomic_load(word)) == old) syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
  return value;
}

static void answer(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (unsigned last = 0;;) {
    last = await(&page->asked, last);
    set(&page->answered, last);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// measure makes n round trips, each after a pause of so many seconds.
static void measure(const char *name, int n, unsigned pause) {
  double *trips = malloc(n * sizeof *trips);
  for (int i = 0; i < n; i++) {
    if (pause) sleep(pause);
    unsigned last = atomic_load(&page->answered);
    double start = now();
    set(&page->asked, last + 1);
    await(&page->answered, last);
    trips[i] = now() - start;
  }
  qsort(trips, n, sizeof *trips, by_value);
  printf("{\"case\":\"%s\",\"ranks\":0,\"value\":%g,\"unit\":\"µs\",\"n\":%d,\"runs\":1,\"min\":%g,\"max\":%g}\n", name,
         (trips[(n - 1) / 2] + trips[n / 2]) / 2, n, trips[0], trips[n - 1]);
  fflush(stdout);
  free(trips);
}

int main(int argc, char **argv) {
  int status = 0;
  page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    perror("futex: mmap");
    return 1;
  }
  pid_t other = fork();
  if (other < 0) {
    perror("futex: fork");
    return 1;
  }
  if (other == 0) answer();
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "cold")) {
      measure("cold", 8, 1);
    } else if (!strcmp(argv[i], "warm")) {
      measure("warm", 20000, 0);
    } else {
      fprintf(stderr, "futex: no case %s\n", argv[i]);
      status = 2;
    }
  }
  kill(other, SIGKILL);
  waitpid(other, NULL, 0);
  return status;
}
