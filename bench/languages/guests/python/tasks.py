"""The loops that bench/languages measures."""


def primes(n):
    composite = bytearray(n + 1)
    count = 0
    for i in range(2, n + 1):
        if composite[i]:
            continue
        count += 1
        for j in range(i * i, n + 1, i):
            composite[j] = 1
    return count


def series(n):
    total = 0.0
    for i in range(1, n + 1):
        total += 1 / (i * i)
    return total


def mix(n):
    x = 1
    for _ in range(n):
        x ^= x << 13 & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= x << 17 & 0xFFFFFFFFFFFFFFFF
    return x
