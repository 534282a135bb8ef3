/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd: irqfds are event descriptors that raise interrupts; one thread per VM waits for them. ioeventfds
 * are doorbells: a guest's write signals an event descriptor. The platform keeps duplicates of the
 * descriptors, so it does not matter if the VMM closes a number and opens it again. Three lists with a lock
 * each: the irqfds of a VM change with irqfd_lock and irq_lock held, its ioeventfds with irq_lock, and the
 * irqfds of all VMs with kvm_platform.lock. Law: api.rst, KVM_IRQFD, KVM_IOEVENTFD; Linux's
 * virt/kvm/eventfd.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "irq.h"

struct kvm_eventfd {
	struct kvm_eventfd *next, *next_anywhere; /* of its VM; of an irqfd: of the platform */
	int fd, resample_fd;                      /* own duplicates; -1: none */
	uint32_t gsi;
	struct kvm_ioeventfd bell;
};

static void destroy(struct kvm_eventfd *e)
{
	if (!e)
		return;
	if (e->fd >= 0)
		close(e->fd);
	if (e->resample_fd >= 0)
		close(e->resample_fd);
	free(e);
}

/*
 * Returns the kernel's own number of an eventfd, from fdinfo: all eventfds share an inode. 0: the descriptor
 * is not an eventfd.
 */
static unsigned long identify(int fd)
{
	char path[40], line[80];
	auto_fclose FILE *f = NULL;
	unsigned long id = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "eventfd-id: %lu", &id) == 1)
			break;
	}
	return id;
}

/* Is it an eventfd? Opens a file only where readlink() is refused, as in the sandbox. */
static bool is_eventfd(int fd)
{
	char path[40], target[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	return n < 0 ? identify(fd) : strncmp(target, "anon_inode:[eventfd]", (size_t)n) == 0;
}

/*
 * Returns a descriptor of our own for the eventfd, -EBADF, -EINVAL (fd is not an eventfd), or another negated
 * errno.
 */
static int duplicate(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return -errno;
	if (is_eventfd(own))
		return own;
	close(own);
	return -EINVAL;
}

/* Adds to the counter and never blocks: if it is full, whoever waits will wake up anyway. */
static void signal_fd(int fd)
{
	const uint64_t one = 1;
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) == 1 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static bool drain(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&p, 1, 0) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

/*
 * Are a and b descriptors of one eventfd? kcmp() is asked first, because reading fdinfo opens a file, and a
 * thread of the VMM that has just closed a descriptor could take the file's number for its own. Containers
 * refuse kcmp().
 */
static bool same_eventfd(int a, int b)
{
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	return order < 0 ? identify(a) == identify(b) : order == 0;
}

/* ---- irqfd ---- */

/*
 * An eventfd can be an irqfd only once, over all VMs. Returns false if it is one already (Linux 6.17 and
 * later).
 */
static bool claim(struct kvm_platform *platform, struct kvm_eventfd *e)
{
	struct kvm_eventfd *at;

	pthread_mutex_lock(&platform->lock);
	for (at = platform->irqfds; at && !same_eventfd(at->fd, e->fd); at = at->next_anywhere)
		;
	if (!at) {
		e->next_anywhere = platform->irqfds;
		platform->irqfds = e;
	}
	pthread_mutex_unlock(&platform->lock);
	return !at;
}

static void give_up_claim(struct kvm_platform *platform, const struct kvm_eventfd *e)
{
	struct kvm_eventfd **at;

	pthread_mutex_lock(&platform->lock);
	for (at = &platform->irqfds; *at != e; at = &(*at)->next_anywhere)
		;
	*at = e->next_anywhere;
	pthread_mutex_unlock(&platform->lock);
}

static void fire(struct kvm_vm *vm, struct kvm_eventfd *e)
{
	pthread_mutex_lock(&vm->irq_lock);
	vm->idle_ns = 0;
	if (e->resample_fd >= 0) {
		irq_line_set(vm->chip, IRQ_SOURCE_RESAMPLE, e->gsi, true);
	} else {
		irq_line_set(vm->chip, IRQ_SOURCE_USER, e->gsi, true);
		irq_line_set(vm->chip, IRQ_SOURCE_USER, e->gsi, false);
	}
	pthread_mutex_unlock(&vm->irq_lock);
}

static void *irqfd_thread(void *arg)
{
	struct kvm_vm *vm = arg;
	struct epoll_event event;
	int n;

	do {
		n = epoll_wait(vm->epoll_fd, &event, 1, -1);
		if (n == 1 && event.data.ptr) {
			struct kvm_eventfd *e = event.data.ptr;

			/* The lock makes an irqfd that ends wait for an interrupt that is under way. */
			pthread_mutex_lock(&vm->irqfd_lock);
			for (struct kvm_eventfd *at = vm->irqfds; at; at = at->next) {
				if (at == e && drain(e->fd))
					fire(vm, e);
			}
			pthread_mutex_unlock(&vm->irqfd_lock);
		}
	} while (n < 0 ? errno == EINTR : n == 0 || event.data.ptr);
	return NULL;
}

/* Opens the descriptors that the thread waits for. stop_fd tells it to end. */
static int open_waiter(struct kvm_vm *vm)
{
	struct epoll_event stop = {.events = EPOLLIN};
	auto_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC), stop_fd = eventfd(0, EFD_CLOEXEC);

	if (vm->epoll_fd >= 0)
		return 0;
	if (epoll_fd < 0 || stop_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stop_fd, &stop) < 0)
		return -errno;
	vm->epoll_fd = take_fd(&epoll_fd);
	vm->stop_fd = take_fd(&stop_fd);
	return 0;
}

