/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon: memory that the guest does not use goes back to this machine. The driver fills the balloon with
 * pages up to the size that it is asked for, and, if it agreed to, reports the pages that are free at the
 * moment. Guests see zeros in such a page when they use it again. Law: VIRTIO 5.5.
 *
 * Giving memory back takes the kernel a while, so the device has a thread of its own. Not for confidential
 * guests: see config_devices_check().
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/virtio.h"

#define F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define F_PAGE_POISON    (UINT64_C(1) << 4)
#define F_REPORTING      (UINT64_C(1) << 5)

/*
 * The reporting queue has number 4. Linux leaves out the numbers of queues whose features the device does not
 * offer, and uses number 2 for it. Nothing else can be on those between.
 */
enum queue { INFLATE, DEFLATE, REPORTING_FIRST, REPORTING_LAST = 4, QUEUES };

#define PAGE_SHIFT     12   /* of the page numbers that the driver sends */
#define NUMBERS_MAX    8192 /* page numbers in a chain; Linux sends 256 */
#define CHAINS_AT_ONCE 16   /* between two looks at what else the thread has to do */

enum field { NUM_PAGES, ACTUAL, FREE_PAGE_HINT_ID, POISON, FIELDS };

struct virtio_balloon {
	struct virtio_device *device;
	struct loop_thread *thread;
	/* Of the driver's configuration: it writes ACTUAL and POISON on vCPU threads. Little-endian, as this
	 * machine. */
	_Atomic uint32_t fields[FIELDS];

	/* Of the thread. */
	struct page_memory *memory; /* NULL: stopped */
	struct virtio_queue *queues[QUEUES];
	struct loop_task more; /* looks at the queues again */
	struct virtio_chain chain;
	uint32_t numbers[NUMBERS_MAX];
};

/* ---- the driver's page numbers ---- */

static int give_back_run(struct virtio_balloon *balloon, uint32_t first, uint32_t last)
{
	uint64_t start = (uint64_t)first << PAGE_SHIFT, size = ((uint64_t)last - first + 1) << PAGE_SHIFT;
	void *loan = page_loan(balloon->memory, gpa(start), size);

	if (!loan) {
		virtio_device_break(balloon->device, "the balloon got pages from %#llx on that are no RAM",
		        (unsigned long long)start);
		return -1;
	}
	if (page_give_back(balloon->memory, loan, size) < 0)
		log_guest(LOG_WARN, "balloon: %llu KiB could not be given back: %s",
		        (unsigned long long)size >> 10, err_sys_name(errno));
	return 0;
}

/* Neighbours go together: Linux sends them one by one, often from the last to the first. */
static int give_back_numbers(struct virtio_balloon *balloon, size_t count)
{
	const uint32_t *numbers = balloon->numbers;
	uint32_t first = numbers[0], last = numbers[0];

	for (size_t i = 1; i < count; i++) {
		if (last != UINT32_MAX && numbers[i] == last + 1) {
			last = numbers[i];
		} else if (first && numbers[i] == first - 1) {
			first = numbers[i];
		} else {
			if (give_back_run(balloon, first, last) < 0)
				return -1;
			first = last = numbers[i];
		}
	}
	return give_back_run(balloon, first, last);
}

static int inflate(struct virtio_balloon *balloon)
{
	uint64_t bytes = balloon->chain.readable_bytes;

	if (!bytes || bytes % sizeof(*balloon->numbers) || bytes > sizeof(balloon->numbers)) {
		virtio_device_break(balloon->device, "the balloon got page numbers of %llu bytes",
		        (unsigned long long)bytes);
		return -1;
	}
	virtio_chain_read(&balloon->chain, 0, balloon->numbers, bytes);
	return give_back_numbers(balloon, bytes / sizeof(*balloon->numbers));
}

/* ---- pages that are free at the moment ---- */

/* With a poison other than zero the pages would have to be filled with it. */
static void take_report(struct virtio_balloon *balloon)
{
	const struct virtio_chain *chain = &balloon->chain;

	if (balloon->fields[POISON])
		return;
	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++) {
		if (page_give_back(balloon->memory, chain->iov[i].iov_base, chain->iov[i].iov_len) < 0)
			log_guest(LOG_WARN, "balloon: %zu KiB could not be given back: %s",
			        chain->iov[i].iov_len >> 10, err_sys_name(errno));
	}
}

/* ---- queues ---- */

/* Returns false if the device is broken. A deflated page needs nothing: it takes memory when it is touched.
 */
static bool serve_chain(struct virtio_balloon *balloon, unsigned queue)
{
	if (queue == INFLATE)
		return inflate(balloon) == 0;
	if (queue >= REPORTING_FIRST)
		take_report(balloon);
	return true;
}

