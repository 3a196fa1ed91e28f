/*
 * msgpass: small messages in small batches, some of them copied on their way.
 *
 * Origin   The msgpass test of snmalloc's suite: producers, proxies, consumers.
 * Threads  Of T slots T/4 are proxies (one when T is 3), half of the rest produce, what remains consumes; 8 make 3, 2
 *          and 3, as in the original. One thread alone does everything in turn, two do without a proxy. A producer
 *          allocates a batch of 1 to 16 messages and sends it to a random proxy or consumer. A proxy makes a copy of each
 *          message, frees the original and sends the copies to a random consumer, which frees them.
 * Timed    Everything, including the queues: each receiver has one, of `outstanding` messages divided by the
 *          receivers, under a mutex; who finds it full, or empty, sleeps.
 * Op       One message freed by its consumer. Producers and proxies have no ops of their own.
 * Remote   All frees, unless one thread does everything.
 * Verify   What was written to a message is there when it is copied and when it is freed; at the end as many were
 *          consumed as produced.
 * Live     At most `outstanding` messages and two batches a thread.
 * Allocs   One per message produced and one per copy; counted as they are made.
 *
 * A phase ends with the producers, by budget or stop flag; a proxy goes on until all producers have left its queue and
 * that is empty, a consumer the same with proxies. The way from producers to consumers has no cycle, and a consumer
 * takes whatever happens, so everybody comes to an end.
 */
#include <pthread.h>

#include "workloads/block.h"

enum { OUTSTANDING };

static const struct param params[] = {
    [OUTSTANDING] = {"outstanding", "messages", 4096, 16, 1 << 24, "that may wait, over all queues"},
    {0},
};

#define BATCH_MAX 16

static const uint32_t message_bytes[] = {48, 64, 96, 128};
#define N_MESSAGE_BYTES (sizeof message_bytes / sizeof *message_bytes)

struct batch {
    uint32_t n;
    struct block messages[BATCH_MAX];
};

/* All but the first two members are guarded by the lock. */
struct queue {
    _Alignas(WORKER_ALIGN_BYTES) pthread_mutex_t lock;
    pthread_cond_t has_changed;
    struct block *messages; /* n_max of them, round and round */
    uint64_t n_max, n_put, n_taken;
    uint64_t n_left; /* how often a sender has left, over all phases */
    unsigned n_senders;
};

enum role { ROLE_ALL, ROLE_PRODUCER, ROLE_PROXY, ROLE_CONSUMER };

struct peer {
    _Alignas(WORKER_ALIGN_BYTES) enum role role;
    struct queue *queue; /* it receives from; NULL for a producer */
    uint64_t phase;
    uint64_t n_made, n_produced;
};

/* Slots are producers, then proxies, then consumers. */
struct roles {
    unsigned n_producers, n_proxies, n_consumers;
};

static struct roles roles_of(const struct cell *c) {
    unsigned n = c->n_threads, n_proxies = n == 3 ? 1 : n / 4;
    unsigned n_producers = (n - n_proxies) / 2;
    return (struct roles){n_producers, n_proxies, n - n_proxies - n_producers};
}

/* ---- queues ------------------------------------------------------------------------------------------ */

/* Waits until the whole batch has room. */
static void queue_put(struct queue *q, const struct batch *b) {
    pthread_mutex_lock(&q->lock);
    while (q->n_put - q->n_taken + b->n > q->n_max)
        pthread_cond_wait(&q->has_changed, &q->lock);
    for (uint32_t i = 0; i < b->n; i++)
        q->messages[q->n_put++ % q->n_max] = b->messages[i];
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->has_changed);
}

/* At most BATCH_MAX messages; none once all senders have left for the n_phases-th time. */
static void queue_take(struct queue *q, uint64_t n_phases, struct batch *b) {
    b->n = 0;
    pthread_mutex_lock(&q->lock);
    while (q->n_put == q->n_taken && q->n_left < n_phases * q->n_senders)
        pthread_cond_wait(&q->has_changed, &q->lock);
    while (b->n < BATCH_MAX && q->n_taken < q->n_put)
        b->messages[b->n++] = q->messages[q->n_taken++ % q->n_max];
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->has_changed);
}

