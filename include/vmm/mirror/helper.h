/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror/helper: the host's half of the migration helper. The helper is a program of vmm's that is measured
 * with a SEV guest and runs on a mirror of it, inside the guest's encryption context. It seals pages of the
 * guest for another guest's helper, and opens what that one has sealed, with keys that follow from a root key
 * of the guests' owner. The host carries what it cannot read. include/vmm/abi/helper.h has the layout of the
 * ring between the two.
 *
 * Nothing that the helper writes is trusted: it is the guest's. One thread at a time, but for
 * mirror_helper_cancel() and mirror_helper_plug(); calls take as long as the helper works. The thread that
 * calls has a handler of SIGUSR1.
 */
#ifndef VMM_MIRROR_HELPER_H
#define VMM_MIRROR_HELPER_H

#include "vmm/abi/helper.h"
#include "vmm/mirror.h"

/* The image, as it is measured. */
extern const uint8_t mirror_helper_image[HELPER_IMAGE_BYTES];

struct mirror_helper;

/* Does the helper have page tables for this position of the C-bit? ERR_HOST; the text begins with a noun. */
int mirror_helper_check(unsigned c_bit, struct err *err) MUST_CHECK;
/* Where the helper begins, with its page tables for this position of the C-bit. */
struct mirror_entry mirror_helper_entry(unsigned c_bit);
/*
 * Makes a mirror of the guest with the helper on it. The guest is as mirror_create() wants it, its memory has
 * a region PAGE_HELPER with the measured image, and nobody has run the helper of this incarnation before. It
 * sees the guest's RAM and firmware image, and RAM that was added before. Errors as mirror_create() and
 * mirror_helper_check().
 */
int mirror_helper_create(const struct mirror_guest *guest, unsigned c_bit, struct mirror_helper **ret_helper,
        struct err *err) MUST_CHECK;
/* Ends the mirror. Called before the guest's VM is destroyed. NULL is allowed. */
void mirror_helper_destroy(struct mirror_helper *helper);
/* How long the helper may take to answer one batch, instead of MIRROR_HELPER_LIMIT_NS. */
#define MIRROR_HELPER_LIMIT_NS UINT64_C(30000000000)
void mirror_helper_set_limit(struct mirror_helper *helper, uint64_t limit_ns);

/*
 * Shows the helper RAM that the guest is about to get (page_plug_find()), or takes it back before the guest
 * has it. Errors as mirror_add_view() and mirror_take_view(). Main thread, also while another runs the
 * helper.
 */
int mirror_helper_plug(
        struct mirror_helper *helper, const struct page_plug *piece, struct err *err) MUST_CHECK;
int mirror_helper_unplug(struct mirror_helper *helper, struct err *err) MUST_CHECK;

/*
 * All calls below: ERR_FAILED if the helper crashed, does not answer in time, or answers what is no answer;
 * such a helper can only be destroyed. ERR_USAGE, with the helper's reason, if it refuses what was asked, or
 * if the move was cancelled. Then the move is over, the helper has forgotten its keys, and a hello begins
 * another.
 */

/* Begins a move: the helper forgets the keys of the one before, and says its nonce. */
int mirror_helper_hello(
        struct mirror_helper *helper, struct helper_hello *ret_hello, struct err *err) MUST_CHECK;
/* Has the helper make its keys, once after each hello. */
int mirror_helper_agree(
        struct mirror_helper *helper, const struct helper_terms *terms, struct err *err) MUST_CHECK;
/* Has the helper forget its keys: the move is over. */
int mirror_helper_forget(struct mirror_helper *helper, struct err *err) MUST_CHECK;

/*
 * Cancels the move: the agree, seal or open that is under way, or else the next one, fails. A batch stops
 * behind the record that the helper has begun. A helper that does not stop within MIRROR_HELPER_STOP_NS has
 * failed. Any thread; the vCPU is kicked (mirror_kick()). It does not wait.
 */
#define MIRROR_HELPER_STOP_NS UINT64_C(1000000000)
void mirror_helper_cancel(struct mirror_helper *helper);

/* A page of the guest, or the trailer that ends a stream. */
struct mirror_record {
	bool trailer;
	uint16_t stream; /* HELPER_STREAM_OF() the page; of a trailer below HELPER_STREAMS */
	uint32_t pass;
	struct gpa gpa;  /* of a page of the guest; 0 of a trailer */
	uint64_t number; /* of the record in its stream */
	uint8_t tag[HELPER_TAG_BYTES];
	uint8_t page[HELPER_PAGE_BYTES]; /* sealed; not used by a trailer */
};

/*
 * Seals records: number, tag and page are filled in. ret_done: how many are done, from the first one, also
 * when one is refused, whose page was not sealed.
 */
int mirror_helper_seal(struct mirror_helper *helper, struct mirror_record *records, unsigned count,
        unsigned *ret_done, struct err *err) MUST_CHECK;
/*
 * Opens records into the guest, in order. Behind one that is refused, some of other streams may have been
 * opened, too. ret_done as above.
 */
int mirror_helper_open(struct mirror_helper *helper, const struct mirror_record *records, unsigned count,
        unsigned *ret_done, struct err *err) MUST_CHECK;

#endif
