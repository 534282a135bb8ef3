/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand: passes guest memory to another process, or takes it from there. Main thread.
 *
 * The lock of the lease belongs to an open file (fcntl(2), "Open file description locks"), which all copies
 * of a descriptor share, also those that went to another process. So the other side gets one that was opened
 * anew. A process that ends loses its lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "vmm/page/hand.h"

#define SEALS_OF_LENGTH (F_SEAL_SHRINK | F_SEAL_GROW)

/* ---- the lease ---- */

static bool lock(const struct page_lease_state *lease, short type)
{
	struct flock whole = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(lease->fd, F_OFD_SETLK, &whole) == 0;
}

static uint64_t turn_of(const struct page_lease_state *lease)
{
	return atomic_load(lease->turns);
}

void page_lease_finish(struct page_memory *memory)
{
	struct page_lease_state *lease = &memory->lease;

	/* The guest ends here, so nobody may go on with it. What was not this process's yet may go on
	 * elsewhere. */
	if (lease->held && !lease->accepted)
		atomic_fetch_add(lease->turns, 1);
	if (lease->turns)
		host_munmap(memory->host, take_ptr(&lease->turns), PAGE_SIZE_BYTES);
	if (lease->fd >= 0)
		close(take_fd(&lease->fd));
	lease->held = false;
}

/* Owns fd, also after an error. */
static int set_lease(struct page_memory *memory, int fd, struct err *err)
{
	auto_close int owned = fd;
	void *at =
	        host_mmap(memory->host, NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, owned, 0);

	if (at == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "the lease of the guest's memory");
	page_lease_finish(memory);
	memory->lease.fd = take_fd(&owned);
	memory->lease.turns = at;
	return 0;
}

static int make_lease(struct page_memory *memory, struct err *err)
{
	auto_close int fd = memfd_create("guest-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, PAGE_SIZE_BYTES) < 0 ||
	        fcntl(fd, F_ADD_SEALS, SEALS_OF_LENGTH | F_SEAL_SEAL) < 0)
		return err_sys(err, ERR_HOST, errno, "the lease of the guest's memory");
	return set_lease(memory, take_fd(&fd), err);
}

static int open_anew(int fd, struct err *err)
{
	char path[40];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, O_RDWR | O_CLOEXEC);
	return opened >= 0 ? opened
	                   : err_sys(err, ERR_HOST, errno, "the lease of the guest's memory: %s", path);
}

enum page_lease page_lease_try(struct page_memory *memory)
{
	struct page_lease_state *lease = &memory->lease;

	lease->held = lease->held || lock(lease, F_WRLCK);
	if (turn_of(lease) == lease->turn)
		return lease->held ? PAGE_LEASE_MINE : PAGE_LEASE_HELD;
	page_lease_release(memory);
	return PAGE_LEASE_PAST;
}

void page_lease_release(struct page_memory *memory)
{
	if (memory->lease.held)
		lock(&memory->lease, F_UNLCK);
	memory->lease.held = false;
}

/* ---- the side that has the memory ---- */

const char *page_hand_refusal(enum page_backing backing)
{
	return backing == PAGE_OWN ? "its memory is no file that another process could map "
	                             "(machine.memory-shared)"
	                           : NULL;
}

int page_hand_offer(struct page_memory *memory, struct page_hand *ret_hand, struct err *err)
{
	const char *why = page_hand_refusal(memory->backing);
	struct page_lease_state *lease = &memory->lease;
	unsigned count = memory->layout.count;
	int fd;

	if (why)
		return err_set(err, ERR_USAGE, "%s", why);
	if (lease->fd < 0 && make_lease(memory, err) < 0)
		return -1;
	if (page_lease_try(memory) != PAGE_LEASE_MINE)
		return err_set(err, ERR_FAILED, "another process runs the guest");
	fd = open_anew(lease->fd, err);
	if (fd < 0)
		return -1;
	memcpy(ret_hand->fds, memory->fd, count * sizeof(ret_hand->fds[0]));
	ret_hand->fds[count] = fd;
	ret_hand->count = count + 1;
	ret_hand->backing = memory->backing;
	ret_hand->turn = lease->turn;
	return 0;
}

void page_hand_close(struct page_hand *hand)
{
	if (hand->count)
		close(hand->fds[hand->count - 1]);
	hand->count = 0;
}

