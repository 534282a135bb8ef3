/* SPDX-License-Identifier: Apache-2.0 */
/*
 * missing: memory of which pages come later (include/vmm/page/missing.h). All regions of the guest are
 * registered, so a page that was never used faults as well, and gets its zeros from here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "vmm/page/missing.h"

#define NAPS_MAX 1000 /* of 1 ms, for memory of the host */
#define NEEDED   (UINT64_C(1) << _UFFDIO_COPY | UINT64_C(1) << _UFFDIO_ZEROPAGE | UINT64_C(1) << _UFFDIO_WAKE)

struct page_missing {
	struct page_memory *memory;
	int fd;
	struct page_dirty *frames;
	unsigned registered; /* so many regions, from the first one */
};

/* ---- the descriptor ---- */

/* One that serves faults of this process alone would not hold the kernel, which writes for vmm. */
static int open_fd(void)
{
	auto_close int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = device < 0 ? -1 : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 ? fd : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
}

int page_missing_open(int *ret_fd, struct err *err)
{
	struct uffdio_api api = {.api = UFFD_API};
	auto_close int fd = open_fd();

	if (fd < 0)
		return err_sys(err, ERR_HOST, errno,
		        "pages that come later: this host gives vmm no userfaultfd (let vmm's user open "
		        "/dev/userfaultfd, or set sysctl vm.unprivileged_userfaultfd=1)");
	if (ioctl(fd, UFFDIO_API, &api) < 0)
		return err_sys(err, ERR_HOST, errno, "pages that come later: UFFDIO_API");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* ---- registering ---- */

/* In other processes that have the memory, nobody would wait. */
const char *page_missing_refusal(enum page_backing backing)
{
	return backing == PAGE_OWN ? NULL
	                           : "its memory is that of other processes, too (machine.memory-shared, "
	                             "machine.hugepages)";
}

static struct uffdio_range range_of(const struct page_missing *missing, unsigned i)
{
	return (struct uffdio_range){.start = (uintptr_t)missing->memory->at[i],
	        .len = missing->memory->layout.regions[i].size_bytes};
}

static bool is_left_out(const struct page_missing *missing, unsigned i)
{
	return missing->memory->layout.regions[i].kind == PAGE_HELPER;
}

static int register_region(struct page_missing *missing, unsigned i, struct err *err)
{
	struct uffdio_register reg = {.range = range_of(missing, i), .mode = UFFDIO_REGISTER_MODE_MISSING};

	if (is_left_out(missing, i))
		return 0;
	if (ioctl(missing->fd, UFFDIO_REGISTER, &reg) < 0)
		return err_sys(err, ERR_HOST, errno, "pages that come later: UFFDIO_REGISTER");
	if ((reg.ioctls & NEEDED) != NEEDED)
		return err_set(err, ERR_HOST, "this kernel places no pages in such memory");
	return 0;
}

int page_missing_create(
        struct page_memory *memory, int fd, struct page_missing **ret_missing, struct err *err)
{
	const char *why = page_missing_refusal(memory->backing);
	struct page_missing *missing;

	if (why)
		return err_set(err, ERR_HOST, "pages cannot come later: %s", why);
	missing = calloc(1, sizeof(*missing));
	if (!missing)
		return err_sys(err, ERR_FAILED, ENOMEM, "pages that come later");
	missing->memory = memory;
	missing->fd = fd;
	if (page_dirty_create(memory, &missing->frames, err) < 0) {
		page_missing_destroy(missing);
		return -1;
	}
	for (; missing->registered < memory->layout.count; missing->registered++) {
		if (register_region(missing, missing->registered, err) < 0) {
			page_missing_destroy(missing);
			return -1;
		}
	}
	*ret_missing = missing;
	return 0;
}

void page_missing_destroy(struct page_missing *missing)
{
	if (!missing)
		return;
	for (unsigned i = 0; i < missing->registered; i++) {
		struct uffdio_range range = range_of(missing, i);

		if (is_left_out(missing, i))
			continue;
		if (ioctl(missing->fd, UFFDIO_UNREGISTER, &range) < 0)
			log_warn("UFFDIO_UNREGISTER: %s", err_sys_name(errno));
		/* The kernel wakes who waits, but not who begins to wait right then (seen on Linux 6.18). */
		if (ioctl(missing->fd, UFFDIO_WAKE, &range) < 0)
			log_warn("UFFDIO_WAKE: %s", err_sys_name(errno));
	}
	page_dirty_destroy(missing->frames);
	free(missing);
}

/* ---- frames ---- */

/* Where a frame is, and how many pages of memory its region has from there on. NULL: it is none. */
static uint8_t *address_of(const struct page_missing *missing, uint64_t frame, uint64_t *ret_pages)
{
	const struct page_memory *memory = missing->memory;

	for (unsigned i = 0; i < memory->layout.count; i++) {
		uint64_t first = memory->layout.regions[i].gpa.raw / PAGE_SIZE_BYTES;
		uint64_t pages = page_region_bytes(memory, i) / PAGE_SIZE_BYTES;

		if (is_left_out(missing, i) || frame < first || frame - first >= pages)
			continue;
		*ret_pages = pages - (frame - first);
		return memory->at[i] + (frame - first) * PAGE_SIZE_BYTES;
	}
	return NULL;
}

int page_missing_expect(struct page_missing *missing, uint64_t first, uint64_t pages, struct err *err)
{
	uint64_t there = 0;
	void *at = address_of(missing, first, &there);

	if (!at || !pages || pages > there)
		return err_set(err, ERR_FAILED, "pages are to come that no guest of this plan has");
	if (madvise(at, pages * PAGE_SIZE_BYTES, MADV_DONTNEED) < 0)
		return err_sys(err, ERR_FAILED, errno, "pages that come later: MADV_DONTNEED");
	page_dirty_set(missing->frames, first, pages);
	return 0;
}

/* Places what the kernel takes at once. Returns how many bytes that were, or -1 with errno. */
static int64_t copy_some(const struct page_missing *missing, void *to, const void *from, uint64_t size)
{
	struct uffdio_copy copy = {.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = size};

	return ioctl(missing->fd, UFFDIO_COPY, &copy) < 0 && copy.copy <= 0 ? -1 : copy.copy;
}

static int64_t zero_some(const struct page_missing *missing, void *to, uint64_t size)
{
	struct uffdio_zeropage zero = {.range = {.start = (uintptr_t)to, .len = size}};

	return ioctl(missing->fd, UFFDIO_ZEROPAGE, &zero) < 0 && zero.zeropage <= 0 ? -1 : zero.zeropage;
}

/* Pages of one region, which all miss. */
static int place_in_region(
        struct page_missing *missing, uint8_t *at, uint64_t size, const uint8_t *data, struct err *err)
{
	for (uint64_t done = 0; done < size;) {
		int64_t some = data ? copy_some(missing, at + done, data + done, size - done)
		                    : zero_some(missing, at + done, size - done);

		if (some < 0 && errno != EAGAIN)
			return err_sys(err, ERR_FAILED, errno, "placing a page that came");
		done += some > 0 ? (uint64_t)some : 0;
	}
	return 0;
}

int page_missing_place(
        struct page_missing *missing, uint64_t first, uint64_t pages, const void *data, struct err *err)
{
	const uint8_t *from = data;

	while (pages) {
		uint64_t some = 0, size;
		uint8_t *at = address_of(missing, first, &some);

		some = some < pages ? some : pages;
		if (!at || !page_dirty_has(missing->frames, first, some))
			return err_set(err, ERR_FAILED, "a page came that does not miss here");
		size = some * PAGE_SIZE_BYTES;
		if (place_in_region(missing, at, size, from, err) < 0)
			return -1;
		page_dirty_clear(missing->frames, first, some);
		from = from ? from + size : NULL;
		first += some;
		pages -= some;
	}
	return 0;
}

/* ---- who waits ---- */

/* Returns false if there is no memory at the address. */
static bool frame_at(const struct page_missing *missing, uint64_t address, uint64_t *ret_frame)
{
	for (unsigned i = 0; i < missing->registered; i++) {
		struct uffdio_range range = range_of(missing, i);

		if (address < range.start || address - range.start >= range.len)
			continue;
		*ret_frame = (missing->memory->layout.regions[i].gpa.raw + (address - range.start)) /
		             PAGE_SIZE_BYTES;
		return true;
	}
	return false;
}

/* The page may have been placed since somebody began to wait. */
static int give_zeros(const struct page_missing *missing, uint64_t address, struct err *err)
{
	struct uffdio_range range = {
	        .start = address & ~(uint64_t)(PAGE_SIZE_BYTES - 1), .len = PAGE_SIZE_BYTES};
	struct uffdio_zeropage zero = {.range = range};
	const struct timespec nap = {.tv_nsec = 1000000};
	unsigned naps = 0;

	for (;;) {
		if (ioctl(missing->fd, UFFDIO_ZEROPAGE, &zero) == 0)
			return 0;
		if (errno == EEXIST && ioctl(missing->fd, UFFDIO_WAKE, &range) == 0)
			return 0;
		/* Who waits is told of once, so this is the only try that there is. */
		if (errno == ENOMEM && naps++ < NAPS_MAX)
			nanosleep(&nap, NULL);
		else if (errno != EAGAIN)
			return err_sys(err, ERR_FAILED, errno, "zeros for an unused page");
	}
}

int page_missing_next(struct page_missing *missing, uint64_t *ret_frame, struct err *err)
{
	struct uffd_msg message;

	for (;;) {
		uint64_t address;

		if (read(missing->fd, &message, sizeof(message)) != (ssize_t)sizeof(message)) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN
			               ? 0
			               : err_sys(err, ERR_FAILED, errno, "who waits for a page: userfaultfd");
		}
		address = message.arg.pagefault.address;
		if (message.event == UFFD_EVENT_PAGEFAULT && frame_at(missing, address, ret_frame) &&
		        page_dirty_has(missing->frames, *ret_frame, 1))
			return 1;
		if (message.event == UFFD_EVENT_PAGEFAULT && give_zeros(missing, address, err) < 0)
			return -1;
	}
}

const struct page_dirty *page_missing_frames(const struct page_missing *missing)
{
	return missing->frames;
}