static int start_thread(struct kvm_vm *vm)
{
	sigset_t all, old;
	int result;

	if (vm->irqfd_thread_runs)
		return 0;
	result = open_waiter(vm);
	if (result < 0)
		return result;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	result = pthread_create(&vm->irqfd_thread, NULL, irqfd_thread, vm);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	vm->irqfd_thread_runs = result == 0;
	return -result;
}

static struct kvm_eventfd *irqfd_make(const struct kvm_irqfd *ask, int *ret_error)
{
	struct kvm_eventfd *e = calloc(1, sizeof(*e));

	*ret_error = -ENOMEM;
	if (!e)
		return NULL;
	e->gsi = ask->gsi;
	e->resample_fd = -1;
	e->fd = *ret_error = duplicate((int)ask->fd);
	if (e->fd >= 0 && ask->flags & KVM_IRQFD_FLAG_RESAMPLE)
		e->resample_fd = *ret_error = duplicate((int)ask->resamplefd);
	if (*ret_error < 0) {
		destroy(e);
		return NULL;
	}
	return e;
}

/* A level-triggered irqfd needs the pins of the PIC and IOAPIC; any other needs a LAPIC. */
static bool irqfd_is_allowed(struct kvm_vm *vm, bool resample)
{
	bool allowed;

	pthread_mutex_lock(&vm->irq_lock);
	allowed = resample ? kvm_vm_has_pic(vm) : vm->chip != NULL;
	pthread_mutex_unlock(&vm->irq_lock);
	return allowed;
}

static int irqfd_assign(struct kvm_vm *vm, const struct kvm_irqfd *ask)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct kvm_eventfd *e;
	int result = irqfd_is_allowed(vm, ask->flags & KVM_IRQFD_FLAG_RESAMPLE) ? start_thread(vm) : -EINVAL;

	if (result < 0)
		return result;
	e = irqfd_make(ask, &result);
	if (!e)
		return result;
	event.data.ptr = e;
	result = claim(vm->platform, e) ? 0 : -EBUSY;
	if (result == 0 && epoll_ctl(vm->epoll_fd, EPOLL_CTL_ADD, e->fd, &event) < 0) {
		result = -errno;
		give_up_claim(vm->platform, e);
	}
	if (result < 0) {
		destroy(e);
		return result;
	}
	pthread_mutex_lock(&vm->irq_lock);
	e->next = vm->irqfds;
	vm->irqfds = e;
	pthread_mutex_unlock(&vm->irq_lock);
	return 0;
}

