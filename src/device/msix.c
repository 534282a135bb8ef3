/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msix: the table of vectors and their pending bits. Any thread; one lock, which is held while a message is
 * sent, so that none is sent after the guest has masked its vector. PCI Local Bus 3.0, section 6.8.2.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "pci.h"

#define BAR_BYTES_MIN KIB(4)

struct vector {
	uint8_t bytes[PCI_MSIX_ENTRY_SIZE];
	bool pending;
};

/* An eventfd that interrupts by a vector. */
struct connection {
	int fd;
	unsigned vector;
	bool bound; /* the kernel reads it */
};

struct device_msix {
	pthread_mutex_t lock;
	const struct device_wires *wires;
	_Atomic bool on;
	bool masked; /* all vectors */
	unsigned count, connected;
	struct vector *vectors;
	struct connection *connections; /* room for one a vector */
};

struct device_msix *device_msix_create(const struct device_wires *wires, unsigned vectors, struct err *err)
{
	struct device_msix *msix = calloc(1, sizeof(*msix));

	if (msix) {
		msix->vectors = calloc(vectors, sizeof(msix->vectors[0]));
		msix->connections = calloc(vectors, sizeof(msix->connections[0]));
	}
	if (!msix || !msix->vectors || !msix->connections) {
		device_msix_destroy(msix);
		err_sys(err, ERR_FAILED, ENOMEM, "no memory for %u interrupt vectors", vectors);
		return NULL;
	}
	msix->wires = wires;
	msix->count = vectors;
	pthread_mutex_init(&msix->lock, NULL);
	device_msix_reset(msix);
	return msix;
}

void device_msix_destroy(struct device_msix *msix)
{
	if (!msix)
		return;
	if (msix->count)
		pthread_mutex_destroy(&msix->lock);
	free(msix->vectors);
	free(msix->connections);
	free(msix);
}

/* ---- vectors; the lock is held ---- */

