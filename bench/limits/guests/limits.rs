// The tasks in Rust that bench/limits measures: the same as those in Go.
#[link(wasm_import_module = "wasmpool")]
extern "C" {
    fn input_read(dst: *mut u8, off: u32, n: u32) -> u32;
    fn output_write(src: *const u8, n: u32);
}

fn task(f: impl Fn(u64) -> u64) -> i32 {
    let mut n = [0u8; 8];
    unsafe { input_read(n.as_mut_ptr(), 0, 8) };
    let out = f(u64::from_le_bytes(n)).to_le_bytes();
    unsafe { output_write(out.as_ptr(), 8) };
    0
}

#[inline(never)]
fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }

#[inline(never)]
fn step(x: u64, i: u64) -> u64 { x ^ i << 3 }

#[no_mangle]
pub extern "C" fn none() -> i32 { 0 }
#[no_mangle]
pub extern "C" fn r#loop() -> i32 {
    task(|n| (0..n * 1000).fold(1u64, |x, i| x.wrapping_mul(6364136223846793005).wrapping_add(i)))
}
#[no_mangle]
pub extern "C" fn recursion() -> i32 { task(fib) }
#[no_mangle]
pub extern "C" fn calls() -> i32 { task(|n| (0..n * 1000).fold(0, step)) }
#[no_mangle]
pub extern "C" fn sorting() -> i32 {
    task(|n| {
        let mut x = 1u64;
        let mut list: Vec<u64> = (0..n * 1000).map(|_| { x = x.wrapping_mul(6364136223846793005).wrapping_add(1); x }).collect();
        list.sort_unstable();
        list[0]
    })
}
