#include "decay.h"

#include <string.h>

#define DECAY_FIXED_LG 24

/* S(i/200) in 24-bit fixed point; exact in 64 bits: 200^5 < 2^39. */
static uint64_t decay_step(uint64_t i) {
    const uint64_t n = DECAY_N_EPOCHS;
    uint64_t sum = i * i * i * (6 * i * i + 10 * n * n - 15 * i * n);
    /* 15xn may exceed 6x^2 + 10n^2 nowhere on [0, n]: the discriminant of 6x^2 - 15x + 10 is negative. */
    return (uint64_t)(((unsigned __int128)sum << DECAY_FIXED_LG) / (n * n * n * n * n));
}

static void decay_plan(struct decay *decay) {
    if (decay->time_ms <= 0) {
        decay->deadline_ns = decay->time_ms < 0 ? UINT64_MAX : 0; /* never, or always due */
        return;
    }
    decay->seed = util_mix(decay->seed);
    decay->deadline_ns = decay->start_ns + decay->epoch_ns + decay->seed % (decay->epoch_ns + 1);
}

void decay_init(struct decay *decay, int64_t time_ms, uint64_t now_ns, uint64_t seed) {
    decay->seed = seed;
    decay_set_time(decay, time_ms, now_ns);
}

void decay_set_time(struct decay *decay, int64_t time_ms, uint64_t now_ns) {
    decay->time_ms = time_ms;
    decay->epoch_ns = time_ms > 0 ? (uint64_t)time_ms * 1000000u / DECAY_N_EPOCHS : 0;
    decay->start_ns = now_ns;
    decay->n_pages_last = 0;
    decay->n_pages_limit = 0;
    memset(decay->backlog, 0, sizeof decay->backlog);
    decay_plan(decay);
}

static size_t decay_sum(const struct decay *decay) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < DECAY_N_EPOCHS; i++)
        if (decay->backlog[i] != 0)
            sum += decay->backlog[i] * decay_step(i + 1);
    return (size_t)(sum >> DECAY_FIXED_LG);
}

size_t decay_update(struct decay *decay, uint64_t now_ns, size_t n_pages, size_t n_pages_low) {
    if (decay->time_ms < 0)
        return SIZE_MAX;
    if (decay->time_ms == 0)
        return 0;
    if (now_ns < decay->deadline_ns)
        return SIZE_MAX; /* within an epoch nothing is due */
    uint64_t n_epochs = (now_ns - decay->start_ns) / decay->epoch_ns;
    decay->start_ns += n_epochs * decay->epoch_ns;
    decay_plan(decay);
    size_t n_old = util_min(decay->n_pages_last, n_pages_low);
    size_t n_new = n_pages > n_old ? util_min(n_pages - n_old, UINT32_MAX) : 0;
    if (n_epochs >= DECAY_N_EPOCHS) {
        memset(decay->backlog, 0, sizeof decay->backlog);
    } else if (n_epochs > 0) {
        memmove(decay->backlog, decay->backlog + n_epochs,
                (DECAY_N_EPOCHS - n_epochs) * sizeof decay->backlog[0]);
        memset(decay->backlog + DECAY_N_EPOCHS - n_epochs, 0, n_epochs * sizeof decay->backlog[0]);
        decay->backlog[DECAY_N_EPOCHS - n_epochs] = (uint32_t)n_new;
    }
    decay->n_pages_last = n_pages;
    decay->n_pages_limit = decay_sum(decay);
    return decay->n_pages_limit;
}

void decay_note_purged(struct decay *decay, size_t n_pages_left) {
    decay->n_pages_last = util_min(decay->n_pages_last, n_pages_left);
}
