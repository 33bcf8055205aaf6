/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the kernel that are not exported to modules, and tracepoints, by name. */
#ifndef HARNESS_SYMBOL_H
#define HARNESS_SYMBOL_H

#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/tracepoint.h>

/**
 * symbol_address() - find a function that is not exported
 * @name: of the function
 *
 * A kprobe that is never armed finds it: kallsyms_lookup_name() is no longer exported since 5.7.
 *
 * Return: its address, 0 if the kernel has none of that name
 */
unsigned long symbol_address(const char *name);

/**
 * probe_function() - call a handler whenever a function is entered
 * @probe: the kprobe; removed by probe_remove()
 * @names: of the function; the first that the kernel has is taken
 * @count: how many names
 * @entry: the handler, which must not sleep
 *
 * A handler that changes where execution goes on needs @probe->post_handler, set beforehand to a
 * function that does nothing: x86 would optimize the probe otherwise, and then ignores the change.
 *
 * Return: 0, -ENOENT if the kernel has none of the names, or another error of register_kprobe()
 */
int probe_function(struct kprobe *probe, const char *const *names, size_t count,
		   kprobe_pre_handler_t entry);

/**
 * probe_remove() - remove what probe_function() has registered
 * @probe: the kprobe; nothing happens if it is not registered
 */
void probe_remove(struct kprobe *probe);

/**
 * return_probe() - call handlers when a function is entered and when it returns
 * @probe: the kretprobe, with its handlers set; removed by return_probe_remove()
 * @names: of the function; the first that the kernel has is taken
 * @count: how many names
 *
 * Return: 0, -ENOENT if the kernel has none of the names, or another error of register_kretprobe()
 */
int return_probe(struct kretprobe *probe, const char *const *names, size_t count);

/**
 * return_probe_remove() - remove what return_probe() has registered
 * @probe: the kretprobe; nothing happens if it is not registered
 */
void return_probe_remove(struct kretprobe *probe);

/**
 * probe_argument() - find an argument of a function at its entry
 * @regs: the registers that the handler of the probe was given
 * @nth: which argument, from 0
 *
 * Return: where the argument lies; what is written there is what the function gets
 */
static inline unsigned long *probe_argument(struct pt_regs *regs, unsigned int nth)
{
#if defined(CONFIG_X86_64)
	unsigned long *const arguments[] = {
		&regs->di, &regs->si, &regs->dx, &regs->cx, &regs->r8, &regs->r9,
	};

	return arguments[nth];
#elif defined(CONFIG_ARM64)
	return (unsigned long *)&regs->regs[nth];
#else
#error "say here which registers hold the arguments of a function"
#endif
}

/**
 * probe_return() - let a function return from its entry, unexecuted
 * @regs: the registers that the handler of the probe was given
 * @value: what the function returns
 *
 * The handler must return 1 then. The kernel's own override_function_with_return() is not exported.
 */
static inline void probe_return(struct pt_regs *regs, unsigned long value)
{
#if defined(CONFIG_X86_64)
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	regs->ax = value;
#elif defined(CONFIG_ARM64)
	regs->pc = regs->regs[30];
	regs->regs[0] = value;
#else
#error "say here how a function returns to its caller"
#endif
}

/**
 * struct hook - a probe on a tracepoint
 * @name: of the tracepoint
 * @probe: void (*)(void *data, arguments of the tracepoint)
 * @data: given to @probe
 * @optional: not every kernel has the tracepoint
 * @point: private; the tracepoint found
 */
struct hook {
	const char *name;
	void *probe;
	void *data;
	bool optional;
	struct tracepoint *point;
};

/**
 * hooks_attach() - register probes on tracepoints
 * @hooks: the probes
 * @count: how many
 *
 * Return: 0 or -errno; none is registered then
 */
int hooks_attach(struct hook *hooks, size_t count);

/**
 * hooks_detach() - unregister probes, and wait until none of them runs
 * @hooks: the probes; those that are not registered are passed over
 * @count: how many
 */
void hooks_detach(struct hook *hooks, size_t count);

#endif
