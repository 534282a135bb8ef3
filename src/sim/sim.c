/*
 * sim: the host that is the software platform: real descriptors (memfds, so that numbers, mmap and limits
 * are the kernel's), the objects behind them, and the way of a call to its handler. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "sev/sev.h"

static struct sim_platform *platform_of(struct host *h)
{
	return (struct sim_platform *)h;
}

/* ---- memory of the caller, which may be no memory at all ---- */

static int transfer(void *own, uintptr_t user, size_t size, bool out)
{
	struct iovec local = {own, size}, remote = {(void *)user, size}; /* NOLINT: a pointer as given */
	ssize_t n = out ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0)
	                : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (n < 0 && (errno == ENOSYS || errno == EPERM)) { /* not there, or filtered: trust the pointer */
		memcpy(out ? (void *)user : own, out ? own : (void *)user, size);
		return 0;
	}
	return n == (ssize_t)size ? 0 : -EFAULT;
}

int sim_copy_in(void *to, uintptr_t user, size_t size)
{
	return size ? transfer(to, user, size, false) : 0;
}

int sim_copy_out(uintptr_t user, const void *from, size_t size)
{
	return size ? transfer((void *)(uintptr_t)from, user, size, true) : 0;
}

/* ---- descriptors ---- */

/* A descriptor that closes behind the platform's back leaves its object; the next user of its number ends it.
 */
static struct sim_object *replace(struct sim_platform *sim, int fd, struct sim_object *object)
{
	struct sim_object *old;

	pthread_mutex_lock(&sim->lock);
	old = sim->objects[fd];
	sim->objects[fd] = object;
	pthread_mutex_unlock(&sim->lock);
	return old;
}

static struct kvm_vm *vm_of(struct sim_object *object)
{
	return object->kind == SIM_VM     ? (struct kvm_vm *)object
	       : object->kind == SIM_VCPU ? ((struct kvm_vcpu *)object)->vm
	       : object->kind == SIM_GMEM ? ((struct kvm_gmem *)object)->vm
	                                  : NULL;
}

void kvm_vm_unref(struct kvm_vm *vm)
{
	struct kvm_vm **at;
	bool last;

	if (!vm)
		return;
	pthread_mutex_lock(&vm->sim->lock);
	last = --vm->refs == 0;
	for (at = &vm->sim->vms; last && *at; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			break;
		}
	}
	pthread_mutex_unlock(&vm->sim->lock);
	if (last)
		kvm_vm_destroy(vm);
}

/* The last hold on it is gone: its descriptor's, or that of a call that was under way when it was closed. */
static void object_end(struct sim_object *object)
{
	if (object->kind == SIM_SYSTEM || object->kind == SIM_SEV_DEVICE)
		free(object);
	else if (object->kind == SIM_GMEM)
		kvm_gmem_close((struct kvm_gmem *)object);
	else
		kvm_vm_unref(vm_of(object));
}

/* Gives back one hold. */
static void leave(struct sim_platform *sim, struct sim_object *object)
{
	bool last;

	pthread_mutex_lock(&sim->lock);
	last = --object->refs == 0;
	pthread_mutex_unlock(&sim->lock);
	if (last)
		object_end(object);
}

/* The descriptor is closed; calls that are under way go on. */
static void release(struct sim_platform *sim, struct sim_object *object)
{
	if (!object)
		return;
	if (object->kind == SIM_VM)
		kvm_vm_irqfds_release((struct kvm_vm *)object);
	leave(sim, object);
}

int sim_object_fd(const char *name, size_t size)
{
	auto_close int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return fd < SIM_FDS_MAX ? take_fd(&fd) : -EMFILE;
}

int sim_object_open(struct sim_platform *sim, struct sim_object *object, int fd)
{
	if (fd < 0)
		return fd;
	object->fd = fd;
	object->refs = 1;
	release(sim, replace(sim, fd, object));
	return fd;
}

static int kvm_device_open(struct sim_platform *sim)
{
	struct sim_object *object = calloc(1, sizeof(*object));
	int fd;

	if (!object)
		return -ENOMEM;
	object->kind = SIM_SYSTEM;
	fd = sim_object_open(sim, object, sim_object_fd("sim-kvm", 0));
	if (fd < 0)
		free(object);
	return fd;
}

static int sim_open(struct host *h, const char *path, int flags)
{
	bool kvm = strcmp(path, "/dev/kvm") == 0;
	int fd;

	if (!kvm && strcmp(path, "/dev/sev") != 0)
		return open(path, flags | O_CLOEXEC);
	fd = sim_fault_meet(platform_of(h), "open");
	if (fd == 0)
		fd = kvm ? kvm_device_open(platform_of(h)) : sev_device_open(platform_of(h), flags);
	if (fd >= 0)
		return fd;
	errno = -fd;
	return -1;
}

static int sim_close(struct host *h, int fd)
{
	if (fd >= 0 && fd < SIM_FDS_MAX)
		release(platform_of(h), replace(platform_of(h), fd, NULL));
	return close(fd);
}

/* ---- calls ---- */

static int call(void *object, const struct kvm_call *row, uintptr_t user)
{
	char arg[KVM_ARG_BYTES] __attribute__((aligned(64)));
	size_t size = _IOC_SIZE(row->request);
	int result = 0;

	if (_IOC_DIR(row->request) == _IOC_NONE || row->raw)
		return row->fn(object, NULL, user);
	if (_IOC_DIR(row->request) & _IOC_WRITE)
		result = sim_copy_in(arg, user, size);
	else
		memset(arg, 0, size);
	if (result == 0)
		result = row->fn(object, arg, user);
	if (result >= 0 && _IOC_DIR(row->request) & _IOC_READ && sim_copy_out(user, arg, size) < 0)
		return -EFAULT;
	return result;
}

