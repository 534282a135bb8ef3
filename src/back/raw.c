/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: a disk whose blocks are those of a file or of a block device. Where possible the data goes past the
 * host's page cache (O_DIRECT), straight between the storage and the guest's memory. It is opened on the main
 * thread and runs on the loop's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "disk.h"

#define SECTOR_BYTES       512u
#define PHYSICAL_MAX_BYTES 65536u
#define LOCK_TRIES         500
#define TAKE_TRIES         20
#define LOCK_PAUSE_NS      10000000

struct raw {
	struct back_disk disk;
	int fd;
	bool direct;
	uint32_t memory_align; /* of addresses and lengths, with direct */
	bool is_device;
	uint64_t end; /* where the file ends, if somebody cuts it */
};

static struct raw *raw_of(struct back_disk *disk)
{
	return (struct raw *)disk;
}

/* ---- requests ---- */

/*
 * Looks whether somebody cut the file. What lay behind the cut is lost, and a write there would look as if
 * the rest were zeros, so nothing is read or written there any more.
 */
static bool is_cut(struct raw *raw)
{
	struct stat st;

	if (raw->is_device || fstat(raw->fd, &st) < 0 || (uint64_t)st.st_size >= raw->end)
		return false;
	raw->end = (uint64_t)st.st_size;
	log_warn("%s: %s was cut to %llu bytes by somebody else. The guest gets an I/O error for what lay "
	         "behind",
	        raw->disk.id, raw->disk.file, (unsigned long long)raw->end);
	back_disk_hush(&raw->disk, EIO);
	return true;
}

static void start_io(struct back_disk_request *request, enum loop_io_kind kind);

/* Goes on with a read or a write that moved n bytes. */
static void go_on(struct back_disk_request *request, uint64_t n)
{
	struct raw *raw = raw_of(request->disk);

	request->done_bytes += n;
	if (request->done_bytes == request->bytes) {
		back_disk_done(request, 0);
	} else if (!n) {
		is_cut(raw);
		back_disk_done(request, -EIO);
	} else {
		back_iov_advance(&request->iov, &request->iov_count, n);
		start_io(request, request->io.kind);
	}
}

/* A storage that cannot discard keeps the data, which a discard allows. Zeroes are written then. */
static void change_failed(struct back_disk_request *request, int result)
{
	if (result != -EOPNOTSUPP && result != -ENOSYS && result != -ENODEV)
		back_disk_done(request, result);
	else if (request->kind == BACK_DISK_DISCARD)
		back_disk_done(request, 0);
	else
		back_disk_bounce(request);
}

static void on_io_done(struct loop_io *io, int result)
{
	struct back_disk_request *request =
	        (struct back_disk_request *)((char *)io - offsetof(struct back_disk_request, io));

	if (result == -EINTR || result == -EAGAIN)
		loop_io_start(io->loop, io);
	else if (io->kind == LOOP_IO_READ || io->kind == LOOP_IO_WRITE)
		result < 0 ? back_disk_done(request, result) : go_on(request, (uint64_t)result);
	else if (io->kind == LOOP_IO_SYNC)
		back_disk_done(request, result < 0 ? result : is_cut(raw_of(request->disk)) ? -EIO : 0);
	else
		result < 0 ? change_failed(request, result) : back_disk_done(request, 0);
}

static void start_io(struct back_disk_request *request, enum loop_io_kind kind)
{
	request->io = (struct loop_io){
	        .kind = kind,
	        .through = request->through,
	        .fd = raw_of(request->disk)->fd,
	        .offset = request->offset + request->done_bytes,
	        .bytes = request->bytes,
	        .iov = request->iov,
	        .iov_count = request->iov_count,
	        .on_done = on_io_done,
	};
	loop_io_start(request->disk->loop, &request->io);
}

/* Can the storage reach the request's memory? */
static bool is_reachable(const struct raw *raw, const struct back_disk_request *request)
{
	uint64_t bits = 0;

	for (unsigned i = 0; raw->direct && i < request->iov_count; i++)
		bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
	return is_aligned(bits, raw->memory_align);
}