/* ---- the side that gets it ---- */

static int refuse(struct err *err, unsigned i, const char *what)
{
	return err_set(err, ERR_FAILED, "descriptor %u of the other vmm is no guest's memory: %s", i, what);
}

/* A file that may grow shorter would kill vmm, and one that cannot be written would stop the guest. */
static int check_file(int fd, unsigned i, uint64_t size_bytes, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS), flags = fcntl(fd, F_GETFL);
	struct stat stat;

	if (seals < 0 || flags < 0 || fstat(fd, &stat) < 0)
		return refuse(err, i, "it is no memfd");
	if ((seals & SEALS_OF_LENGTH) != SEALS_OF_LENGTH)
		return refuse(err, i, "its length is not sealed");
	if (!(seals & F_SEAL_SEAL))
		return refuse(err, i, "its seals may still change");
	if ((flags & O_ACCMODE) != O_RDWR || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return refuse(err, i, "it cannot be written");
	if (stat.st_size < 0 || (uint64_t)stat.st_size != size_bytes)
		return refuse(err, i, "its length is another one");
	return 0;
}

static int check_hand(const struct page_memory *memory, const struct page_hand *hand, struct err *err)
{
	const struct page_layout *layout = &memory->layout;

	if (memory->backing == PAGE_OWN)
		return err_set(err, ERR_FAILED,
		        "the memory here is no file: set machine.memory-shared on both sides");
	if (hand->backing != memory->backing)
		return err_set(err, ERR_FAILED,
		        "machine.hugepages is %s here and %s there, and memory that is handed over stays "
		        "what it is",
		        memory->backing == PAGE_POOL ? "true" : "false",
		        hand->backing == PAGE_POOL ? "true" : "false");
	if (hand->count != layout->count + 1)
		return err_set(err, ERR_FAILED,
		        "%u descriptors came for %u regions of memory and their lease", hand->count,
		        layout->count);
	for (unsigned i = 0; i < layout->count; i++)
		if (check_file(hand->fds[i], i, layout->regions[i].size_bytes, err) < 0)
			return -1;
	return check_file(hand->fds[layout->count], layout->count, PAGE_SIZE_BYTES, err);
}

static int map(struct page_memory *memory, unsigned i, int fd, bool shared, struct err *err)
{
	uint64_t size_bytes = memory->layout.regions[i].size_bytes;
	int flags = shared ? page_memory_mapping_flags(memory, i) : MAP_PRIVATE | MAP_NORESERVE;

	if (host_mmap(memory->host, memory->at[i], size_bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
	            0) == MAP_FAILED)
		return err_sys(err, ERR_HOST, errno, "mapping %llu KiB of the memory that was handed over",
		        (unsigned long long)(size_bytes >> 10));
	page_memory_advise(memory, i);
	return 0;
}

static int copy_fd(int fd, struct err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy >= 0 ? copy : err_sys(err, ERR_HOST, errno, "the memory that was handed over");
}

static int accept_region(struct page_memory *memory, unsigned i, int fd, struct err *err)
{
	auto_close int copy = copy_fd(fd, err);

	if (copy < 0 || map(memory, i, copy, false, err) < 0)
		return -1;
	close(memory->fd[i]);
	memory->fd[i] = take_fd(&copy);
	return 0;
}

int page_hand_accept(struct page_memory *memory, const struct page_hand *hand, struct err *err)
{
	unsigned count = memory->layout.count;
	int lease;

	if (check_hand(memory, hand, err) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		if (accept_region(memory, i, hand->fds[i], err) < 0)
			return -1;
	lease = copy_fd(hand->fds[count], err);
	if (lease < 0 || set_lease(memory, lease, err) < 0)
		return -1;
	memory->lease.turn = hand->turn;
	memory->lease.accepted = true;
	return 0;
}

int page_hand_own(struct page_memory *memory, struct err *err)
{
	struct page_lease_state *lease = &memory->lease;

	if (!lease->turns)
		return 0;
	for (unsigned i = 0; i < memory->layout.count && lease->accepted; i++)
		if (map(memory, i, memory->fd[i], true, err) < 0)
			return -1;
	lease->accepted = false;
	lease->turn = atomic_fetch_add(lease->turns, 1) + 1;
	return 0;
}
