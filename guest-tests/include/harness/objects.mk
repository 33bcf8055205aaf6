# SPDX-License-Identifier: GPL-2.0-only
# For the Kbuild of a test: vmalloc_call.o and sweep.o with all that they need themselves.
harness-vmalloc-call := $(addprefix harness/, vmalloc_call.o alloc_watch.o fault_inject.o \
	ignored_allocs.o memory.o progress.o sleep_watch.o symbol.o timed_call.o tracked_task.o \
	vmalloc_place.o)
harness-sweep := harness/sweep.o $(harness-vmalloc-call)
