/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the host that is the software platform. It decides which call goes to the kernel and which to an
 * object of the platform, and it makes and ends the platform's parts. Any thread may call.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu/cpu.h"
#include "jit/jit.h"
#include "sev/device.h"
#include "sev/guest.h"
#include "sim.h"

static struct sim_platform *platform_of(struct host *h)
{
	return (struct sim_platform *)h;
}

/* Turns a negated errno into -1 and errno, as a system call returns. */
static int answer(int result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

/* ---- calls ---- */

static int open_device(struct sim_platform *sim, bool kvm, int flags)
{
	return kvm ? kvm_platform_open(&sim->kvm) : sev_device_open(&sim->objects, sim->kvm.secure, flags);
}

static int sim_open(struct host *h, const char *path, int flags)
{
	bool kvm = strcmp(path, "/dev/kvm") == 0;
	int result;

	if (!kvm && strcmp(path, "/dev/sev") != 0)
		return open(path, flags | O_CLOEXEC);
	result = sim_fault_meet(platform_of(h), "open");
	return answer(result < 0 ? result : open_device(platform_of(h), kvm, flags));
}

static int sim_close(struct host *h, int fd)
{
	object_close(&platform_of(h)->objects, fd);
	return close(fd);
}

static int sim_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct sim_platform *sim = platform_of(h);
	struct object *object = object_hold(&sim->objects, fd, NULL);
	int result;

	if (!object)
		return ioctl(fd, request, arg);
	result = sim_fault_meet(sim, host_ioctl_name(request & 0xffffffff));
	if (result == 0)
		result = object->ops->ioctl(object, request & 0xffffffff, (uintptr_t)arg);
	object_leave(&sim->objects, object);
	return answer(result);
}

/* Returns the descriptor that is mapped in place of fd, the object's, or a negated errno. */
static int map_fd(struct sim_platform *sim, struct object *object, int fd, size_t length, int prot, int flags,
        off_t *offset)
{
	int result = sim_fault_meet(sim, "mmap");

	if (result < 0)
		return result;
	return object->ops->map ? object->ops->map(object, fd, length, prot, flags, offset) : -ENODEV;
}

static void *sim_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct sim_platform *sim = platform_of(h);
	struct object *object = object_hold(&sim->objects, fd, NULL);
	void *at = MAP_FAILED;
	int result;

	if (!object)
		return mmap(addr, length, prot, flags, fd, offset);
	result = map_fd(sim, object, fd, length, prot, flags, &offset);
	if (result >= 0)
		at = mmap(addr, length, prot, flags, result, offset);
	if (result >= 0 && at != MAP_FAILED && object->ops->mapped) {
		result = object->ops->mapped(object, at, length, prot, flags, offset);
		if (result < 0) {
			munmap(at, length);
			at = MAP_FAILED;
		}
	}
	object_leave(&sim->objects, object);
	if (result < 0)
		errno = -result;
	return at;
}

static int sim_munmap(struct host *h, void *addr, size_t length)
{
	return munmap(addr, length);
}

static int sim_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	struct sim_platform *sim = platform_of(h);
	struct object *object = object_hold(&sim->objects, fd, NULL);
	int result = -ENODEV;

	if (!object)
		return fallocate(fd, mode, offset, length);
	if (object->ops->fallocate)
		result = object->ops->fallocate(object, mode, offset, length);
	object_leave(&sim->objects, object);
	return answer(result) < 0 ? -1 : 0;
}

void sim_host_alias(struct host *h, int from, int to)
{
	object_alias(&platform_of(h)->objects, from, to);
}

void sim_signals_held(const sigset_t *mask)
{
	kvm_vcpu_signals_held(mask);
}

unsigned sim_instruction_length(const uint8_t *code, unsigned size, bool *ret_known)
{
	return cpu_length(code, size, ret_known);
}

/* ---- life ---- */

/* Nobody calls any more, so no object is left once every descriptor is closed. */
static void sim_destroy(struct host *h)
{
	struct sim_platform *sim = platform_of(h);

	for (int fd = 0; fd < OBJECT_FDS_MAX; fd++) {
		if (sim->objects.objects[fd])
			sim_close(h, fd);
	}
	sev_platform_destroy(sim->kvm.secure);
	kvm_platform_finish(&sim->kvm);
	jit_pool_destroy(sim->kvm.code);
	object_table_finish(&sim->objects);
	pthread_mutex_destroy(&sim->lock);
	free(sim);
}

static const struct host_ops sim_ops = {
        .name = "sim",
        .open = sim_open,
        .close = sim_close,
        .ioctl = sim_ioctl,
        .mmap = sim_mmap,
        .munmap = sim_munmap,
        .fallocate = sim_fallocate,
        .destroy = sim_destroy,
};

/* The pool serves as many vCPUs at once; others interpret. */
#define TRANSLATORS 32

/* Returns NULL, and says why, if this host has no memory that may be executed; vCPUs interpret then. */
static struct jit_pool *make_code_pool(void)
{
	struct err err = {0};
	struct jit_pool *pool = jit_pool_create(TRANSLATORS, &err);

	if (!pool)
		log_warn("sim.cpu: the software processor interprets, because it cannot translate: %s",
		        err.text);
	return pool;
}

int sim_host_create(const struct sim_options *options, struct host **ret_host, struct err *err)
{
	struct sim_platform *sim = calloc(1, sizeof(*sim));
	struct sev_platform *secure;

	if (!sim)
		return err_sys(err, ERR_FAILED, ENOMEM, "software platform");
	if (sev_platform_create(options, &secure, err) < 0) {
		free(sim);
		return -1;
	}
	sim->host.ops = &sim_ops;
	pthread_mutex_init(&sim->lock, NULL);
	object_table_init(&sim->objects);
	kvm_platform_init(&sim->kvm, &sim->objects, options->clock, &sev_hooks, secure);
	if (options->translate)
		sim->kvm.code = make_code_pool();
	sim->kvm.compare = options->compare;
	if (options->compare && !sim->kvm.code) {
		sim_destroy(&sim->host);
		return err_set(err, ERR_HOST, "sim.cpu: without a translator there is nothing to compare");
	}
	*ret_host = &sim->host;
	sim->kvm.paravirtual = options->paravirtual;
	return 0;
}
