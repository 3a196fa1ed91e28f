/*
 * xoshiro256** with splitmix64 seeding (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", ACM TOMS 47(4), 2021). Inline: it runs inside measured loops. No state but the caller's.
 */
#ifndef HEAPDYNO_PRNG_H
#define HEAPDYNO_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t s[4];
};

static inline uint64_t prng_mix(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Stream `stream` of seed `seed`: streams of one seed are independent for all practical purposes. */
static inline void prng_seed(struct prng *g, uint64_t seed, uint64_t stream) {
    uint64_t x = seed;
    x = prng_mix(&x) ^ (stream * 0xd1342543de82ef95u);
    for (int i = 0; i < 4; i++)
        g->s[i] = prng_mix(&x);
}

static inline uint64_t prng_rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t prng_next(struct prng *g) {
    uint64_t *s = g->s, result = prng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = prng_rotl(s[3], 45);
    return result;
}

/* Uniform in [0, n), n > 0, by multiply-shift (Lemire 2019, without the rejection step: the bias is below n /
 * 2^64). */
static inline uint64_t prng_below(struct prng *g, uint64_t n) {
    return (uint64_t)(((unsigned __int128)prng_next(g) * n) >> 64);
}

#endif
