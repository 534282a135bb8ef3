/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: hands named items to the guest's firmware, byte by byte or by DMA. Runs on any vCPU thread. The
 * lock guards the selector, the offset and the bytes of items, some of which are brought up to date when they
 * are selected. QEMU, docs/specs/fw_cfg.rst.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vmm/device/fw_cfg.h"

#define SELECTOR_PORT 0x510
#define DMA_PORT      0x514
#define FILE_FIRST    0x20
#define NAME_BYTES    56
#define WRITE_CHANNEL 0x4000 /* bit of a key; ignored, because items are read-only */
#define ID_BITS       3      /* traditional interface and DMA */
#define PIECE_BYTES   16384  /* copied at once */

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
	const uint8_t *data;
	uint8_t *own; /* equals data if the device owns the bytes; NULL: they are borrowed */
	size_t size;
	bool present;
	device_fw_cfg_refresh *refresh; /* NULL: its bytes stay as they are */
	void *ctx;
};

/* All numbers are big-endian. */
struct directory {
	uint32_t count;
	struct file {
		uint32_t size;
		uint16_t key, reserved;
		char name[NAME_BYTES];
	} files[FW_CFG_FILES_MAX];
};

struct dma_descriptor {
	uint32_t control, length;
	uint64_t address;
};

struct device_fw_cfg {
	struct device device;
	struct page_memory *memory;
	uint16_t key;
	size_t offset; /* at most the size of the selected item */
	uint32_t dma_high;

	struct item items[FILE_FIRST + FW_CFG_FILES_MAX]; /* by key */
	struct directory directory;
	unsigned files;
};

/* ---- selecting and taking: both interfaces end here ---- */

static const struct item *selected(const struct device_fw_cfg *fw_cfg)
{
	static const struct item nothing;

	return fw_cfg->key < ARRAY_LEN(fw_cfg->items) ? &fw_cfg->items[fw_cfg->key] : &nothing;
}

static void refresh_selected(struct device_fw_cfg *fw_cfg)
{
	const struct item *item = selected(fw_cfg);

	if (item->refresh)
		item->refresh(item->ctx, item->own, item->size);
}

static void select_key(struct device_fw_cfg *fw_cfg, uint16_t key)
{
	pthread_mutex_lock(&fw_cfg->device.lock);
	fw_cfg->key = key & (uint16_t)~WRITE_CHANNEL;
	fw_cfg->offset = 0;
	refresh_selected(fw_cfg);
	pthread_mutex_unlock(&fw_cfg->device.lock);
}

/* Moves on by size bytes and copies them to ret_data, zeros behind the end of the item. NULL: skips them. */
static void take(struct device_fw_cfg *fw_cfg, uint8_t *ret_data, size_t size)
{
	const struct item *item;
	size_t n;

	pthread_mutex_lock(&fw_cfg->device.lock);
	item = selected(fw_cfg);
	n = item->size - fw_cfg->offset;
	if (n > size)
		n = size;
	if (ret_data && n)
		memcpy(ret_data, item->data + fw_cfg->offset, n);
	if (ret_data)
		memset(ret_data + n, 0, size - n);
	fw_cfg->offset += n;
	pthread_mutex_unlock(&fw_cfg->device.lock);
}

/* ---- ports: a selector of 16 bits; the data port is the second byte of the selector ---- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	uint8_t byte;

	if (offset != 1 || size != 1)
		return UINT64_MAX;
	take(dev, &byte, 1);
	return byte;
}

static enum device_verdict port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset == 0 && size == 2)
		select_key(dev, (uint16_t)value);
	return DEVICE_RESUME;
}

/* ---- DMA ---- */

/*
 * Reads only into a range that is RAM from end to end, so that the guest's memory bounds the work. That can
 * be gigabytes: between two pieces the device looks whether the guest is being ended.
 */
