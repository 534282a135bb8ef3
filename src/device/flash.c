/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flash: a parallel flash chip of 8 bits with the command set of Intel, kept in a file. Runs on any vCPU
 * thread; the device's lock guards all of it. JEDEC JEP137 (command set 0x0001), JESD68 (the query table),
 * Intel 28F128J3 (commands and status).
 *
 * The chip answers as QEMU's does, because the drivers of firmware were written for that one. It differs from
 * a real chip in two ways. Clearing the status also clears its ready bit, until the next operation has ended:
 * edk2 takes a status of 0 for the sign that there is a flash chip. And programming a byte sets bits as well
 * as clearing them.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/device/flash.h"

/* The ID that QEMU's chip has: Intel, 28F128J3. */
#define ID_MAKER  0x89
#define ID_DEVICE 0x18

#define BUFFER_BITS  8
#define BUFFER_BYTES (1u << BUFFER_BITS)
#define CONFIRM      0xd0
#define READ_ARRAY   0xff

enum { STATUS_PROGRAM_FAILED = 0x10, STATUS_ERASE_FAILED = 0x20, STATUS_READY = 0x80 };
#define STATUS_SEQUENCE (STATUS_PROGRAM_FAILED | STATUS_ERASE_FAILED) /* commands in a wrong order */

/* What the chip does with the next write, and what it shows to reads. */
enum state {
	ARRAY, /* reads show the contents; in all states that are not named here they show the status */
	ID,
	QUERY,
	STATUS,
	PROGRAM, /* the next write is a byte to program */
	ERASE,   /* the next write confirms that a block is to be erased */
	LOCK,    /* the next write locks or unlocks a block */
	COUNT,   /* the next write says how many bytes follow for the buffer */
	FILL,
	COMMIT, /* the next write confirms that the buffer is to be programmed */
	STATES,
};

struct device_flash {
	struct device device;
	struct device_flash_ask ask;
	uint8_t *data; /* the chip's contents */
	/* What the file has while it lacks what was loaded; NULL: the same as the chip. */
	uint8_t *stored;
	bool away; /* the file is another machine's: nothing is written */
	/* The guest's memory, if that shows the chip's contents to reads; NULL: reads come here. */
	struct page_memory *memory;
	enum state state;
	uint8_t status;
	bool complained;

	/* The buffer holds count bytes for the range that begins at start. */
	uint8_t buffer[BUFFER_BYTES];
	uint64_t start;
	unsigned count, filled;
};

/* ---- contents ---- */

/* Copies a part of the contents to where the guest reads it. The range was checked when memory was lent. */
static void show(struct device_flash *flash, uint64_t offset, size_t size)
{
	if (flash->memory &&
	        page_load(flash->memory, gpa(flash->ask.base + offset), flash->data + offset, size) < 0)
		log_error("firmware-vars: %s: the guest's memory does not show the chip", flash->ask.name);
}

/* Says once why the file could not be written. The guest reads it from the status each time. */
static void complain(struct device_flash *flash, int error)
{
	if (!flash->complained)
		log_error("firmware-vars: %s: a change by the guest was not written: %s", flash->ask.name,
		        strerrordesc_np(error));
	flash->complained = true;
}

/* Returns 0, or the number of an error. */
static int write_file(const struct device_flash *flash, uint64_t offset, const uint8_t *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		const struct iovec iov = {(void *)(uintptr_t)(bytes + done), size - done};
		ssize_t n = pwritev2(flash->ask.fd, &iov, 1, (off_t)(offset + done), 0);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return n == 0 ? EIO : errno;
	}
	return 0;
}

/*
 * The file is written at once, so that it has every change that the guest saw as done, however vmm ends. A
 * change that cannot be written is not made.
 */
static int store(struct device_flash *flash, uint64_t offset, const uint8_t *bytes, size_t size)
{
	int error = flash->away ? EBUSY : write_file(flash, offset, bytes, size);

	if (error) {
		complain(flash, error);
		return -1;
	}
	memcpy(flash->data + offset, bytes, size);
	show(flash, offset, size);
	return 0;
}

/* Ends an operation: the chip is ready, and shows its status. */
static void done(struct device_flash *flash, int result, uint8_t failure)
{
	flash->state = STATUS;
	flash->status |= result < 0 ? STATUS_READY | failure : STATUS_READY;
}

