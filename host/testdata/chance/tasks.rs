// rustc --edition 2021 --crate-type cdylib --target wasm32-wasi -O -C strip=symbols tasks.rs -o rust.wasm
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::{Instant, SystemTime};

#[link(wasm_import_module = "wasmpool")]
extern "C" {
    fn input_len() -> u32;
    fn input_read(dst: *mut u8, off: u32, n: u32) -> u32;
    fn output_write(src: *const u8, n: u32);
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn random_get(dst: *mut u8, n: u32) -> i32;
}

fn input() -> Vec<u8> {
    unsafe {
        let mut arg = vec![0; input_len() as usize];
        input_read(arg.as_mut_ptr(), 0, arg.len() as u32);
        arg
    }
}

fn output(text: &str) -> i32 {
    unsafe { output_write(text.as_ptr(), text.len() as u32) };
    0
}

thread_local!(static CALLS: Cell<u32> = Cell::new(0));

/// The clock, which is a call's own under every isolation.
fn clock(arg: &[u8]) -> String {
    let (start, wall) = (Instant::now(), SystemTime::now());
    std::thread::sleep(std::time::Duration::from_millis(arg.len() as u64));
    format!("slept {:?} wall {:?} {:?}\n", start.elapsed(), wall, SystemTime::now())
}

#[no_mangle]
pub extern "C" fn draw() -> i32 {
    let mut secret = [0; 8];
    unsafe { random_get(secret.as_mut_ptr(), 8) };
    output(&format!("{}random {:?}", clock(&input()), secret))
}

/// Maps, whose keys Rust draws once in the life of an instance and counts up.
#[no_mangle]
pub extern "C" fn all() -> i32 {
    let arg = input();
    let mut words = HashMap::new();
    for (i, b) in arg.iter().chain(b"determinism").enumerate() {
        *words.entry(*b as char).or_insert(0) += i;
    }
    let set: HashSet<u32> = (0..20).collect();
    let calls = CALLS.with(|c| c.replace(c.get() + 1));
    let at = Box::into_raw(Box::new(0u64));
    output(&format!("{}{:?} {:?} calls {} clock {:?} at {:?}\n", clock(&arg), words, set, calls, Instant::now(), at))
}

#[no_mangle]
pub extern "C" fn spoil() -> i32 {
    let arg = input();
    for i in 0..arg.len() + 1 {
        std::mem::forget(HashSet::from([i]));
    }
    std::thread::sleep(std::time::Duration::from_secs(arg.len() as u64 + 1));
    CALLS.with(|c| c.set(c.get() + 1));
    0
}