static void raw_start(struct back_disk *disk, struct back_disk_request *request)
{
	struct raw *raw = raw_of(disk);

	if (request->kind != BACK_DISK_FLUSH && !range_fits(request->offset, request->bytes, raw->end)) {
		back_disk_done(request, -EIO);
		return;
	}
	switch (request->kind) {
	case BACK_DISK_READ:
	case BACK_DISK_WRITE:
		if (is_reachable(raw, request))
			start_io(request, request->kind == BACK_DISK_READ ? LOOP_IO_READ : LOOP_IO_WRITE);
		else
			back_disk_bounce(request);
		break;
	case BACK_DISK_FLUSH: start_io(request, LOOP_IO_SYNC); break;
	case BACK_DISK_DISCARD: start_io(request, LOOP_IO_DISCARD); break;
	/* A hole reads as zeros, too. */
	case BACK_DISK_ZERO: start_io(request, request->keep ? LOOP_IO_ZERO : LOOP_IO_DISCARD); break;
	}
}

static void raw_destroy(struct back_disk *disk)
{
	struct raw *raw = raw_of(disk);

	if (raw->fd >= 0)
		close(raw->fd);
	back_disk_finish(disk);
	free(raw);
}

static int device_has(const struct raw *raw, uint64_t bytes, struct err *err)
{
	uint64_t there = 0;

	if (ioctl(raw->fd, BLKGETSIZE64, &there) < 0)
		return err_sys(err, ERR_HOST, errno, "the block device does not tell its size");
	if (there < bytes)
		return err_set(err, ERR_USAGE,
		        "the block device %s has only %llu bytes: make it larger first", raw->disk.file,
		        (unsigned long long)there);
	return 0;
}

static int file_grow(const struct raw *raw, uint64_t bytes, struct err *err)
{
	struct stat st;

	if (fstat(raw->fd, &st) < 0)
		return err_sys(err, ERR_HOST, errno, "fstat");
	if ((uint64_t)st.st_size >= bytes)
		return 0;
	if (raw->disk.facts.read_only)
		return err_set(err, ERR_USAGE, "the image %s is read only, and has only %llu bytes",
		        raw->disk.file, (unsigned long long)st.st_size);
	if (ftruncate(raw->fd, (off_t)bytes) < 0)
		return err_sys(err, ERR_HOST, errno, "%s cannot be made larger", raw->disk.file);
	return 0;
}

static int raw_grow(struct back_disk *disk, uint64_t bytes, struct err *err)
{
	struct raw *raw = raw_of(disk);

	if ((raw->is_device ? device_has(raw, bytes, err) : file_grow(raw, bytes, err)) < 0)
		return -1;
	if (raw->end < bytes)
		raw->end = bytes;
	return 0;
}

/* ---- opening ---- */

static const struct {
	const char *magic, *format;
} formats[] = {
        {"QFI\xfb", "qcow2"},
        {"vhdxfile", "VHDX"},
        {"KDMV", "VMDK"},
        {"conectix", "VHD"},
};

/* The formats of other programs are not disks: a guest would see the format, and would destroy it. */
static int refuse_formats(int fd, struct err *err)
{
	char start[16] = {0};

	if (pread(fd, start, sizeof(start), 0) < 0)
		return err_sys(err, ERR_HOST, errno, "it cannot be read");
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (memcmp(start, formats[i].magic, strlen(formats[i].magic)) == 0)
			return err_set(err, ERR_USAGE,
			        "it is a %s image, and vmm wants a raw one: convert it (qemu-img convert -O "
			        "raw), or "
			        "serve it (qemu-nbd) and give the nbd:// address",
			        formats[i].format);
	}
	return 0;
}

/* The smallest block that O_DIRECT can read; 0: none that a guest may use. */
static uint32_t probe_align(int fd)
{
	auto_free void *block = aligned_alloc(4096, 4096);

	for (uint32_t bytes = SECTOR_BYTES; block && bytes <= 4096; bytes *= 2) {
		if (pread(fd, block, bytes, 0) >= 0)
			return bytes;
	}
	return 0;
}

/* Finds how O_DIRECT wants memory and offsets aligned (statx(2), STATX_DIOALIGN; Linux 6.1). */
static void find_align(int fd, uint32_t *ret_memory, uint32_t *ret_offset)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 && (st.stx_mask & STATX_DIOALIGN)) {
		*ret_memory = st.stx_dio_mem_align;
		*ret_offset = st.stx_dio_offset_align;
		return;
	}
	*ret_memory = *ret_offset = probe_align(fd);
}

static int set_flags(int fd, int flags)
{
	return fcntl(fd, F_SETFL, flags);
}

/*
 * Turns O_DIRECT on if every block that the guest may ask for can be read and written with it. Reading and
 * writing the same file both ways could lose writes that share a page.
 */