static void refuse(struct device_flash *flash)
{
	done(flash, -1, STATUS_SEQUENCE);
}

/* ---- writes, one function for each state ---- */

static void on_command(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	/* Unknown commands, and those that read the array, lead to ARRAY, which is 0. */
	static const uint8_t next[0x100] = {
	        [0x10] = PROGRAM,
	        [0x20] = ERASE,
	        [0x40] = PROGRAM,
	        [0x60] = LOCK,
	        [0x70] = STATUS,
	        [0x90] = ID,
	        [0x98] = QUERY,
	        [0xe8] = COUNT,
	};

	flash->state = next[value];
	if (value == 0x50)
		flash->status = 0;
	if (flash->state == COUNT)
		flash->status |= STATUS_READY; /* the buffer is free */
}

static void on_program(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	done(flash, store(flash, offset, &value, 1), STATUS_PROGRAM_FAILED);
}

static void on_erase(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	uint8_t erased[DEVICE_FLASH_BLOCK_BYTES];

	if (value == READ_ARRAY) {
		flash->state = ARRAY;
	} else if (value == CONFIRM) {
		memset(erased, 0xff, sizeof(erased));
		done(flash, store(flash, offset - offset % sizeof(erased), erased, sizeof(erased)),
		        STATUS_ERASE_FAILED);
	} else {
		refuse(flash);
	}
}

/* Locks are kept by no firmware and have no effect here; a driver that sets one is told that it is done. */
static void on_lock(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	done(flash, 0, 0);
}

static void on_count(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	flash->count = value + 1u;
	flash->filled = 0;
	flash->state = FILL;
}

/* The first address is the start of the range. The range lies in one block, and each byte in the range. */
static void on_fill(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	if (flash->filled == 0) {
		uint64_t in_block = offset % DEVICE_FLASH_BLOCK_BYTES;

		if (in_block + flash->count > DEVICE_FLASH_BLOCK_BYTES) {
			refuse(flash);
			return;
		}
		flash->start = offset;
		memcpy(flash->buffer, flash->data + offset, flash->count);
	}
	if (offset < flash->start || offset - flash->start >= flash->count) {
		refuse(flash);
		return;
	}
	flash->buffer[offset - flash->start] = value;
	if (++flash->filled == flash->count)
		flash->state = COMMIT;
}

static void on_commit(struct device_flash *flash, uint64_t offset, uint8_t value)
{
	if (value == CONFIRM)
		done(flash, store(flash, flash->start, flash->buffer, flash->count), STATUS_PROGRAM_FAILED);
	else
		refuse(flash);
}

static void (*const writers[STATES])(struct device_flash *flash, uint64_t offset, uint8_t value) = {
        [ARRAY] = on_command,
        [ID] = on_command,
        [QUERY] = on_command,
        [STATUS] = on_command,
        [PROGRAM] = on_program,
        [ERASE] = on_erase,
        [LOCK] = on_lock,
        [COUNT] = on_count,
        [FILL] = on_fill,
        [COMMIT] = on_commit,
};

static enum device_verdict on_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_flash *flash = dev;

	pthread_mutex_lock(&flash->device.lock);
	writers[flash->state](flash, offset, (uint8_t)value);
	pthread_mutex_unlock(&flash->device.lock);
	return DEVICE_RESUME;
}

/* ---- reads ---- */

static uint8_t id_byte(uint64_t offset)
{
	static const uint8_t id[] = {ID_MAKER, ID_DEVICE};

	offset %= 0x100;
	return offset < sizeof(id) ? id[offset] : 0;
}

/* The query table (JESD68, 2.4) at 0x10, and Intel's own part of it at 0x31. */
static uint8_t query_byte(const struct device_flash *flash, uint64_t offset)
{
	uint64_t blocks = flash->ask.size_bytes / DEVICE_FLASH_BLOCK_BYTES;
	uint8_t size_bits = (uint8_t)(64 - __builtin_clzll(flash->ask.size_bytes - 1)); /* rounded up */
	const uint8_t table[] = {
	        'Q', 'R', 'Y', 0x01, 0, 0x31, 0, 0, 0, 0, 0, /* command set 1; its own table is at 0x31 */
	        0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0,   /* 4.5 to 5.5 V; times, as powers of two */
	        size_bits, 0, 0, BUFFER_BITS, 0, 1,          /* 8 bits wide; one kind of blocks */
	        (uint8_t)(blocks - 1), (uint8_t)((blocks - 1) >> 8), /* how many */
	        (uint8_t)(DEVICE_FLASH_BLOCK_BYTES >> 8),
	        (uint8_t)(DEVICE_FLASH_BLOCK_BYTES >> 16), /* size */
	        'P', 'R', 'I', '1', '0', 0, 0, 0, 0,       /* no optional features */
	};

	offset %= 0x100;
	return offset >= 0x10 && offset - 0x10 < sizeof(table) ? table[offset - 0x10] : 0;
}

