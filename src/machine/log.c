/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: the memory slots, and which frames were written, by the guest and by vmm. KVM logs the guest's writes
 * by slot; the room page notes vmm's. Slots are made by the main thread, any thread collects. Law: api.rst,
 * KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */
#include <errno.h>

#include "vm.h"
#include "vmm/page/dirty.h"

/*
 * KVM holds a lock that every fault of the guest needs while it clears a part of a log, and then tells all
 * processors. So a part is 64 MiB.
 */
#define CLEAR_PAGES 16384u
#define WORD_PAGES  64u

static int make_slot(
        const struct machine_vm *vm, unsigned slot, const struct page_plug *piece, bool log, struct err *err)
{
	struct host *host = vm->machine->host;

	if (piece->guest_memfd < 0)
		return call_vm_set_logged_memory(
		        host, vm->fd, slot, piece->gpa.raw, piece->size_bytes, piece->at, log, err);
	return call_vm_set_private_memory(host, vm->fd, slot, piece->gpa.raw, piece->size_bytes, piece->at,
	        piece->guest_memfd, piece->offset, err);
}

int machine_vm_set_slot(struct machine_vm *vm, unsigned slot, const struct page_plug *piece, struct err *err)
{
	int result;

	pthread_mutex_lock(&vm->log.lock);
	result = make_slot(vm, slot, piece, vm->log.on && piece->size_bytes, err);
	if (result == 0)
		vm->log.slots[slot] = *piece;
	pthread_mutex_unlock(&vm->log.lock);
	return result;
}

/* Switches KVM's log of all slots. What cannot be switched off stays on, and the error says why. */
static int switch_slots(struct machine_vm *vm, bool on, struct err *err)
{
	struct err ignored;
	int result = 0;

	for (unsigned i = 0; i < MACHINE_SLOTS_MAX && (result == 0 || !on); i++) {
		const struct page_plug *piece = &vm->log.slots[i];

		if (piece->size_bytes && make_slot(vm, i, piece, on, result == 0 ? err : &ignored) < 0)
			result = -1;
	}
	return result;
}

/* vmm's own writes are noted first: what it writes to a page whose log is on is then in one of the two. */
static int switch_on(struct machine_vm *vm, struct err *err)
{
	struct err ignored;

	if (vm->machine->config->sev.type == CONFIG_SEV_SNP)
		return err_set(err, ERR_HOST,
		        "what a SEV-SNP guest writes cannot be logged: KVM has no log of private memory");
	if (page_memory_track(vm->memory, true, err) < 0)
		return -1;
	if (call_vm_clear_log_by_hand(vm->machine->host, vm->fd, &vm->log.by_hand, err) == 0 &&
	        switch_slots(vm, true, err) == 0)
		return 0;
	if (switch_slots(vm, false, &ignored) < 0 || page_memory_track(vm->memory, false, &ignored) < 0)
		log_warn("%s", ignored.text);
	return -1;
}

int machine_vm_log_writes(struct machine_vm *vm, bool on, struct err *err)
{
	int result = 0;

	pthread_mutex_lock(&vm->log.lock);
	if (on && !vm->log.on)
		result = switch_on(vm, err);
	else if (!on && vm->log.on)
		result = switch_slots(vm, false, err);
	if (!on && page_memory_track(vm->memory, false, err) < 0)
		result = -1;
	if (result == 0)
		vm->log.on = on;
	pthread_mutex_unlock(&vm->log.lock);
	return result;
}

static bool is_empty(const uint64_t *words, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (words[i])
			return false;
	}
	return true;
}

static int clear_slot(
        const struct machine_vm *vm, unsigned slot, uint64_t pages, const uint64_t *bits, struct err *err)
{
	for (uint64_t at = 0, n; at < pages; at += n) {
		const uint64_t *words = bits + at / WORD_PAGES;

		n = pages - at < CLEAR_PAGES ? pages - at : CLEAR_PAGES;
		if (!is_empty(words, (n + WORD_PAGES - 1) / WORD_PAGES) &&
		        call_vm_clear_log(vm->machine->host, vm->fd, slot, at, (uint32_t)n, words, err) < 0)
			return -1;
	}
	return 0;
}

/* Of a page that is written between the two calls the log is cleared, too, and its bytes are read later. */
static int collect_slot(const struct machine_vm *vm, unsigned slot, struct page_dirty *into, struct err *err)
{
	const struct page_plug *piece = &vm->log.slots[slot];
	uint64_t pages = piece->size_bytes / PAGE_SIZE_BYTES, words = (pages + WORD_PAGES - 1) / WORD_PAGES;
	auto_free uint64_t *bits = NULL;

	if (!pages)
		return 0;
	bits = calloc(words, sizeof(*bits));
	if (!bits)
		return err_sys(err, ERR_FAILED, ENOMEM, "log of %llu pages", (unsigned long long)pages);
	if (call_vm_get_log(vm->machine->host, vm->fd, slot, bits, err) < 0)
		return -1;
	page_dirty_add(into, piece->gpa.raw / PAGE_SIZE_BYTES, pages, bits);
	return vm->log.by_hand ? clear_slot(vm, slot, pages, bits, err) : 0;
}

int machine_vm_collect_written(struct machine_vm *vm, struct page_dirty *into, struct err *err)
{
	int result = 0;

	pthread_mutex_lock(&vm->log.lock);
	if (!vm->log.on)
		result = err_set(err, ERR_FAILED, "the guest's writes are not logged");
	for (unsigned i = 0; i < MACHINE_SLOTS_MAX && result == 0; i++)
		result = collect_slot(vm, i, into, err);
	pthread_mutex_unlock(&vm->log.lock);
	if (result == 0)
		page_memory_collect_written(vm->memory, into);
	return result;
}
