// The loops that bench/languages measures.

export function primes(n: i32): i32 {
  const composite = new Uint8Array(n + 1);
  let count = 0;
  for (let i = 2; i <= n; i++) {
    if (composite[i]) continue;
    count++;
    for (let j: i64 = <i64>i * i; j <= n; j += i) composite[<i32>j] = 1;
  }
  return count;
}

export function series(n: i32): f64 {
  let sum: f64 = 0;
  for (let i = 1; i <= n; i++) sum += 1 / (<f64>i * i);
  return sum;
}

export function mix(n: i32): i64 {
  let x: u64 = 1;
  for (let i = 0; i < n; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}