static void serve(struct virtio_balloon *balloon, struct virtio_queue *queue)
{
	unsigned left = CHAINS_AT_ONCE;
	int there = 0;

	virtio_queue_hush(queue);
	do {
		for (; left && (there = virtio_queue_pop(queue, &balloon->chain)) > 0; left--) {
			if (!serve_chain(balloon, virtio_queue_index(queue)))
				return;
			virtio_queue_push(queue, &balloon->chain, 0);
		}
	} while (left && there == 0 && virtio_queue_listen(queue));
	virtio_queue_flush(queue);
	if (!left)
		loop_post(loop_thread_loop(balloon->thread), &balloon->more);
}

static void on_more(void *ctx)
{
	struct virtio_balloon *balloon = ctx;

	for (unsigned i = 0; i < QUEUES && balloon->memory; i++) {
		if (balloon->queues[i])
			serve(balloon, balloon->queues[i]);
	}
}

static int balloon_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct virtio_balloon *balloon = ctx;

	balloon->memory = start->memory;
	memcpy(balloon->queues, start->queues, sizeof(balloon->queues));
	return 0;
}

static void balloon_kick(void *ctx, struct virtio_queue *queue)
{
	serve(ctx, queue);
}

static void balloon_stop(void *ctx)
{
	struct virtio_balloon *balloon = ctx;

	balloon->memory = NULL;
	memset(balloon->queues, 0, sizeof(balloon->queues));
	virtio_device_stopped(balloon->device);
}

static void balloon_finish(void *ctx)
{
	struct virtio_balloon *balloon = ctx;

	loop_thread_destroy(balloon->thread);
	free(balloon);
}

/* ---- configuration ---- */

static void balloon_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	const struct virtio_balloon *balloon = ctx;
	uint32_t fields[FIELDS];

	for (unsigned i = 0; i < FIELDS; i++)
		fields[i] = balloon->fields[i];
	memcpy(data, (const uint8_t *)fields + offset, size);
}

static void balloon_config_write(void *ctx, unsigned offset, const void *data, unsigned size)
{
	struct virtio_balloon *balloon = ctx;
	uint32_t fields[FIELDS];

	for (unsigned i = 0; i < FIELDS; i++)
		fields[i] = balloon->fields[i];
	memcpy((uint8_t *)fields + offset, data, size);
	balloon->fields[ACTUAL] = fields[ACTUAL];
	balloon->fields[POISON] = fields[POISON];
}

/* Pages that the guest has given back are zeros there, and take no memory before they are used. */
static void balloon_visit(void *ctx, bool works, uint64_t features, struct vmstate *s)
{
	static const struct {
		const char *name;
		uint32_t mask;
	} all[FIELDS] = {
	        [NUM_PAGES] = {"pages wanted", UINT32_MAX},
	        [ACTUAL] = {"pages given back", UINT32_MAX},
	        [FREE_PAGE_HINT_ID] = {"free page hint", 0},
	        [POISON] = {"poison", UINT32_MAX},
	};
	struct virtio_balloon *balloon = ctx;

	for (unsigned i = 0; i < FIELDS; i++) {
		uint32_t value = balloon->fields[i];

		vmstate_u32(s, all[i].name, &value, all[i].mask);
		balloon->fields[i] = value;
	}
}

static const struct virtio_kind balloon_kind = {
        .name = "virtio-balloon",
        .id = 5,
        .pci_class = 0x00ff00, /* none of the classes */
        .config_read = balloon_config_read,
        .config_write = balloon_config_write,
        .start = balloon_start,
        .kick = balloon_kick,
        .stop = balloon_stop,
        .visit = balloon_visit,
        .finish = balloon_finish,
};

struct virtio_balloon *virtio_balloon_of(const struct device_board *board)
{
	return virtio_device_find(board, &balloon_kind, NULL);
}

void virtio_balloon_ask(struct virtio_balloon *balloon, uint64_t bytes)
{
	balloon->fields[NUM_PAGES] = (uint32_t)(bytes >> PAGE_SHIFT);
	virtio_device_config_changed(balloon->device);
}

uint64_t virtio_balloon_given(const struct virtio_balloon *balloon)
{
	return (uint64_t)balloon->fields[ACTUAL] << PAGE_SHIFT;
}

int virtio_balloon_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return err_sys(err, ERR_FAILED, ENOMEM, "virtio-balloon");
	balloon->more = (struct loop_task){.fn = on_more, .ctx = balloon};
	balloon->fields[NUM_PAGES] = (uint32_t)(config->inflate_bytes >> PAGE_SHIFT);
	if (loop_thread_create("virtio-balloon", &balloon->thread, err) < 0) {
		balloon_finish(balloon);
		return -1;
	}
	return virtio_pci_add(place->board,
	        &(struct virtio_setup){
	                .kind = &balloon_kind,
	                .ctx = balloon,
	                .id = config->id,
	                .features = F_DEFLATE_ON_OOM | F_PAGE_POISON | F_REPORTING,
	                .queues = QUEUES,
	                .queue_size = 128,
	                .config_bytes = sizeof(balloon->fields),
	                .loop = loop_thread_loop(balloon->thread),
	        },
	        &balloon->device, err);
}