static int call_table(
        void *object, const struct kvm_call *table, unsigned long request, uintptr_t user, int unknown)
{
	for (const struct kvm_call *row = table; row->request; row++) {
		if (row->request == request)
			return call(object, row, user);
	}
	return unknown;
}

int kvm_vcpu_table_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user)
{
	return call_table(v, kvm_vcpu_calls, request, user, -EINVAL);
}

/* One caller at a time; another waits until the vCPU has left the guest, as with the kernel. */
static int vcpu_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user)
{
	int result;

	if (_IOC_TYPE(request) != KVMIO)
		return -EINVAL;
	pthread_mutex_lock(&v->lock);
	if (!v->sev || !sev_vcpu_call(v, request, user, &result))
		result = kvm_vcpu_table_call(v, request, user);
	if (v->sev)
		sev_decrypted_release(v);
	pthread_mutex_unlock(&v->lock);
	return result;
}

/* The object behind a descriptor, held for the caller (leave()); NULL: the descriptor is the kernel's. */
static struct sim_object *enter(struct sim_platform *sim, int fd)
{
	struct sim_object *object = NULL;

	if (fd < 0 || fd >= SIM_FDS_MAX)
		return NULL;
	pthread_mutex_lock(&sim->lock);
	object = sim->objects[fd];
	if (object)
		object->refs++;
	pthread_mutex_unlock(&sim->lock);
	return object;
}

struct kvm_vm *kvm_vm_hold(struct sim_platform *sim, int fd)
{
	struct kvm_vm *vm = NULL;

	if (fd < 0 || fd >= SIM_FDS_MAX)
		return NULL;
	pthread_mutex_lock(&sim->lock);
	if (sim->objects[fd] && sim->objects[fd]->kind == SIM_VM) {
		vm = (struct kvm_vm *)sim->objects[fd];
		vm->refs++;
	}
	pthread_mutex_unlock(&sim->lock);
	return vm;
}

static int call_object(
        struct sim_platform *sim, struct sim_object *object, unsigned long request, uintptr_t user)
{
	const struct kvm_vm *vm = vm_of(object);

	if (vm && atomic_load(&vm->dead))
		return -EIO;
	switch (object->kind) {
	case SIM_SYSTEM: return call_table(sim, kvm_system_calls, request, user, -EINVAL);
	case SIM_VM: return call_table(object, kvm_vm_calls, request, user, -ENOTTY);
	case SIM_VCPU: return vcpu_call((struct kvm_vcpu *)object, request, user);
	case SIM_SEV_DEVICE: return sev_device_ioctl((struct sev_device *)object, request, user);
	default: return -ENOTTY;
	}
}

static int sim_ioctl(struct host *h, int fd, unsigned long request, void *arg)
{
	struct sim_platform *sim = platform_of(h);
	struct sim_object *object = enter(sim, fd);
	int result;

	if (!object)
		return ioctl(fd, request, arg);
	result = sim_fault_meet(sim, host_ioctl_name(request & 0xffffffff));
	if (result == 0)
		result = call_object(sim, object, request & 0xffffffff, (uintptr_t)arg);
	leave(sim, object);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

/* vCPUs can be mapped, and some guest_memfds: no code; and a ring is shared. The descriptor, and where in
 * it, or a negated errno. */
static int mmap_fd(const struct sim_object *object, size_t length, int prot, int flags, off_t *offset)
{
	if (object->kind == SIM_GMEM)
		return kvm_gmem_mmap_fd((const struct kvm_gmem *)object, prot, flags, offset);
	if (object->kind != SIM_VCPU)
		return -ENODEV;
	if (prot & PROT_EXEC)
		return -EPERM;
	return (uint64_t)*offset + length > KVM_RING_OFFSET && !(flags & MAP_SHARED) ? -EINVAL : object->fd;
}

static void *sim_mmap(struct host *h, void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct sim_platform *sim = platform_of(h);
	struct sim_object *object = enter(sim, fd);
	void *at = MAP_FAILED;
	int result;

	if (!object)
		return mmap(addr, length, prot, flags, fd, offset);
	result = sim_fault_meet(sim, "mmap");
	if (result == 0)
		result = mmap_fd(object, length, prot, flags, &offset);
	if (result >= 0)
		at = mmap(addr, length, prot, flags, result, offset);
	leave(sim, object);
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
	struct sim_object *object = enter(sim, fd);
	int result = -ENODEV;

	if (!object)
		return fallocate(fd, mode, offset, length);
	if (object->kind == SIM_GMEM)
		result = kvm_gmem_fallocate((struct kvm_gmem *)object, mode, offset, length);
	leave(sim, object);
	if (result < 0)
		errno = -result;
	return result < 0 ? -1 : 0;
}

/* ---- life ---- */

static void sim_destroy(struct host *h)
{
	struct sim_platform *sim = platform_of(h);

	for (int fd = 0; fd < SIM_FDS_MAX; fd++) {
		if (sim->objects[fd])
			sim_close(h, fd);
	}
	sev_platform_destroy(sim->secure);
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

int sim_host_create(const struct sim_options *options, struct host **ret_host, struct err *err)
{
	struct sim_platform *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return err_sys(err, ERR_FAILED, ENOMEM, "software platform");
	if (sev_platform_create(options, &sim->secure, err) < 0) {
		free(sim);
		return -1;
	}
	sim->host.ops = &sim_ops;
	pthread_mutex_init(&sim->lock, NULL);
	kvm_clock_init(&sim->clock, options->clock);
	*ret_host = &sim->host;
	return 0;
}

uint64_t sim_now_ns(const struct host *h)
{
	return kvm_clock_now(&((const struct sim_platform *)h)->clock);
}
