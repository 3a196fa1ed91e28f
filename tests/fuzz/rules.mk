# The heap driven by a byte string (heap_ops.h): $(B)/fuzz/heap, a plain driver, and with `make fuzz`
# $(B)/fuzz/heap-libfuzzer, which clang builds from the same sources and the allocator's.
FUZZ_LIBFUZZER_SRCS := tests/fuzz/heap_ops.c tests/fuzz/heap_arena.c tests/fuzz/heap_main.c $(wildcard allocators/arena/*.c)

.PHONY: fuzz fuzz-driver
fuzz-driver: $(B)/fuzz/heap
fuzz: $(B)/fuzz/heap $(B)/fuzz/heap-libfuzzer

$(B)/fuzz/heap: $(call obj,tests/fuzz/heap_main.c tests/fuzz/heap_ops.c tests/fuzz/heap_arena.c) $(B)/libarena-prefixed.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lpthread

$(B)/fuzz/heap-libfuzzer: $(FUZZ_LIBFUZZER_SRCS) Makefile
	@mkdir -p $(@D)
	clang-14 $(CPPFLAGS) -DHEAP_LIBFUZZER -DARENA_PREFIXED -DARENA_DEBUG=1 -std=gnu11 -g -O1 -fno-strict-aliasing \
	  -fno-builtin -fsanitize=fuzzer,undefined -fno-sanitize-recover=undefined -o $@ $(FUZZ_LIBFUZZER_SRCS) -lpthread

# The unit tests that use it, and what is made to fail or is injected.
comma := ,
$(B)/tests/arena_model_heap $(B)/tests/arena_model_faults: $(call obj,tests/fuzz/heap_ops.c tests/fuzz/heap_arena.c)
$(B)/tests/arena_model_faults: LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=os_sys_%,mmap munmap madvise mremap)
$(B)/tests/arena_options: LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=os_sys_%,current_node mbind read_file)
$(B)/tests/arena_fork: LDFLAGS += -Wl,--wrap=os_futex_wait -Wl,--wrap=os_sys_mmap -Wl,--wrap=os_current_cpu
$(B)/tests/arena_retained: LDFLAGS += -Wl$(comma)--wrap=os_now_ns