static int go_direct(struct raw *raw, enum config_cache cache, struct err *err)
{
	uint32_t memory = 0, offset = 0;

	if (cache == CONFIG_CACHE_PAGE)
		return 0;
	if (set_flags(raw->fd, O_DIRECT) == 0)
		find_align(raw->fd, &memory, &offset);
	raw->direct = offset && offset <= raw->disk.facts.block_bytes;
	raw->memory_align = memory ? memory : SECTOR_BYTES;
	if (raw->direct)
		return 0;
	if (cache == CONFIG_CACHE_DIRECT && offset)
		return err_set(err, ERR_USAGE,
		        "its file system reads and writes past the page cache only blocks of %u bytes, and "
		        "the "
		        "guest's have %u; leave cache out",
		        offset, raw->disk.facts.block_bytes);
	if (cache == CONFIG_CACHE_DIRECT)
		return err_set(err, ERR_USAGE,
		        "its file system cannot read or write past the page cache (O_DIRECT); leave cache "
		        "out");
	return set_flags(raw->fd, 0) < 0 ? err_sys(err, ERR_HOST, errno, "fcntl") : 0;
}

static int device_facts(struct raw *raw, struct err *err)
{
	struct back_disk_facts *facts = &raw->disk.facts;
	int block = 0;
	unsigned physical = 0, optimal = 0;

	if (ioctl(raw->fd, BLKGETSIZE64, &facts->size_bytes) < 0 || ioctl(raw->fd, BLKSSZGET, &block) < 0)
		return err_sys(err, ERR_HOST, errno, "the block device does not tell its size");
	if (ioctl(raw->fd, BLKPBSZGET, &physical) < 0 || ioctl(raw->fd, BLKIOOPT, &optimal) < 0)
		physical = optimal = 0;
	facts->block_bytes = (uint32_t)block;
	facts->physical_bytes = physical > (unsigned)block ? physical : (unsigned)block;
	facts->optimal_bytes = optimal;
	raw->is_device = true;
	return 0;
}

static int find_facts(struct raw *raw, struct err *err)
{
	struct back_disk_facts *facts = &raw->disk.facts;
	struct stat st;
	uint32_t best;

	if (fstat(raw->fd, &st) < 0)
		return err_sys(err, ERR_HOST, errno, "fstat");
	if (S_ISBLK(st.st_mode))
		return device_facts(raw, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "it is neither a file nor a block device");
	best = (uint32_t)st.st_blksize;
	facts->size_bytes = (uint64_t)st.st_size;
	facts->block_bytes = SECTOR_BYTES;
	/* Some file systems like megabytes best, which says nothing about their blocks. */
	facts->physical_bytes =
	        best >= SECTOR_BYTES && best <= PHYSICAL_MAX_BYTES && is_aligned(best, best) ? best : 4096;
	return 0;
}

/* Only whole blocks can be shown: what the guest reads of the last one would otherwise be short. */
static int cut_to_blocks(struct raw *raw, struct err *err)
{
	struct back_disk_facts *facts = &raw->disk.facts;
	uint64_t rest = facts->size_bytes % facts->block_bytes;

	raw->end = facts->size_bytes;
	facts->size_bytes -= rest;
	if (!facts->size_bytes)
		return err_set(err, ERR_USAGE,
		        "it has no whole block of %u bytes; give it a size (truncate -s 10G)",
		        facts->block_bytes);
	if (rest)
		log_info("%s: the last %llu bytes of %s are no whole block of %u bytes; the guest does not "
		         "see them",
		        raw->disk.id, (unsigned long long)rest, raw->disk.file, facts->block_bytes);
	return 0;
}

/*
 * A vmm that was killed keeps its lock until a thread of the kernel has taken its io_uring apart, which took
 * more than a second on a busy machine. So a vmm that is started in its place tries for five seconds. One
 * that let go of the image keeps the lock only until such a thread has put its last request away.
 */