static int dma_read(
        struct device_fw_cfg *fw_cfg, struct page_memory *memory, uint64_t address, uint32_t length)
{
	uint8_t piece[PIECE_BYTES];

	if (!page_is_memory(memory, gpa(address), length, true))
		return -1;
	while (length) {
		uint32_t n = length < sizeof(piece) ? length : sizeof(piece);

		if (page_memory_is_stopped(memory))
			return -1;
		take(fw_cfg, piece, n);
		if (page_write(memory, gpa(address), piece, n) < 0)
			return -1;
		address += n;
		length -= n;
	}
	return 0;
}

/* Items cannot be written, but writing no bytes succeeds. */
static int dma_run(
        struct device_fw_cfg *fw_cfg, struct page_memory *memory, const struct dma_descriptor *descriptor)
{
	uint32_t control = be32toh(descriptor->control), length = be32toh(descriptor->length);

	if (control & DMA_SELECT)
		select_key(fw_cfg, (uint16_t)(control >> 16));
	if (control & DMA_READ)
		return dma_read(fw_cfg, memory, be64toh(descriptor->address), length);
	if (control & DMA_WRITE)
		return length ? -1 : 0;
	if (control & DMA_SKIP)
		take(fw_cfg, NULL, length);
	return 0;
}

/* The descriptor is copied once, as the data may overwrite it. Its control field is written last. */
static void dma_start(struct device_fw_cfg *fw_cfg, struct page_memory *memory, uint64_t at)
{
	struct dma_descriptor descriptor;
	uint32_t result = 0;

	if (page_read(memory, gpa(at), &descriptor, sizeof(descriptor)) < 0 ||
	        dma_run(fw_cfg, memory, &descriptor) < 0)
		result = htobe32(DMA_ERROR);
	if (page_write(memory, gpa(at), &result, sizeof(result)) < 0)
		log_guest(
		        LOG_DEBUG, "fw_cfg: no RAM for the result of a DMA at %#llx", (unsigned long long)at);
}

static uint64_t dma_port_read(void *dev, uint64_t offset, unsigned size)
{
	static const uint8_t signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

	return load_le(signature + offset, size);
}

/* The address is big-endian. Its low half is written last and starts the operation. */
static enum device_verdict dma_port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_fw_cfg *fw_cfg = dev;
	uint32_t half = be32toh((uint32_t)value);
	struct page_memory *memory;
	uint64_t at;

	if (size != 4 || offset % 4)
		return DEVICE_RESUME;
	pthread_mutex_lock(&fw_cfg->device.lock);
	memory = fw_cfg->memory;
	at = (uint64_t)fw_cfg->dma_high << 32 | half;
	fw_cfg->dma_high = offset == 0 ? half : 0;
	pthread_mutex_unlock(&fw_cfg->device.lock);
	if (offset == 4 && memory)
		dma_start(fw_cfg, memory, at);
	return DEVICE_RESUME;
}

/* ---- filling it ---- */

/* Takes over what new.own points to. */
static int put_item(struct device_fw_cfg *fw_cfg, uint16_t key, struct item new, struct err *err)
{
	struct item *item = &fw_cfg->items[key];

	if (item->present)
		return err_set(err, ERR_FAILED, "fw_cfg key %#x is there already", key);
	if (new.size > UINT32_MAX)
		return err_set(err, ERR_FAILED, "fw_cfg key %#x: %zu bytes, at most 4 GiB can be handed over",
		        key, new.size);
	*item = new;
	return 0;
}

static int put_copy(
        struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size, struct err *err)
{
	auto_free uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return err_sys(err, ERR_FAILED, ENOMEM, "fw_cfg key %#x: %zu bytes", key, size);
	if (size)
		memcpy(copy, data, size);
	if (put_item(fw_cfg, key, (struct item){.data = copy, .own = copy, .size = size, .present = true},
	            err) < 0)
		return -1;
	copy = NULL;
	return 0;
}