/* Removes the irqfd at this place of the VM's list, and ends it. */
static void irqfd_end(struct kvm_vm *vm, struct kvm_eventfd **at)
{
	struct kvm_eventfd *e = *at;

	epoll_ctl(vm->epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
	give_up_claim(vm->platform, e);
	pthread_mutex_lock(&vm->irq_lock);
	*at = e->next;
	if (e->resample_fd >= 0)
		irq_line_set(vm->chip, IRQ_SOURCE_RESAMPLE, e->gsi, false);
	pthread_mutex_unlock(&vm->irq_lock);
	destroy(e);
}

/* Succeeds, as the kernel does, if there is no such irqfd. */
static int irqfd_deassign(struct kvm_vm *vm, const struct kvm_irqfd *ask)
{
	int own = duplicate((int)ask->fd);
	struct kvm_eventfd **at = &vm->irqfds;

	if (own < 0)
		return own;
	while (*at) {
		if ((*at)->gsi == ask->gsi && same_eventfd((*at)->fd, own))
			irqfd_end(vm, at);
		else
			at = &(*at)->next;
	}
	close(own);
	return 0;
}

int kvm_vm_irqfd(void *object, void *arg, uintptr_t user)
{
	const struct kvm_irqfd *ask = arg;
	struct kvm_vm *vm = object;
	int result;

	if (ask->flags & ~(uint32_t)(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	pthread_mutex_lock(&vm->irqfd_lock);
	result = ask->flags & KVM_IRQFD_FLAG_DEASSIGN ? irqfd_deassign(vm, ask) : irqfd_assign(vm, ask);
	pthread_mutex_unlock(&vm->irqfd_lock);
	return result;
}

void kvm_vm_irqfds_release(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->irqfd_lock);
	while (vm->irqfds)
		irqfd_end(vm, &vm->irqfds);
	pthread_mutex_unlock(&vm->irqfd_lock);
}

void kvm_vm_irqfd_acked(struct kvm_vm *vm, unsigned irqchip, unsigned pin)
{
	int gsi;

	if (!vm->irqfds)
		return;
	gsi = irq_gsi_of_pin(vm->chip, irqchip, pin);
	for (struct kvm_eventfd *e = vm->irqfds; e; e = e->next) {
		if (e->resample_fd < 0 || (int)e->gsi != gsi)
			continue;
		irq_line_set(vm->chip, IRQ_SOURCE_RESAMPLE, e->gsi, false);
		signal_fd(e->resample_fd);
	}
}

/* ---- ioeventfd ---- */

static int check_bell(const struct kvm_ioeventfd *b)
{
	uint64_t end;

	if (b->len != 0 && b->len != 1 && b->len != 2 && b->len != 4 && b->len != 8)
		return -EINVAL;
	if (!add_ok(b->addr, b->len, &end) || b->flags & ~(uint32_t)KVM_IOEVENTFD_VALID_FLAG_MASK)
		return -EINVAL;
	if (!b->len && b->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		return -EINVAL;
	return 0;
}

static bool same_place(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	return a->addr == b->addr && !((a->flags ^ b->flags) & KVM_IOEVENTFD_FLAG_PIO);
}

static bool bells_clash(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	if (!same_place(a, b))
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len &&
	       (!(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) || !(b->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) ||
	               a->datamatch == b->datamatch);
}

static int bell_assign(struct kvm_vm *vm, const struct kvm_ioeventfd *ask)
{
	struct kvm_eventfd *e = calloc(1, sizeof(*e));
	int fd = duplicate(ask->fd);

	if (!e || fd < 0) {
		free(e);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	*e = (struct kvm_eventfd){.fd = fd, .resample_fd = -1, .bell = *ask};
	pthread_mutex_lock(&vm->irq_lock);
	for (struct kvm_eventfd *at = vm->ioeventfds; at; at = at->next) {
		if (bells_clash(&at->bell, ask)) {
			pthread_mutex_unlock(&vm->irq_lock);
			destroy(e);
			return -EEXIST;
		}
	}
	e->next = vm->ioeventfds;
	vm->ioeventfds = e;
	atomic_fetch_add(&vm->ioeventfd_count, 1);
	pthread_mutex_unlock(&vm->irq_lock);
	return 0;
}

static bool is_bell(const struct kvm_eventfd *e, const struct kvm_ioeventfd *ask, int fd)
{
	uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH;

	return same_place(&e->bell, ask) && e->bell.len == ask->len && same_eventfd(e->fd, fd) &&
	       (e->bell.flags & match) == (ask->flags & match) &&
	       (!(ask->flags & match) || e->bell.datamatch == ask->datamatch);
}

static int bell_deassign(struct kvm_vm *vm, const struct kvm_ioeventfd *ask)
{
	struct kvm_eventfd **at, *found = NULL;
	int own = duplicate(ask->fd);

	if (own < 0)
		return own;
	pthread_mutex_lock(&vm->irq_lock);
	for (at = &vm->ioeventfds; *at && !found; at = found ? at : &(*at)->next) {
		if (is_bell(*at, ask, own)) {
			found = *at;
			*at = found->next;
			atomic_fetch_sub(&vm->ioeventfd_count, 1);
			break;
		}
	}
	pthread_mutex_unlock(&vm->irq_lock);
	close(own);
	destroy(found);
	return found ? 0 : -ENOENT;
}

int kvm_vm_ioeventfd(void *object, void *arg, uintptr_t user)
{
	const struct kvm_ioeventfd *ask = arg;

	if (ask->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return bell_deassign(object, ask);
	return check_bell(ask) < 0 ? -EINVAL : bell_assign(object, ask);
}

bool kvm_vm_ioeventfd_write(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data)
{
	for (const struct kvm_eventfd *e = vm->ioeventfds; e; e = e->next) {
		const struct kvm_ioeventfd *b = &e->bell;

		if (b->addr != address || pio != !!(b->flags & KVM_IOEVENTFD_FLAG_PIO))
			continue;
		if (b->len && (b->len != size || (b->flags & KVM_IOEVENTFD_FLAG_DATAMATCH &&
		                                         load_le(data, size) != b->datamatch)))
			continue;
		signal_fd(e->fd);
		return true;
	}
	return false;
}

/* ---- end ---- */

static void destroy_list(struct kvm_eventfd *list)
{
	while (list) {
		struct kvm_eventfd *next = list->next;

		destroy(list);
		list = next;
	}
}

void kvm_vm_eventfds_finish(struct kvm_vm *vm)
{
	kvm_vm_irqfds_release(vm);
	if (vm->irqfd_thread_runs) {
		signal_fd(vm->stop_fd);
		pthread_join(vm->irqfd_thread, NULL);
	}
	if (vm->epoll_fd >= 0) {
		close(vm->epoll_fd);
		close(vm->stop_fd);
	}
	destroy_list(vm->ioeventfds);
}