static void queue_leave(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    q->n_left++;
    pthread_mutex_unlock(&q->lock);
    pthread_cond_broadcast(&q->has_changed);
}

static struct queue *queue_of(const struct cell *c, uint64_t slot) {
    return ((struct peer *)c->workers[slot].state)->queue;
}

/* ---- messages ---------------------------------------------------------------------------------------- */

/* False after cell_fail; what is in the batch then still belongs to it. */
static bool batch_make(struct worker *w, struct peer *me, struct batch *b, uint32_t n) {
    for (b->n = 0; b->n < n; b->n++) {
        if (!block_make(w, &b->messages[b->n], message_bytes[prng_next(&w->prng) % N_MESSAGE_BYTES], w->idx))
            return false;
        me->n_made++;
        me->n_produced++;
    }
    return true;
}

static bool batch_free(struct worker *w, struct batch *b) {
    bool is_intact = true;
    for (uint32_t i = 0; i < b->n; i++)
        is_intact &= block_free(w, &b->messages[i], w->idx);
    return is_intact;
}

/* Each message becomes a copy of itself. False after cell_fail: then the batch is empty. */
static bool batch_copy(struct worker *w, struct peer *me, struct batch *b) {
    bool is_fine = true;
    for (uint32_t i = 0; i < b->n && is_fine; i++) {
        struct block original = b->messages[i];
        if (!block_make(w, &b->messages[i], original.size_bytes, w->idx)) {
            b->messages[i] = original;
            is_fine = false;
            break;
        }
        me->n_made++;
        memcpy(b->messages[i].at, original.at, original.size_bytes);
        b->messages[i].tag = original.tag;
        is_fine = block_free(w, &original, w->idx);
    }
    if (!is_fine) {
        batch_free(w, b);
        b->n = 0;
    }
    return is_fine;
}

/* ---- run --------------------------------------------------------------------------------------------- */

static enum run_result produce(struct worker *w, struct peer *me) {
    const struct cell *c = w->cell;
    const struct roles r = roles_of(c);
    const unsigned n_receivers = r.n_proxies + r.n_consumers;
    const uint64_t total = cell_ops_budget(c);
    const uint64_t share = total == UINT64_MAX ? total : share_of(total, r.n_producers, w->idx);
    bool is_fine = true;

    for (uint64_t made = 0; made < share && !atomic_load(&c->is_stopping);) {
        struct batch b;
        uint64_t n = min_u64(1 + prng_below(&w->prng, BATCH_MAX), share - made);
        is_fine = batch_make(w, me, &b, (uint32_t)n);
        made += n;
        queue_put(queue_of(c, r.n_producers + prng_below(&w->prng, n_receivers)), &b);
    }
    for (unsigned i = 0; i < n_receivers; i++)
        queue_leave(queue_of(c, r.n_producers + i));
    return is_fine ? RUN_DONE : RUN_FAILED;
}

static enum run_result forward(struct worker *w, struct peer *me) {
    const struct cell *c = w->cell;
    const struct roles r = roles_of(c);
    const unsigned first_consumer = r.n_producers + r.n_proxies;
    bool is_fine = true;
    struct batch b;

    for (;;) {
        queue_take(me->queue, me->phase, &b);
        if (b.n == 0)
            break;
        is_fine &= batch_copy(w, me, &b);
        if (b.n > 0)
            queue_put(queue_of(c, first_consumer + prng_below(&w->prng, r.n_consumers)), &b);
    }
    for (unsigned i = 0; i < r.n_consumers; i++)
        queue_leave(queue_of(c, first_consumer + i));
    return is_fine ? RUN_DONE : RUN_FAILED;
}

static enum run_result consume(struct worker *w, struct peer *me) {
    uint64_t done = worker_ops(w);
    bool is_fine = true;
    struct batch b;

    for (;;) {
        queue_take(me->queue, me->phase, &b);
        if (b.n == 0)
            return is_fine ? RUN_DONE : RUN_FAILED;
        is_fine &= batch_free(w, &b);
        done += b.n;
        worker_continue(w, done);
    }
}