static int check_key(uint16_t key, struct err *err)
{
	return key >= FILE_FIRST ? err_set(err, ERR_FAILED, "fw_cfg key %#x belongs to files", key) : 0;
}

int device_fw_cfg_add(
        struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size, struct err *err)
{
	return check_key(key, err) < 0 ? -1 : put_copy(fw_cfg, key, data, size, err);
}

int device_fw_cfg_lend(
        struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size, struct err *err)
{
	const struct item lent = {.data = data, .size = size, .present = true};

	return check_key(key, err) < 0 ? -1 : put_item(fw_cfg, key, lent, err);
}

int device_fw_cfg_add_number(
        struct device_fw_cfg *fw_cfg, uint16_t key, uint64_t number, unsigned size, struct err *err)
{
	uint64_t little = htole64(number);

	if (!size || size > sizeof(little))
		return err_set(err, ERR_FAILED, "fw_cfg key %#x: no number has %u bytes", key, size);
	return device_fw_cfg_add(fw_cfg, key, &little, size, err);
}

/* Keeps the directory sorted by name: firmware reads it as it stands. */
static void list_file(struct device_fw_cfg *fw_cfg, const char *name, uint16_t key, size_t size)
{
	struct directory *directory = &fw_cfg->directory;
	struct file file = {.size = htobe32((uint32_t)size), .key = htobe16(key)};
	unsigned at = 0;

	memcpy(file.name, name, strlen(name));
	while (at < fw_cfg->files && strcmp(directory->files[at].name, name) < 0)
		at++;
	memmove(&directory->files[at + 1], &directory->files[at], (fw_cfg->files - at) * sizeof(file));
	directory->files[at] = file;
	directory->count = htobe32(++fw_cfg->files);
	fw_cfg->items[FW_CFG_FILE_DIR].size += sizeof(file);
}

int device_fw_cfg_add_file(
        struct device_fw_cfg *fw_cfg, const char *name, const void *data, size_t size, struct err *err)
{
	uint16_t key = (uint16_t)(FILE_FIRST + fw_cfg->files);

	if (!*name || strlen(name) >= NAME_BYTES)
		return err_set(err, ERR_FAILED, "fw_cfg file \"%s\": a name has 1 to %d characters", name,
		        NAME_BYTES - 1);
	if (fw_cfg->files == FW_CFG_FILES_MAX)
		return err_set(err, ERR_FAILED, "fw_cfg file %s: there are %d files already", name,
		        FW_CFG_FILES_MAX);
	for (unsigned i = 0; i < fw_cfg->files; i++)
		if (strcmp(fw_cfg->directory.files[i].name, name) == 0)
			return err_set(err, ERR_FAILED, "fw_cfg file %s is there already", name);
	if (put_copy(fw_cfg, key, data, size, err) < 0)
		return err_wrap(err, "fw_cfg file %s", name);
	list_file(fw_cfg, name, key, size);
	return 0;
}

void device_fw_cfg_follow(
        struct device_fw_cfg *fw_cfg, const char *name, device_fw_cfg_refresh *refresh, void *ctx)
{
	for (unsigned i = 0; i < fw_cfg->files; i++) {
		const struct file *file = &fw_cfg->directory.files[i];
		struct item *item = &fw_cfg->items[be16toh(file->key)];

		if (strcmp(file->name, name) != 0)
			continue;
		item->refresh = refresh;
		item->ctx = ctx;
	}
}

/* ---- a guest that goes on elsewhere ---- */

/* The items are not moved: the same configuration has made them here. What the guest can tell by looking at
 * the keys, the sizes and the names of files must be equal. */