static uint64_t on_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_flash *flash = dev;
	uint8_t value;

	pthread_mutex_lock(&flash->device.lock);
	switch (flash->state) {
	case ARRAY: value = flash->data[offset]; break;
	case ID: value = id_byte(offset); break;
	case QUERY: value = query_byte(flash, offset); break;
	default: value = flash->status;
	}
	pthread_mutex_unlock(&flash->device.lock);
	return value;
}

/* ---- a guest that goes on elsewhere ---- */

/* Does the chip need its buffer? If not, nobody will see what an earlier command has left in it. */
static bool has_buffer(const struct device_flash *flash)
{
	return flash->state == COMMIT || (flash->state == FILL && flash->filled);
}

static void check_buffer(const struct device_flash *flash, struct vmstate *s)
{
	unsigned room = flash->state == COMMIT ? 0 : 1;

	if (!flash->count || flash->filled + room > flash->count)
		vmstate_fail(s, "%u of %u bytes are in the buffer", flash->filled, flash->count);
	else if (flash->start >= flash->ask.size_bytes ||
	         flash->start % DEVICE_FLASH_BLOCK_BYTES + flash->count > DEVICE_FLASH_BLOCK_BYTES)
		vmstate_fail(s, "the buffer is for 0x%llx", (unsigned long long)flash->start);
}

static void visit_command(struct device_flash *flash, struct vmstate *s)
{
	unsigned state = flash->state;

	vmstate_count(s, "command", &state, STATES - 1);
	flash->state = state;
	vmstate_u8(s, "status", &flash->status, STATUS_SEQUENCE | STATUS_READY);
	if (flash->state != FILL && flash->state != COMMIT)
		return;
	vmstate_count(s, "size of the range", &flash->count, BUFFER_BYTES);
	vmstate_count(s, "bytes in the buffer", &flash->filled, BUFFER_BYTES);
	if (!has_buffer(flash))
		flash->start = 0;
	vmstate_u64(s, "start of the range", &flash->start, UINT64_MAX);
	if (s->loads)
		check_buffer(flash, s);
	if (!s->bad && has_buffer(flash))
		vmstate_bytes(s, "buffer", flash->buffer, flash->count);
}

static bool is_erased(const uint8_t *block)
{
	return block[0] == 0xff && memcmp(block, block + 1, DEVICE_FLASH_BLOCK_BYTES - 1) == 0;
}

/* Blocks of nothing but ones, of which most stores consist, are not written out. */
static void visit_contents(uint8_t *data, uint64_t size, struct vmstate *s)
{
	for (uint64_t at = 0; at < size && !s->bad; at += DEVICE_FLASH_BLOCK_BYTES) {
		bool erased = !s->loads && is_erased(data + at);

		vmstate_bool(s, "erased blocks", &erased);
		if (!erased)
			vmstate_bytes(s, "contents", data + at, DEVICE_FLASH_BLOCK_BYTES);
		else
			memset(data + at, 0xff, DEVICE_FLASH_BLOCK_BYTES);
	}
}

/* Only the chip gets the contents: the file may still be another machine's. */
static void load_contents(struct device_flash *flash, struct vmstate *s)
{
	uint64_t size = flash->ask.size_bytes;
	auto_free uint8_t *data = malloc(size);

	if (!data) {
		vmstate_fail(s, "no memory is left");
		return;
	}
	visit_contents(data, size, s);
	if (s->bad)
		return;
	if (flash->stored)
		free(flash->data);
	else
		flash->stored = flash->data;
	flash->data = take_ptr(&data);
	flash->away = true;
	show(flash, 0, size);
}

