# Objects that run inside the measured process. Without builtins: a compiler that knows what malloc and free
# mean may delete a pair of them; calls through the vtable are out of its reach, this is the second lock.
WORKLOAD_SRCS := $(wildcard workloads/*.c)
WORKLOAD_OBJS := $(call obj,$(WORKLOAD_SRCS))
$(WORKLOAD_OBJS): CFLAGS_LOCAL := -fno-builtin
ALL += $(WORKLOAD_OBJS)

# The bounds are tested as they are used: loaded from the build folder.
$(B)/tests/workload_bounds: | $(B)/libnull.so $(B)/libfloor.so