static int lock_in_time(const struct raw *raw, unsigned tries, struct err *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	while (back_lock(raw->fd, !raw->disk.facts.read_only, err) < 0) {
		if (err->kind == ERR_HOST || --tries == 0)
			return -1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int lock(struct raw *raw, unsigned tries, struct err *err)
{
	struct err none;

	if (lock_in_time(raw, tries, &none) == 0)
		return 0;
	if (none.kind != ERR_HOST) {
		*err = none;
		return -1;
	}
	log_warn("%s: %s: %s: nothing stops a second program from writing it", raw->disk.id, raw->disk.file,
	        none.text);
	return 0;
}

/* O_NONBLOCK: opening a pipe would wait for its other end. */
static int open_file(const char *file, bool read_only, int *ret_fd, struct err *err)
{
	*ret_fd = open(file, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (*ret_fd >= 0)
		return 0;
	if (errno == EACCES || errno == EROFS || errno == EPERM)
		return err_sys(err, ERR_USAGE, errno, "it cannot be %s%s", read_only ? "read" : "written",
		        read_only ? "" : "; set read-only if the guest need not write");
	return err_sys(err, ERR_USAGE, errno, "it cannot be opened");
}

static int open_image(struct raw *raw, const struct config_device *config, bool look, struct err *err)
{
	struct back_disk_facts *facts = &raw->disk.facts;

	facts->read_only = config->read_only;
	facts->can_discard = facts->can_zero = !config->read_only;
	if (open_file(config->file, config->read_only || look, &raw->fd, err) < 0 ||
	        find_facts(raw, err) < 0 || set_flags(raw->fd, 0) < 0 ||
	        (!look && lock(raw, LOCK_TRIES, err) < 0) || refuse_formats(raw->fd, err) < 0 ||
	        cut_to_blocks(raw, err) < 0)
		return -1;
	facts->discard_bytes = facts->physical_bytes;
	return go_direct(raw, config->cache, err);
}

/* ---- a guest that goes on elsewhere ---- */

static void raw_release(struct back_disk *disk)
{
	struct raw *raw = raw_of(disk);

	if (raw->fd >= 0)
		close(take_fd(&raw->fd));
}

/* How many bytes the image has. The sandbox is entered already, so nothing else is asked of a device. */
static int size_again(const struct raw *raw, uint64_t *ret_bytes, struct err *err)
{
	struct stat st;

	if (fstat(raw->fd, &st) < 0)
		return err_sys(err, ERR_HOST, errno, "fstat");
	*ret_bytes = (uint64_t)st.st_size;
	if (raw->is_device ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode))
		return err_set(
		        err, ERR_USAGE, "it is no longer a %s", raw->is_device ? "block device" : "file");
	if (raw->is_device && ioctl(raw->fd, BLKGETSIZE64, ret_bytes) < 0)
		return err_sys(err, ERR_HOST, errno, "the block device does not tell its size");
	return 0;
}

static int open_again(struct raw *raw, uint64_t bytes, struct err *err)
{
	if (open_file(raw->disk.file, raw->disk.facts.read_only, &raw->fd, err) < 0 ||
	        size_again(raw, &raw->end, err) < 0)
		return -1;
	if (raw->end < bytes)
		return err_set(err, ERR_USAGE,
		        "it has %llu bytes, and the guest's disk has %llu: it is not the image that was here "
		        "before",
		        (unsigned long long)raw->end, (unsigned long long)bytes);
	if (set_flags(raw->fd, raw->direct ? O_DIRECT : 0) < 0)
		return err_sys(err, ERR_HOST, errno, "fcntl");
	return lock(raw, TAKE_TRIES, err);
}

/* What the guest was told of the disk stays. */
static int raw_take(struct back_disk *disk, uint64_t bytes, struct err *err)
{
	struct raw *raw = raw_of(disk), before = *raw;

	raw->fd = -1;
	if (open_again(raw, bytes, err) < 0) {
		if (raw->fd >= 0)
			close(raw->fd);
		raw->fd = before.fd;
		raw->end = before.end;
		return err_wrap(err, "%s", disk->file);
	}
	if (before.fd >= 0)
		close(before.fd);
	return 0;
}

static const struct back_disk_ops raw_ops = {.start = raw_start,
        .grow = raw_grow,
        .release = raw_release,
        .take = raw_take,
        .destroy = raw_destroy};

int back_raw_open(const struct config_device *config, bool look, struct loop *loop,
        struct back_disk **ret_disk, struct err *err)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return err_sys(err, ERR_FAILED, ENOMEM, "a disk");
	raw->fd = -1;
	if (back_disk_init(&raw->disk, &raw_ops, config, loop, err) < 0 ||
	        open_image(raw, config, look, err) < 0) {
		raw_destroy(&raw->disk);
		return err_wrap(err, "%s", config->file);
	}
	/* What was read is forgotten with the last descriptor: the other program still writes there. */
	if (look)
		raw_release(&raw->disk);
	*ret_disk = &raw->disk;
	return 0;
}
