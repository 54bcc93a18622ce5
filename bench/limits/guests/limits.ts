// The tasks in AssemblyScript that bench/limits measures: the same as those in Go.

// @ts-ignore: decorator
@external("wasmpool", "input_read")
declare function inputRead(dst: usize, off: u32, n: u32): u32;
// @ts-ignore: decorator
@external("wasmpool", "output_write")
declare function outputWrite(src: usize, n: u32): void;
// @ts-ignore: decorator
@external("wasmpool", "error_write")
declare function errorWrite(src: usize, n: u32): void;

const cell = memory.data(8);

function input(): u64 {
  store<u64>(cell, 0);
  inputRead(cell, 0, 8);
  return load<u64>(cell);
}

function output(n: u64): i32 {
  store<u64>(cell, n);
  outputWrite(cell, 8);
  return 0;
}

export function none(): i32 { return 0; }

export function loop(): i32 {
  const n = input() * 1000;
  let x: u64 = 1;
  for (let i: u64 = 0; i < n; i++) x = x * 6364136223846793005 + i;
  return output(x);
}

function fib(n: u64): u64 { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

export function recursion(): i32 { return output(fib(input())); }

export function sorting(): i32 {
  const list = new StaticArray<u64>(<i32>(input() * 1000));
  let x: u64 = 1;
  for (let i = 0; i < list.length; i++) {
    x = x * 6364136223846793005 + 1;
    list[i] = x;
  }
  list.sort((a, b) => i32(a > b) - i32(a < b));
  return output(list[0]);
}

// @ts-ignore: decorator
@inline(never)
function step(x: u64, i: u64): u64 { return x ^ i << 3; }

export function calls(): i32 {
  const n = input() * 1000;
  let x: u64 = 0;
  for (let i: u64 = 0; i < n; i++) x = step(x, i);
  return output(x);
}

// The run-time library calls this, and traps.
export function _fail(message: string | null, file: string | null, line: u32, column: u32): void {
  if (!message) return;
  const text = String.UTF8.encode(message);
  errorWrite(changetype<usize>(text), text.byteLength);
}
