# What both the measured process and the driver know about allocators. libc only.
ALLOCATOR_OBJS := $(call obj,allocators/registry.c allocators/image.c allocators/load.c allocators/prove.c \
                            allocators/native.c allocators/counting.c allocators/sharing.c)
