#include "workloads/mail.h"

struct block_set *mail_set_create(struct cell *c, uint64_t n_max) {
    struct block_set *set = cell_scratch(c, sizeof *set, _Alignof(struct block_set));
    return set && block_set_create(c, set, n_max) ? set : NULL;
}

struct mail *mail_create(struct cell *c, unsigned n_places, uint64_t n_max) {
    struct mail *places = cell_scratch(c, n_places * sizeof *places, _Alignof(struct mail));
    for (unsigned i = 0; places && i < n_places; i++) {
        struct block_set *set = mail_set_create(c, n_max);
        if (!set)
            return NULL;
        atomic_store(&places[i].set, set);
    }
    return places;
}

bool mail_set_free(struct worker *w, struct block_set *set, uint32_t self) {
    bool is_intact = true;
    for (uint64_t i = 0; i < set->n_blocks; i++)
        is_intact &= block_free(w, &set->blocks[i], self);
    set->n_blocks = 0;
    return is_intact;
}

void mail_clear(struct worker *w, struct mail *places, unsigned n_places) {
    for (unsigned i = 0; places && i < n_places; i++)
        if (atomic_load(&places[i].set))
            block_set_clear(w, atomic_load(&places[i].set));
}