static void visit(struct device *device, struct vmstate *s)
{
	struct device_flash *flash = (struct device_flash *)device;

	pthread_mutex_lock(&flash->device.lock);
	vmstate_same(s, "the chip's size", flash->ask.size_bytes);
	visit_command(flash, s);
	if (s->loads)
		load_contents(flash, s);
	else
		visit_contents(flash->data, flash->ask.size_bytes, s);
	if (s->bad)
		flash->state = ARRAY;
	pthread_mutex_unlock(&flash->device.lock);
}

static struct device_flash *flash_of(const struct device_board *board)
{
	return (struct device_flash *)device_board_find(board, &device_flash_kind);
}

int device_flash_release(const struct device_board *board, struct err *err)
{
	struct device_flash *flash = flash_of(board);
	int error;

	if (!flash)
		return 0;
	pthread_mutex_lock(&flash->device.lock);
	error = !flash->away && fdatasync(flash->ask.fd) < 0 ? errno : 0;
	flash->away |= !error;
	pthread_mutex_unlock(&flash->device.lock);
	return error ? err_sys(err, ERR_HOST, error, "%s: cannot be flushed", flash->ask.name) : 0;
}

/* A file that both machines share has these bytes already: the other one wrote them. */
static int write_loaded(const struct device_flash *flash)
{
	int error = 0;

	for (uint64_t at = 0; flash->stored && !error && at < flash->ask.size_bytes;
	        at += DEVICE_FLASH_BLOCK_BYTES)
		if (memcmp(flash->stored + at, flash->data + at, DEVICE_FLASH_BLOCK_BYTES) != 0)
			error = write_file(flash, at, flash->data + at, DEVICE_FLASH_BLOCK_BYTES);
	return error;
}

int device_flash_take(const struct device_board *board, struct err *err)
{
	struct device_flash *flash = flash_of(board);
	int error;

	if (!flash)
		return 0;
	pthread_mutex_lock(&flash->device.lock);
	error = write_loaded(flash);
	if (!error) {
		free(take_ptr(&flash->stored));
		flash->away = false;
	}
	pthread_mutex_unlock(&flash->device.lock);
	return error ? err_sys(err, ERR_HOST, error, "%s: cannot be written", flash->ask.name) : 0;
}

/* ---- the kind ---- */

static int load(struct device_flash *flash, struct err *err)
{
	uint64_t size = flash->ask.size_bytes;

	flash->data = malloc(size);
	if (!flash->data)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the flash chip");
	for (uint64_t done = 0; done < size;) {
		ssize_t n = pread(flash->ask.fd, flash->data + done, size - done, (off_t)done);

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			return err_sys(
			        err, ERR_FAILED, n == 0 ? EIO : errno, "%s: cannot be read", flash->ask.name);
	}
	return 0;
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_flash *flash = (struct device_flash *)device;
	struct device_range range = {.name = "flash chip",
	        .space = DEVICE_MMIO,
	        .read = on_read,
	        .write = on_write,
	        .dev = flash,
	        .widest = 1};

	flash->ask = *(const struct device_flash_ask *)ask;
	flash->status = STATUS_READY;
	range.base = flash->ask.base;
	range.size = flash->ask.size_bytes;
	return load(flash, err) < 0 ? -1 : device_bus_claim(board->bus, &range, err);
}

static void reset(struct device *device)
{
	struct device_flash *flash = (struct device_flash *)device;

	flash->state = ARRAY;
	flash->status = STATUS_READY;
}

static void attach(struct device *device, struct page_memory *memory)
{
	struct device_flash *flash = (struct device_flash *)device;
	const struct device_flash_ask *ask = &flash->ask;

	flash->memory = memory && page_is_backed(memory, gpa(ask->base), ask->size_bytes) ? memory : NULL;
	show(flash, 0, ask->size_bytes);
}

static void finish(struct device *device)
{
	struct device_flash *flash = (struct device_flash *)device;

	if (flash->data && !flash->away && fdatasync(flash->ask.fd) < 0)
		complain(flash, errno);
	free(flash->data);
	free(flash->stored);
}

const struct device_kind device_flash_kind = {
        .name = "flash chip",
        .size = sizeof(struct device_flash),
        .init = init,
        .reset = reset,
        .attach = attach,
        .visit = visit,
        .finish = finish,
};
