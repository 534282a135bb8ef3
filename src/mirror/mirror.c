/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror: makes and runs a VM that shares a guest's encryption context. KVM wants the context before the
 * first vCPU, and CPUID before control registers that have the C-bit. The thread of the caller.
 * Law: api.rst, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM; APM vol. 2, 15.34.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "vmm/call.h"
#include "vmm/mirror.h"
#include "vmm/uapi.h"

struct mirror {
	struct host *host;
	int vm_fd, vcpu_fd;
	struct kvm_run *run;
	size_t run_size;
	bool failed;

	struct mirror_view views[MIRROR_VIEWS_MAX]; /* ascending; each is a memory slot of its number */
	_Atomic unsigned view_count;

	pthread_mutex_t
	        lock; /* of the next two: a kick must not meet another thread that was given the number */
	bool running;
	pthread_t thread;
	_Atomic bool kicked;
};

/* ---- what can have a mirror ---- */

int mirror_check_type(enum config_sev_type type, struct err *err)
{
	static const char *const why[] = {
	        [CONFIG_SEV_NONE] = "a guest without SEV has no encryption context that a mirror could share",
	        [CONFIG_SEV_ES] = "a SEV-ES guest's mirror cannot be made after its launch: the registers of "
	                          "its vCPU are encrypted and measured with the guest's",
	        [CONFIG_SEV_SNP] = "a SEV-SNP guest cannot have a mirror: each of its pages belongs to the "
	                           "guest's own ASID and VM, and KVM shares neither (its "
	                           "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM refuses such guests)",
	};

	return type == CONFIG_SEV ? 0 : err_set(err, ERR_HOST, "%s", why[type]);
}

static int check_type(const struct mirror_guest *guest, struct err *err)
{
	return guest->sev == CONFIG_SEV_ES && guest->launching ? 0 : mirror_check_type(guest->sev, err);
}

static int refuse_view(const struct mirror_view *view, struct err *err)
{
	return err_set(err, ERR_USAGE,
	        "the mirror cannot see 0x%llx bytes at 0x%llx: views are whole pages of the guest's memory "
	        "in "
	        "ascending order",
	        (unsigned long long)view->size_bytes, (unsigned long long)view->start.raw);
}

/* end: of the view before; becomes that of this one. */
static int check_view(const struct mirror_view *view, uint64_t *end, struct err *err)
{
	if (!view->size_bytes || !is_aligned(view->start.raw | view->size_bytes, PAGE_SIZE_BYTES) ||
	        view->start.raw < *end || !add_ok(view->start.raw, view->size_bytes, end))
		return refuse_view(view, err);
	return 0;
}

static int check_views(
        const struct page_memory *memory, const struct mirror_view *views, unsigned count, struct err *err)
{
	uint64_t end = 0;

	if (!count || count > MIRROR_VIEWS_MAX)
		return err_set(err, ERR_USAGE, "a mirror sees 1 to %u pieces of memory, not %u",
		        MIRROR_VIEWS_MAX, count);
	for (unsigned i = 0; i < count; i++) {
		if (check_view(&views[i], &end, err) < 0)
			return -1;
		if (!page_kernel_address(memory, views[i].start, views[i].size_bytes))
			return refuse_view(&views[i], err);
	}
	return 0;
}

/* ---- the VM ---- */

static int share_context(const struct mirror *mirror, const struct mirror_guest *guest, struct err *err)
{
	return call_vm_enable_capability(
	        mirror->host, mirror->vm_fd, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, (uint64_t)guest->vm_fd, err);
}

static int set_view(struct mirror *mirror, const struct mirror_view *view, void *at, struct err *err)
{
	unsigned count = atomic_load(&mirror->view_count);

	if (call_vm_set_memory(
	            mirror->host, mirror->vm_fd, count, view->start.raw, view->size_bytes, at, err) < 0)
		return -1;
	mirror->views[count] = *view;
	atomic_store(&mirror->view_count, count + 1);
	return 0;
}