static enum run_result alternate(struct worker *w, struct peer *me) {
    uint64_t done = worker_ops(w);
    while (worker_continue(w, done)) {
        struct batch b;
        uint64_t n = worker_batch(w, done, 1 + prng_below(&w->prng, BATCH_MAX));
        bool is_fine = batch_make(w, me, &b, (uint32_t)n);
        is_fine = is_fine && batch_copy(w, me, &b);
        done += b.n;
        if (!batch_free(w, &b) || !is_fine)
            return RUN_FAILED;
    }
    return RUN_DONE;
}

static enum run_result msgpass_run(struct worker *w) {
    struct peer *me = w->state;
    me->phase++;
    switch (me->role) {
    case ROLE_PRODUCER:
        return produce(w, me);
    case ROLE_PROXY:
        return forward(w, me);
    case ROLE_CONSUMER:
        return consume(w, me);
    default:
        return alternate(w, me);
    }
}

/* ---- setup and end ----------------------------------------------------------------------------------- */

static struct queue *queue_create(struct cell *c, unsigned n_senders, unsigned n_receivers) {
    struct queue *q = cell_scratch(c, sizeof *q, _Alignof(struct queue));
    if (!q)
        return NULL;
    q->n_max = max_u64(BATCH_MAX, (uint64_t)c->params[OUTSTANDING] / n_receivers);
    q->n_senders = n_senders;
    q->messages = cell_scratch(c, q->n_max * sizeof *q->messages, WORKER_ALIGN_BYTES);
    c->table_bytes += q->n_max * sizeof *q->messages;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->has_changed, NULL);
    return q->messages ? q : NULL;
}

static int msgpass_setup(struct cell *c) {
    const struct roles r = roles_of(c);
    for (unsigned i = 0; i < c->n_threads; i++) {
        struct peer *p = cell_scratch(c, sizeof *p, _Alignof(struct peer));
        if (!p)
            return -ENOMEM;
        c->workers[i].state = p;
        if (c->n_threads == 1)
            break;
        p->role = i < r.n_producers                 ? ROLE_PRODUCER
                  : i < r.n_producers + r.n_proxies ? ROLE_PROXY
                                                    : ROLE_CONSUMER;
        if (p->role == ROLE_PRODUCER)
            continue;
        unsigned n_senders = r.n_producers + (p->role == ROLE_CONSUMER ? r.n_proxies : 0);
        p->queue = queue_create(c, n_senders, r.n_proxies + r.n_consumers);
        if (!p->queue)
            return -ENOMEM;
    }
    return 0;
}

static int msgpass_verify(struct cell *c) {
    uint64_t n_produced = 0;
    for (unsigned i = 0; i < c->n_threads; i++)
        n_produced += ((const struct peer *)c->workers[i].state)->n_produced;
    if (n_produced != cell_ops_total(c))
        return cell_fail(c, EBADMSG, "msgpass: not all that was produced was consumed");
    return 0;
}

static uint64_t msgpass_expected_allocs(const struct cell *c) {
    uint64_t n_made = 0;
    for (unsigned i = 0; i < c->n_threads; i++) {
        const struct peer *p = c->workers[i].state;
        n_made += p ? p->n_made : 0;
    }
    return n_made;
}

static uint64_t msgpass_peak_live_bytes(const int64_t *p, unsigned n_threads) {
    uint64_t n_waiting = max_u64((uint64_t)p[OUTSTANDING], BATCH_MAX * (uint64_t)n_threads);
    return (n_waiting + 2 * BATCH_MAX * (uint64_t)n_threads) * message_bytes[N_MESSAGE_BYTES - 1];
}

const struct workload workload_msgpass = {
    .name = "msgpass",
    .version = 1,
    .summary = "small messages from producers to consumers, some copied by proxies",
    .origin = "snmalloc's suite: msgpass",
    .op = "message freed by its consumer",
    .groups = "speed,scaling",
    .params = params,
    .flags = WORKLOAD_ONE_WAY,
    .min_threads = 1,
    .warmup_ops = 4096,
    .audit_ops = 300000,
    .setup = msgpass_setup,
    .run = msgpass_run,
    .verify = msgpass_verify,
    .expected_allocs = msgpass_expected_allocs,
    .peak_live_bytes = msgpass_peak_live_bytes,
};
