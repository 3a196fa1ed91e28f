FLOOR_OBJS := $(call obj,allocators/floor/floor.c)
$(FLOOR_OBJS): CFLAGS_LOCAL := -fPIC -fvisibility=hidden -fno-builtin
$(B)/libfloor.so: $(FLOOR_OBJS)
	$(call note,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libfloor.so -o $@ $^
ALL += $(B)/libfloor.so
