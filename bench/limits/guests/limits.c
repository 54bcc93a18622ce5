// The tasks in C that bench/limits measures: the same as those in Go.
#include <stdint.h>
#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("wasmpool"), import_name(name)))
typedef uint64_t u64;
IMPORT("input_read") int32_t input_read(void *, int32_t, int32_t);
IMPORT("output_write") void output_write(const void *, int32_t);

static volatile u64 sink;
static u64 list[1 << 20];

static int32_t task(u64 (*fn)(u64)) {
  u64 n;
  input_read(&n, 0, 8);
  n = fn(n);
  output_write(&n, 8);
  return 0;
}

__attribute__((noinline)) static u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__attribute__((noinline)) static u64 step(u64 x, u64 i) {
  __asm__ volatile("");
  return x ^ i << 3;
}
__attribute__((noinline)) static u64 deep(u64 n) { return n < 1 ? sink : deep(n - 1) + deep(n - 1); }

static u64 run_loop(u64 n) {
  u64 x = 1;
  for (u64 i = 0; i < n * 1000; i++) x = x * 6364136223846793005ull + i;
  return x;
}
static u64 run_calls(u64 n) {
  u64 x = 0;
  for (u64 i = 0; i < n * 1000; i++) x = step(x, i);
  return x;
}
static void sort(u64 *a, int64_t n) {
  while (n > 1) {
    u64 p = a[(n - 1) / 2];
    int64_t i = 0, j = n - 1;
    for (;; i++, j--) {
      while (a[i] < p) i++;
      while (a[j] > p) j--;
      if (i >= j) break;
      u64 t = a[i]; a[i] = a[j]; a[j] = t;
    }
    sort(a, j + 1);
    a += j + 1; n -= j + 1;
  }
}
static u64 run_memory(u64 n) {
  u64 x = 1;
  for (u64 i = 0; i < n * 1000; i++) { x = x * 6364136223846793005ull + 1; list[i] = x; }
  sort(list, n * 1000);
  return list[0];
}
EXPORT("none") int32_t none(void) { return 0; }
EXPORT("spin") int32_t spin(void) { for (;;) sink++; }
EXPORT("deep") int32_t tree(void) { return (int32_t)deep(1000); }
EXPORT("loop") int32_t loop(void) { return task(run_loop); }
EXPORT("recursion") int32_t recursion(void) { return task(fib); }
EXPORT("sorting") int32_t sorting(void) { return task(run_memory); }
EXPORT("calls") int32_t calls(void) { return task(run_calls); }