static int set_views(struct mirror *mirror, const struct mirror_guest *guest, const struct mirror_view *views,
        unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		if (set_view(mirror, &views[i],
		            page_kernel_address(guest->memory, views[i].start, views[i].size_bytes), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the vCPU ---- */

/*
 * CR0: PG, WP, NE, ET, MP, PE. CR4: OSXMMEXCPT, OSFXSR, PAE, so the helper may use SSE. EFER: NXE, LMA, LME.
 * LDTR and TR are those of a reset, but that TR's type is one of 64-bit mode.
 */
#define CR0_64BIT  0x80010033u
#define CR4_64BIT  0x620u
#define EFER_64BIT 0xd00u

static const struct kvm_segment code = {.selector = 0x8,
        .limit = UINT32_MAX,
        .type = 0xb, /* executable, readable, accessed */
        .s = 1,
        .present = 1,
        .l = 1,
        .g = 1};
static const struct kvm_segment data = {.selector = 0x10,
        .limit = UINT32_MAX,
        .type = 0x3, /* writable, accessed */
        .s = 1,
        .present = 1,
        .db = 1,
        .g = 1};

static const struct kvm_segment ldt = {.limit = UINT16_MAX, .type = 0x2, .present = 1};
static const struct kvm_segment tr = {.limit = UINT16_MAX, .type = 0xb, .present = 1};

void mirror_entry_registers(
        const struct mirror_entry *entry, struct kvm_regs *ret_regs, struct kvm_sregs *sregs)
{
	*ret_regs =
	        (struct kvm_regs){.rip = entry->rip, .rsp = entry->rsp, .rdi = entry->rdi, .rflags = 1u << 1};
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->ldt = ldt;
	sregs->tr = tr;
	sregs->cr0 = CR0_64BIT;
	sregs->cr2 = 0;
	sregs->cr3 = entry->cr3;
	sregs->cr4 = CR4_64BIT;
	sregs->efer = EFER_64BIT;
	sregs->gdt = sregs->idt = (struct kvm_dtable){0}; /* any exception is a shutdown */
}

static int set_entry(const struct mirror *mirror, const struct mirror_entry *entry, struct err *err)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (call_vcpu_get_sregs(mirror->host, mirror->vcpu_fd, &sregs, err) < 0)
		return -1;
	mirror_entry_registers(entry, &regs, &sregs);
	if (call_vcpu_set_sregs(mirror->host, mirror->vcpu_fd, &sregs, err) < 0)
		return -1;
	return call_vcpu_set_regs(mirror->host, mirror->vcpu_fd, &regs, err);
}

static int add_vcpu(struct mirror *mirror, const struct mirror_guest *guest, const struct mirror_entry *entry,
        struct err *err)
{
	if (call_vcpu_create(mirror->host, mirror->vm_fd, 0, &mirror->vcpu_fd, err) < 0 ||
	        call_vcpu_map_run(mirror->host, mirror->vcpu_fd, mirror->run_size, &mirror->run, err) < 0 ||
	        call_vcpu_set_cpuid(mirror->host, mirror->vcpu_fd, guest->cpuid, err) < 0)
		return -1;
	return set_entry(mirror, entry, err);
}

/* The vCPU's registers become ciphertext, and part of the guest's measurement. */
static int measure_vcpu(const struct mirror *mirror, const struct mirror_guest *guest, struct err *err)
{
	struct call_sev own;

	if (guest->sev != CONFIG_SEV_ES)
		return 0;
	own = *guest->launching;
	own.vm_fd = mirror->vm_fd;
	return call_sev_launch_update_vmsa(&own, err);
}

/* ---- life ---- */

int mirror_create(const struct mirror_guest *guest, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, struct mirror **ret_mirror, struct err *err)
{
	struct mirror *mirror;

	if (check_type(guest, err) < 0 || check_views(guest->memory, views, count, err) < 0)
		return -1;
	mirror = calloc(1, sizeof(*mirror));
	if (!mirror)
		return err_sys(err, ERR_FAILED, ENOMEM, "a mirror of the guest");
	*mirror = (struct mirror){
	        .host = guest->host, .vm_fd = -1, .vcpu_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
	if (call_kvm_run_size(guest->host, guest->kvm_fd, &mirror->run_size, err) < 0 ||
	        call_vm_create(guest->host, guest->kvm_fd, guest->vm_type, &mirror->vm_fd, err) < 0 ||
	        share_context(mirror, guest, err) < 0 || set_views(mirror, guest, views, count, err) < 0 ||
	        add_vcpu(mirror, guest, entry, err) < 0 || measure_vcpu(mirror, guest, err) < 0) {
		mirror_destroy(mirror);
		return err_wrap(err, "making a mirror of the guest");
	}
	*ret_mirror = mirror;
	return 0;
}

void mirror_destroy(struct mirror *mirror)
{
	if (!mirror)
		return;
	host_munmap(mirror->host, mirror->run, mirror->run_size);
	host_close(mirror->host, mirror->vcpu_fd);
	host_close(mirror->host, mirror->vm_fd);
	free(mirror);
}

/* ---- memory that comes later ---- */

int mirror_add_view(struct mirror *mirror, const struct mirror_view *view, void *at, struct err *err)
{
	unsigned count = atomic_load(&mirror->view_count);
	const struct mirror_view *last = &mirror->views[count - 1];
	uint64_t end = last->start.raw + last->size_bytes;

	if (count == MIRROR_VIEWS_MAX)
		return err_set(err, ERR_USAGE, "a mirror sees at most %u pieces of memory", MIRROR_VIEWS_MAX);
	return check_view(view, &end, err) < 0 ? -1 : set_view(mirror, view, at, err);
}

int mirror_take_view(struct mirror *mirror, struct err *err)
{
	unsigned last = atomic_load(&mirror->view_count) - 1;

	atomic_store(&mirror->view_count, last);
	return call_vm_set_memory(
	        mirror->host, mirror->vm_fd, last, mirror->views[last].start.raw, 0, NULL, err);
}

bool mirror_sees(const struct mirror *mirror, struct gpa start, uint64_t size_bytes)
{
	unsigned count = atomic_load(&mirror->view_count);

	for (unsigned i = 0; i < count; i++) {
		const struct mirror_view *view = &mirror->views[i];

		if (start.raw >= view->start.raw &&
		        range_fits(start.raw - view->start.raw, size_bytes, view->size_bytes))
			return true;
	}
	return false;
}

/* ---- running ---- */

static void set_running(struct mirror *mirror, bool running)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->thread = pthread_self();
	mirror->running = running;
	pthread_mutex_unlock(&mirror->lock);
}

/* Why the helper cannot go on. */
static int explain(const struct mirror *mirror, struct err *err)
{
	const struct kvm_run *run = mirror->run;

	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN: return err_set(err, ERR_FAILED, "the mirror's helper crashed");
	case KVM_EXIT_IO:
		return err_set(err, ERR_FAILED, "the mirror's helper used port 0x%x, and has no ports",
		        run->io.port);
	case KVM_EXIT_MMIO:
		return err_set(err, ERR_FAILED, "the mirror's helper used 0x%llx, where it has no memory",
		        (unsigned long long)run->mmio.phys_addr);
	default:
		return err_set(
		        err, ERR_FAILED, "the mirror's helper ended with exit %u of KVM", run->exit_reason);
	}
}

/*
 * A kick comes before KVM_RUN, during it, or after it. immediate_exit lets a KVM_RUN that begins later return
 * at once, the signal one that has begun. The flag is looked at after immediate_exit was cleared, so that no
 * kick is lost between the two.
 */
static int run_until_exit(struct mirror *mirror, enum mirror_exit *ret_exit, struct err *err)
{
	for (;;) {
		int result = call_vcpu_run(mirror->host, mirror->vcpu_fd, mirror->run, err);

		if (result < 0)
			return -1;
		if (result == 0 && mirror->run->exit_reason == KVM_EXIT_HLT) {
			*ret_exit = MIRROR_HALTED;
			return 0;
		}
		if (result == 0 && mirror->run->exit_reason != KVM_EXIT_INTR)
			return explain(mirror, err);
		__atomic_store_n(&mirror->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_exchange(&mirror->kicked, false)) {
			*ret_exit = MIRROR_KICKED;
			return 0;
		}
	}
}

int mirror_run(struct mirror *mirror, enum mirror_exit *ret_exit, struct err *err)
{
	int result;

	if (mirror->failed)
		return err_set(err, ERR_FAILED, "the mirror's helper has failed before");
	set_running(mirror, true);
	result = run_until_exit(mirror, ret_exit, err);
	set_running(mirror, false);
	mirror->failed = result < 0;
	return result;
}

void mirror_kick(struct mirror *mirror)
{
	atomic_store(&mirror->kicked, true);
	__atomic_store_n(&mirror->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&mirror->lock);
	if (mirror->running)
		pthread_kill(mirror->thread, SIGUSR1);
	pthread_mutex_unlock(&mirror->lock);
}

void mirror_forget_kick(struct mirror *mirror)
{
	atomic_store(&mirror->kicked, false);
	__atomic_store_n(&mirror->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}
