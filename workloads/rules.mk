# Objects that run inside the measured process. Without builtins: a compiler that knows what malloc and free
# mean may delete a pair of them; calls through the vtable are out of its reach, this is the second lock.
WORKLOAD_SRCS := $(wildcard workloads/*.c)
WORKLOAD_OBJS := $(call obj,$(WORKLOAD_SRCS))
WORKLOAD_CFLAGS := -fno-builtin
$(WORKLOAD_OBJS): CFLAGS_LOCAL := $(WORKLOAD_CFLAGS)
ALL += $(WORKLOAD_OBJS)

# The same sources by the other compiler, for the test that no compiler deletes an allocation.
CLANG := clang-14
WORKLOAD_CLANG_OBJS := $(patsubst %.c,$(B)/obj/clang/%.o,$(WORKLOAD_SRCS))
$(WORKLOAD_CLANG_OBJS): $(B)/obj/clang/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call note,CLANG)
	$(Q)$(CLANG) $(CPPFLAGS) -std=c11 -g -O3 -DNDEBUG -Wall -Wextra -Werror -fno-builtin -MMD -MP -c $< -o $@

# The bounds are tested as they are used: loaded from the build folder.
$(B)/tests/workload_bounds $(B)/tests/workload_loop $(B)/tests/workload_sharing: | $(B)/libnull.so $(B)/libfloor.so

# The default table of fleet is part of the object.
$(B)/obj/workloads/fleet_table.o $(B)/obj/clang/workloads/fleet_table.o: workloads/data/fleet.csv
