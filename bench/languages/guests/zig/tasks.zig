//! The loops that bench/languages measures.
const std = @import("std");

export fn primes(n: i32) i32 {
    const end: usize = @intCast(n);
    const composite = std.heap.page_allocator.alloc(bool, end + 1) catch @panic("no memory");
    defer std.heap.page_allocator.free(composite);
    @memset(composite, false);
    var count: i32 = 0;
    var i: usize = 2;
    while (i <= end) : (i += 1) {
        if (composite[i]) continue;
        count += 1;
        var j: u64 = @as(u64, i) * i;
        while (j <= end) : (j += i) composite[@intCast(j)] = true;
    }
    return count;
}

export fn series(n: i32) f64 {
    var sum: f64 = 0;
    var i: i32 = 1;
    while (i <= n) : (i += 1) {
        const x: f64 = @floatFromInt(i);
        sum += 1 / (x * x);
    }
    return sum;
}

export fn mix(n: i32) i64 {
    var x: u64 = 1;
    var i: i32 = 0;
    while (i < n) : (i += 1) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return @bitCast(x);
}