static bool is_live(const struct device_msix *msix, const struct vector *vector)
{
	return msix->on && !msix->masked &&
	       !(vector->bytes[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static struct device_msi message_of(const struct vector *vector)
{
	return (struct device_msi){.address = load_le(&vector->bytes[PCI_MSIX_ENTRY_LOWER_ADDR], 8),
	        .data = (uint32_t)load_le(&vector->bytes[PCI_MSIX_ENTRY_DATA], 4)};
}

static void notify(const struct device_msix *msix, struct vector *vector)
{
	const struct device_msi message = message_of(vector);

	vector->pending = !is_live(msix, vector);
	if (!vector->pending && msix->wires->send)
		msix->wires->send(msix->wires->ctx, &message);
}

static bool has_count(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/*
 * What was signalled before the kernel listens is sent from here: the kernel would send it, too, but leave
 * the count, which would look like an interrupt that is pending.
 */
static int bind_fd(const struct device_msix *msix, struct connection *connection)
{
	struct vector *vector = &msix->vectors[connection->vector];
	const struct device_msi message = message_of(vector);
	uint64_t count;

	if (has_count(connection->fd) && read(connection->fd, &count, sizeof(count)) > 0)
		notify(msix, vector);
	if (!msix->wires->bind || msix->wires->bind(msix->wires->ctx, connection->fd, &message) < 0)
		return -1;
	connection->bound = true;
	return 0;
}

static void unbind_fd(const struct device_msix *msix, struct connection *connection)
{
	if (connection->bound)
		msix->wires->unbind(msix->wires->ctx, connection->fd);
	connection->bound = false;
}

/* The vector was masked or unmasked, or its message has changed. */
static void follow(struct device_msix *msix, unsigned vector)
{
	bool live = is_live(msix, &msix->vectors[vector]);

	if (msix->vectors[vector].pending && live)
		notify(msix, &msix->vectors[vector]);
	for (unsigned i = 0; i < msix->connected; i++) {
		struct connection *connection = &msix->connections[i];

		if (connection->vector != vector)
			continue;
		unbind_fd(msix, connection);
		/* If this fails after the connection has been made, the interrupts wait for the next try. */
		if (live && bind_fd(msix, connection) < 0)
			log_guest(LOG_WARN, "a device's interrupts are not delivered");
	}
}

static void follow_all(struct device_msix *msix)
{
	for (unsigned i = 0; i < msix->count; i++)
		follow(msix, i);
}

/* ---- what devices do ---- */

bool device_msix_is_on(const struct device_msix *msix)
{
	return msix->on;
}

unsigned device_msix_vectors(const struct device_msix *msix)
{
	return msix->count;
}

void device_msix_notify(struct device_msix *msix, unsigned vector)
{
	pthread_mutex_lock(&msix->lock);
	if (msix->on && vector < msix->count)
		notify(msix, &msix->vectors[vector]);
	pthread_mutex_unlock(&msix->lock);
}

int device_msix_connect(struct device_msix *msix, unsigned vector, int fd)
{
	struct connection *new;
	int result = -1;

	pthread_mutex_lock(&msix->lock);
	if (msix->on && vector < msix->count && msix->connected < msix->count && msix->wires->bind) {
		new = &msix->connections[msix->connected];
		*new = (struct connection){.fd = fd, .vector = vector};
		result = is_live(msix, &msix->vectors[vector]) ? bind_fd(msix, new) : 0;
		msix->connected += result == 0;
	}
	pthread_mutex_unlock(&msix->lock);
	return result;
}

void device_msix_disconnect(struct device_msix *msix, int fd)
{
	pthread_mutex_lock(&msix->lock);
	for (unsigned i = 0; i < msix->connected; i++) {
		if (msix->connections[i].fd != fd)
			continue;
		unbind_fd(msix, &msix->connections[i]);
		msix->connections[i] = msix->connections[--msix->connected];
		break;
	}
	pthread_mutex_unlock(&msix->lock);
}

/* ---- what the guest reads and writes: the table first, then a bit a vector ---- */

static uint64_t table_bytes(unsigned vectors)
{
	return (uint64_t)vectors * PCI_MSIX_ENTRY_SIZE;
}

uint64_t device_msix_bar_bytes(unsigned vectors)
{
	uint64_t size = BAR_BYTES_MIN;

	while (size < table_bytes(vectors) + (vectors + 63) / 64 * 8)
		size *= 2;
	return size;
}

static bool is_pending(const struct device_msix *msix, unsigned vector)
{
	bool pending = msix->vectors[vector].pending;

	for (unsigned i = 0; i < msix->connected && !pending; i++) {
		const struct connection *connection = &msix->connections[i];

		pending = connection->vector == vector && !connection->bound && has_count(connection->fd);
	}
	return pending;
}

static uint8_t pending_byte(const struct device_msix *msix, uint64_t at)
{
	uint8_t byte = 0;

	for (unsigned i = 0; i < 8 && at * 8 + i < msix->count; i++)
		byte |= (uint8_t)(is_pending(msix, (unsigned)at * 8 + i) << i);
	return byte;
}

static uint8_t read_byte(const struct device_msix *msix, uint64_t at)
{
	uint64_t table = table_bytes(msix->count);

	if (at >= table)
		return pending_byte(msix, at - table);
	return msix->vectors[at / PCI_MSIX_ENTRY_SIZE].bytes[at % PCI_MSIX_ENTRY_SIZE];
}

uint64_t device_msix_read(void *ctx, uint64_t offset, unsigned size)
{
	struct device_msix *msix = ctx;
	uint64_t value = 0;

	pthread_mutex_lock(&msix->lock);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_byte(msix, offset + i) << (8 * i);
	pthread_mutex_unlock(&msix->lock);
	return value;
}

/* The low bits of the address are zero; of the control word only the mask bit exists. */
static uint8_t writable(unsigned at)
{
	if (at == PCI_MSIX_ENTRY_LOWER_ADDR)
		return 0xfc;
	if (at < PCI_MSIX_ENTRY_VECTOR_CTRL)
		return 0xff;
	return at == PCI_MSIX_ENTRY_VECTOR_CTRL ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
}

static void write_vector(
        struct device_msix *msix, unsigned vector, unsigned at, unsigned size, uint64_t value)
{
	struct vector old = msix->vectors[vector], *new = &msix->vectors[vector];

	for (unsigned i = 0; i < size; i++, value >>= 8)
		new->bytes[at + i] =
		        (uint8_t)((new->bytes[at + i] & ~writable(at + i)) | (value & writable(at + i)));
	if (memcmp(old.bytes, new->bytes, sizeof(old.bytes)) != 0)
		follow(msix, vector);
}

enum device_verdict device_msix_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_msix *msix = ctx;

	pthread_mutex_lock(&msix->lock);
	while (size && offset < table_bytes(msix->count)) {
		unsigned at = offset % PCI_MSIX_ENTRY_SIZE;
		unsigned part = size < PCI_MSIX_ENTRY_SIZE - at ? size : PCI_MSIX_ENTRY_SIZE - at;

		write_vector(msix, (unsigned)(offset / PCI_MSIX_ENTRY_SIZE), at, part, value);
		offset += part;
		size -= part;
		value = part < 8 ? value >> (8 * part) : 0;
	}
	pthread_mutex_unlock(&msix->lock);
	return DEVICE_RESUME;
}

void device_msix_describe(unsigned vectors, unsigned bar, uint8_t ret_body[DEVICE_MSIX_CAPABILITY_BYTES],
        uint8_t ret_mask[DEVICE_MSIX_CAPABILITY_BYTES])
{
	memset(ret_body, 0, DEVICE_MSIX_CAPABILITY_BYTES);
	memset(ret_mask, 0, DEVICE_MSIX_CAPABILITY_BYTES);
	ret_body[0] = PCI_CAP_ID_MSIX;
	store_le(&ret_body[PCI_MSIX_FLAGS], 2, vectors - 1);
	store_le(&ret_body[PCI_MSIX_TABLE], 4, bar);
	store_le(&ret_body[PCI_MSIX_PBA], 4, table_bytes(vectors) | bar);
	store_le(&ret_mask[PCI_MSIX_FLAGS], 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void device_msix_control(struct device_msix *msix, uint16_t control)
{
	bool on = control & PCI_MSIX_FLAGS_ENABLE, masked = control & PCI_MSIX_FLAGS_MASKALL;

	pthread_mutex_lock(&msix->lock);
	if (on != msix->on || masked != msix->masked) {
		msix->on = on;
		msix->masked = masked;
		follow_all(msix);
	}
	pthread_mutex_unlock(&msix->lock);
}

void device_msix_reset(struct device_msix *msix)
{
	pthread_mutex_lock(&msix->lock);
	msix->on = msix->masked = false;
	for (unsigned i = 0; i < msix->count; i++)
		msix->vectors[i] = (struct vector){
		        .bytes = {[PCI_MSIX_ENTRY_VECTOR_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT}};
	follow_all(msix);
	pthread_mutex_unlock(&msix->lock);
}

/* ---- a guest that goes on elsewhere ---- */

static void visit_vector(struct device_msix *msix, unsigned i, struct vmstate *s)
{
	struct vector *vector = &msix->vectors[i];
	bool pending = is_pending(msix, i);

	vmstate_bytes(s, "interrupt vectors", vector->bytes, sizeof(vector->bytes));
	vmstate_bool(s, "pending interrupts", &pending);
	if (!s->loads)
		return;
	vector->pending = pending;
	for (unsigned at = 0; at < sizeof(vector->bytes); at++)
		if (vector->bytes[at] & ~writable(at))
			vmstate_fail(s, "byte %u of interrupt vector %u is 0x%02x", at, i, vector->bytes[at]);
}

void device_msix_visit(struct device_msix *msix, struct vmstate *s)
{
	pthread_mutex_lock(&msix->lock);
	vmstate_same(s, "the number of interrupt vectors", msix->count);
	for (unsigned i = 0; i < msix->count; i++)
		visit_vector(msix, i, s);
	pthread_mutex_unlock(&msix->lock);
}
