//! The loops that bench/languages measures.

#[no_mangle]
pub extern "C" fn primes(n: i32) -> i32 {
    let n = n as usize;
    let mut composite = vec![false; n + 1];
    let mut count = 0;
    for i in 2..=n {
        if composite[i] {
            continue;
        }
        count += 1;
        let mut j = i as u64 * i as u64;
        while j <= n as u64 {
            composite[j as usize] = true;
            j += i as u64;
        }
    }
    count
}

#[no_mangle]
pub extern "C" fn series(n: i32) -> f64 {
    let mut sum = 0.0;
    for i in 1..=n {
        sum += 1.0 / (i as f64 * i as f64);
    }
    sum
}

#[no_mangle]
pub extern "C" fn mix(n: i32) -> i64 {
    let mut x: u64 = 1;
    for _ in 0..n {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x as i64
}
