# Programs that run on whatever malloc they get, for the tests with LD_PRELOAD: $(B)/stress/NAME.
# Neither optimised away (no builtin malloc) nor instrumented.
STRESS_CFLAGS := -std=c11 -g -O1 -fno-builtin $(filter -W%,$(CFLAGS))
STRESS_C := $(patsubst tests/stress/%.c,$(B)/stress/%,$(wildcard tests/stress/*.c))
STRESS_CXX := $(patsubst tests/stress/%.cc,$(B)/stress/%,$(wildcard tests/stress/*.cc))

.PHONY: stress
stress: $(STRESS_C) $(STRESS_CXX) $(B)/libarena.so

$(STRESS_C): $(B)/stress/%: tests/stress/%.c tests/stress/rules.mk
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(STRESS_CFLAGS) -o $@ $< -lpthread -ldl

$(STRESS_CXX): $(B)/stress/%: tests/stress/%.cc tests/stress/rules.mk
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -g -O1 -fno-builtin -Wall -Wextra -Werror -o $@ $< -lpthread
