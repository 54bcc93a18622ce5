// clang --target=wasm32-wasi -O2 -mexec-model=reactor tasks.c -o c.wasm
// clang --target=wasm32-wasi -O2 -DCOMMAND tasks.c -o command.wasm
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("wasmpool"), import_name(name)))
#define TASK(name) __attribute__((export_name(#name))) int32_t name(void)

static int calls;
static void *volatile kept;

// tell writes all that a C program could have of chance.
static int tell(char *out, int size, const char *arg, int n) {
  unsigned char secret[8];
  struct timespec wall, mono, later, nap = {n, 5};
  getentropy(secret, sizeof secret);
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &mono);
  nanosleep(&nap, 0);
  clock_gettime(CLOCK_MONOTONIC, &later);
  long long slept = (later.tv_sec - mono.tv_sec) * 1000000000LL + later.tv_nsec - mono.tv_nsec;
  uint64_t word;
  memcpy(&word, secret, 8);
  int at = snprintf(out, size, "%.*s: entropy %016llx wall %lld.%09ld slept %lld\n", n < 40 ? n : 40, arg,
                    (unsigned long long)word, (long long)wall.tv_sec, wall.tv_nsec, slept);
  return at;
}

// more writes what lasts as long as the instance.
static int more(char *out, int size) {
  struct timespec mono;
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return snprintf(out, size, "calls %d rand %d %d mono %lld.%09ld at %p\n", ++calls, rand(), rand(),
                  (long long)mono.tv_sec, mono.tv_nsec, malloc(100));
}

#ifdef COMMAND
int main(void) {
  static char arg[1 << 16], out[4096];
  int n = fread(arg, 1, sizeof arg, stdin);
  int at = tell(out, sizeof out, arg, n);
  at += more(out + at, sizeof out - at);
  fwrite(out, 1, at, stdout);
}
#else
IMPORT("input_len") uint32_t input_len(void);
IMPORT("input_read") uint32_t input_read(void *dst, uint32_t off, uint32_t n);
IMPORT("output_write") void output_write(const void *src, uint32_t n);
IMPORT("call_meta") int64_t call_meta(uint32_t key);
IMPORT("seed_open") void seed_open(void *block);

static struct { uint64_t seed[4]; uint64_t drawn, rest[2]; } generator;

__attribute__((constructor)) static void start(void) { seed_open(&generator); }

static char arg[1 << 16], out[4096];

static int draw_into(void) {
  int n = input_len();
  input_read(arg, 0, n);
  int at = tell(out, sizeof out, arg, n);
  return at + snprintf(out + at, sizeof out - at, "sum %016llx seed %016llx drawn %llu\n", (unsigned long long)call_meta(4),
                       (unsigned long long)(generator.seed[0] ^ generator.seed[2]), (unsigned long long)generator.drawn++);
}

TASK(draw) {
  output_write(out, draw_into());
  return 0;
}

TASK(all) {
  int at = draw_into();
  output_write(out, at + more(out + at, sizeof out - at));
  return 0;
}

TASK(spoil) {
  unsigned char secret[3];
  struct timespec nap = {1 + input_len(), 7};
  getentropy(secret, sizeof secret);
  nanosleep(&nap, 0);
  for (uint32_t i = 0; i < input_len() + 1; i++) rand();
  generator.drawn += 3;
  calls++;
  kept = malloc(1000);
  return 0;
}
#endif
