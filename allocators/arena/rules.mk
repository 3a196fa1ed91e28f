# The arena allocator, built twice from the same sources:
#   $(B)/libarena.so          the public names; for dlopen and LD_PRELOAD
#   $(B)/libarena-prefixed.a  the names with arena_; for unit tests and the sanitizers
#
# In the asan, ubsan and tsan variants libarena.so is built without the sanitizer: a sanitizer's run-time brings a
# malloc of its own, and one that is itself the process's malloc cannot be instrumented by it. The archive is
# instrumented; since its names are prefixed, the sanitizer's malloc serves everybody else beside it.

ARENA_DIR := allocators/arena
ARENA_SRC := $(wildcard $(ARENA_DIR)/*.c)
ARENA_SO_OBJ := $(ARENA_SRC:$(ARENA_DIR)/%.c=$(B)/obj/arena-so/%.o)
ARENA_A_OBJ := $(ARENA_SRC:$(ARENA_DIR)/%.c=$(B)/obj/arena-prefixed/%.o)

# gnu11 for the named address space __seg_fs (see tcache.h); without it the code is plain C11 and a little slower.
# No builtins for malloc: gcc would turn malloc+memset into calloc, and drop stores to memory about to be freed.
ARENA_CFLAGS := -std=gnu11 -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
                -fno-builtin-aligned_alloc -fvisibility=hidden -fno-strict-aliasing -fno-tree-slsr
ARENA_SO_CFLAGS := -fPIC -ftls-model=initial-exec -fno-semantic-interposition -fno-plt
ARENA_NO_SANITIZE = $(filter-out -fsanitize% -fno-sanitize%,$(1))

$(B)/obj/arena-so/%.o: $(ARENA_DIR)/%.c Makefile $(ARENA_DIR)/rules.mk
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(call ARENA_NO_SANITIZE,$(CFLAGS)) $(ARENA_CFLAGS) $(ARENA_SO_CFLAGS) -MMD -MP -c $< -o $@

$(B)/obj/arena-prefixed/%.o: $(ARENA_DIR)/%.c Makefile $(ARENA_DIR)/rules.mk
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DARENA_PREFIXED $(CFLAGS) $(ARENA_CFLAGS) -MMD -MP -c $< -o $@

$(B)/libarena.so: $(ARENA_SO_OBJ)
	$(CC) -shared -Wl,-soname,libarena.so -Wl,--build-id -Wl,-z,defs -Wl,-z,nodelete \
	    $(call ARENA_NO_SANITIZE,$(LDFLAGS)) $^ -o $@

$(B)/libarena-prefixed.a: $(ARENA_A_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

ALL += $(B)/libarena.so $(B)/libarena-prefixed.a