static void visit_items(const struct device_fw_cfg *fw_cfg, struct vmstate *s)
{
	struct directory theirs = fw_cfg->directory;
	char field[40];

	vmstate_bytes(s, "the files", &theirs, sizeof(theirs));
	if (memcmp(&theirs, &fw_cfg->directory, sizeof(theirs)) != 0)
		vmstate_fail(s, "the files there have other names or sizes than those here");
	for (unsigned key = 0; key < FILE_FIRST; key++) {
		const struct item *item = &fw_cfg->items[key];

		snprintf(field, sizeof(field), "the number of items with key 0x%x", key);
		vmstate_same(s, field, item->present);
		snprintf(field, sizeof(field), "the size of the item with key 0x%x", key);
		vmstate_same(s, field, item->size);
	}
}

static void visit(struct device *device, struct vmstate *s)
{
	struct device_fw_cfg *fw_cfg = (struct device_fw_cfg *)device;
	unsigned offset;

	pthread_mutex_lock(&fw_cfg->device.lock);
	visit_items(fw_cfg, s);
	vmstate_u16(s, "key", &fw_cfg->key, (uint16_t)~WRITE_CHANNEL);
	offset = (unsigned)fw_cfg->offset;
	vmstate_count(s, "offset", &offset, (unsigned)selected(fw_cfg)->size);
	fw_cfg->offset = offset;
	vmstate_u32(s, "DMA address", &fw_cfg->dma_high, UINT32_MAX);
	if (s->loads)
		refresh_selected(fw_cfg);
	pthread_mutex_unlock(&fw_cfg->device.lock);
}

/* ---- the kind ---- */

/* Without memory, DMA does nothing. */
static void attach(struct device *device, struct page_memory *memory)
{
	struct device_fw_cfg *fw_cfg = (struct device_fw_cfg *)device;

	pthread_mutex_lock(&fw_cfg->device.lock);
	fw_cfg->memory = memory;
	pthread_mutex_unlock(&fw_cfg->device.lock);
}

static void reset(struct device *device)
{
	struct device_fw_cfg *fw_cfg = (struct device_fw_cfg *)device;

	pthread_mutex_lock(&fw_cfg->device.lock);
	fw_cfg->key = 0;
	fw_cfg->offset = 0;
	fw_cfg->dma_high = 0;
	pthread_mutex_unlock(&fw_cfg->device.lock);
}

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_fw_cfg *fw_cfg = (struct device_fw_cfg *)device;
	const struct device_range ports[] = {
	        {"fw_cfg", DEVICE_PIO, SELECTOR_PORT, 2, port_read, port_write, fw_cfg, 0},
	        {"fw_cfg DMA", DEVICE_PIO, DMA_PORT, 8, dma_port_read, dma_port_write, fw_cfg, 0},
	};

	fw_cfg->items[FW_CFG_FILE_DIR] = (struct item){.data = (const uint8_t *)&fw_cfg->directory,
	        .size = sizeof(fw_cfg->directory.count),
	        .present = true};
	for (unsigned i = 0; i < ARRAY_LEN(ports); i++)
		if (device_bus_claim(board->bus, &ports[i], err) < 0)
			return -1;
	if (device_fw_cfg_add(fw_cfg, FW_CFG_SIGNATURE, "QEMU", 4, err) < 0)
		return -1;
	return device_fw_cfg_add_number(fw_cfg, FW_CFG_ID, ID_BITS, 4, err);
}

static void finish(struct device *device)
{
	struct device_fw_cfg *fw_cfg = (struct device_fw_cfg *)device;

	for (unsigned key = 0; key < ARRAY_LEN(fw_cfg->items); key++)
		free(fw_cfg->items[key].own);
}

const struct device_kind device_fw_cfg_kind = {
        .name = "fw_cfg",
        .size = sizeof(struct device_fw_cfg),
        .init = init,
        .reset = reset,
        .attach = attach,
        .visit = visit,
        .finish = finish,
};

struct device_fw_cfg *device_fw_cfg_of(const struct device_board *board)
{
	return (struct device_fw_cfg *)device_board_find(board, &device_fw_cfg_kind);
}
