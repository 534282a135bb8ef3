/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem: guest_memfd, and which pages are private. The pages are memory of the platform, which costs nothing
 * until it is touched. Pages that the VMM may map belong to a file as well. Any thread may call; slots and
 * attributes change with kvm_vm.lock held. Law: api.rst, KVM_CREATE_GUEST_MEMFD, KVM_SET_MEMORY_ATTRIBUTES,
 * KVM_PRE_FAULT_MEMORY; Linux's virt/kvm/guest_memfd.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "gmem.h"
#include "hooks.h"

#define PAGES_OF(bytes) ((bytes) / PAGE_SIZE_BYTES)
#define WORDS_OF(pages) (((pages) + 63) / 64)
#define ADDRESSES_PAGES PAGES_OF(UINT64_C(1) << KVM_PHYS_BITS)
/*
 * KVM has no huge pages of a guest_memfd, and MADV_COLLAPSE fails on one. Linux would collapse the pages of
 * the file that stands in for it, unless they are one page off: where the address is aligned to a huge page,
 * the offset in the file is not.
 */
#define GMEM_MAP_OFFSET  PAGE_SIZE_BYTES
#define ATTRIBUTES_BYTES (WORDS_OF(ADDRESSES_PAGES) * sizeof(uint64_t))

/* Reserves memory that costs nothing until it is touched. Returns NULL with errno if it fails. */
static void *reserve(uint64_t size)
{
	void *p =
	        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static uint64_t rmp_bytes(const struct kvm_gmem *gmem)
{
	return PAGES_OF(gmem->size) * sizeof(gmem->rmp[0]);
}

/* Words that are right already are not touched, because an untouched page costs no memory. */
static void bits_change(_Atomic uint64_t *bits, uint64_t n, uint64_t end, bool value)
{
	const uint64_t word = value ? UINT64_MAX : 0;

	while (n < end) {
		bool whole = n % 64 == 0 && end - n >= 64;

		if (whole && atomic_load_explicit(&bits[n / 64], memory_order_relaxed) != word)
			atomic_store(&bits[n / 64], word);
		else if (!whole && value)
			atomic_fetch_or(&bits[n / 64], UINT64_C(1) << n % 64);
		else if (!whole)
			atomic_fetch_and(&bits[n / 64], ~(UINT64_C(1) << n % 64));
		n += whole ? 64 : 1;
	}
}

/* ---- the descriptor ---- */

static void gmem_free(struct kvm_gmem *gmem)
{
	if (gmem->pages)
		munmap(gmem->pages, gmem->size);
	if (gmem->rmp)
		munmap((void *)(uintptr_t)gmem->rmp, rmp_bytes(gmem));
	if (gmem->map_fd >= 0)
		close(gmem->map_fd);
	free(gmem);
}

/*
 * Takes the guest_memfd out of the slots that use it, which then have no private memory. In the kernel, pages
 * that the VMM mapped live on while they are mapped. Here such a slot goes on with the VMM's memory at the
 * slot's address, which is that mapping.
 */
static void gmem_end(struct object *object)
{
	struct kvm_gmem *gmem = (struct kvm_gmem *)object;
	struct kvm_vm *vm = gmem->vm;

	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		if (vm->slots[i].gmem == gmem)
			vm->slots[i].gmem = NULL;
	}
	if (kvm_vm_map_publish(vm) < 0)
		log_error("software platform: no memory for a new map of slots, so the pages of a closed "
		          "guest_memfd stay allocated");
	else
		gmem_free(gmem);
	pthread_mutex_unlock(&vm->lock);
	kvm_vm_unref(vm);
}

/*
 * Linux's kvm_gmem_mmap(). The file of private pages is empty, so touching its mapping gives SIGBUS, as
 * touching a private page does.
 */
static int gmem_map(struct object *object, int fd, size_t length, int prot, int flags, off_t *offset)
{
	const struct kvm_gmem *gmem = (struct kvm_gmem *)object;

	if (prot & PROT_EXEC)
		return -EPERM;
	if (!(gmem->flags & UAPI_GUEST_MEMFD_MMAP))
		return -ENODEV;
	if (!(flags & MAP_SHARED))
		return -EINVAL;
	if (*offset < 0 || !add_ok(*offset, (off_t)GMEM_MAP_OFFSET, offset))
		return -EOVERFLOW;
	return gmem->map_fd;
}

/* Makes pages the host's again. An entry that nobody touched costs nothing afterwards, either. */
static void disown(struct kvm_gmem *gmem, uint64_t page, uint64_t end)
{
	const uint64_t unit = PAGE_SIZE_BYTES / sizeof(gmem->rmp[0]);
	uint64_t whole;

	while (page < end && page % unit)
		atomic_store(&gmem->rmp[page++], 0);
	whole = page < end ? (end - page) / unit * unit : 0;
	if (whole && madvise((void *)(uintptr_t)&gmem->rmp[page], whole * sizeof(gmem->rmp[0]),
	                     MADV_DONTNEED) == 0)
		page += whole;
	while (page < end)
		atomic_store(&gmem->rmp[page++], 0);
}

/* Lets the vCPUs see whether their VMSAs are still there. */
static void look_again(struct kvm_vm *vm)
{
	struct kvm_vcpu *v;

	pthread_mutex_lock(&vm->irq_lock);
	for (unsigned i = 0; (v = kvm_vm_vcpu(vm, i)); i++)
		kvm_vcpu_request(v, KVM_REQUEST_VMSA_RELOAD);
	pthread_mutex_unlock(&vm->irq_lock);
}

/*
 * As with the kernel, punching a hole behind the end has no effect. Processors forget the pages before their
 * bytes go, since a page that one of them has in its TLB would still be written; and until the bytes are gone
 * a processor that comes back to such a page waits.
 */
static int punch(struct kvm_gmem *gmem, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length < gmem->size ? offset + length : gmem->size;
	int result;

	if (offset >= end)
		return 0;
	atomic_store(&gmem->hole_start, offset);
	atomic_store(&gmem->hole_end, end);
	result = kvm_vm_has_private_memory(gmem->vm) ? kvm_vm_map_publish(gmem->vm) : 0;
	if (result == 0) {
		disown(gmem, PAGES_OF(offset), PAGES_OF(end));
		look_again(gmem->vm);
		if (madvise(gmem->pages + offset, end - offset,
		            gmem->flags & UAPI_GUEST_MEMFD_INIT_SHARED ? MADV_REMOVE : MADV_DONTNEED) < 0)
			result = -errno;
	}
	atomic_store(&gmem->hole_end, 0);
	return result;
}

/* The checks are in the order of Linux's vfs_fallocate(), then kvm_gmem_fallocate(). */
static int gmem_fallocate(struct object *object, int mode, off_t offset, off_t length)
{
	struct kvm_gmem *gmem = (struct kvm_gmem *)object;
	off_t end;
	int result = 0;

	if (offset < 0 || length <= 0)
		return -EINVAL;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!add_ok(offset, length, &end))
		return -EFBIG;
	if (!is_aligned((uint64_t)offset | (uint64_t)length, PAGE_SIZE_BYTES))
		return -EINVAL;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		pthread_mutex_lock(&gmem->vm->lock);
		result = punch(gmem, (uint64_t)offset, (uint64_t)length);
		pthread_mutex_unlock(&gmem->vm->lock);
	} else if ((uint64_t)end > gmem->size) {
		result = -EINVAL;
	}
	return result;
}

static int gmem_ioctl(struct object *object, unsigned long request, uintptr_t user)
{
	return atomic_load(&((struct kvm_gmem *)object)->vm->dead) ? -EIO : -ENOTTY;
}

static const struct object_ops gmem_ops = {
        .ioctl = gmem_ioctl,
        .map = gmem_map,
        .fallocate = gmem_fallocate,
        .end = gmem_end,
};

uint64_t kvm_vm_gmem_flags(const struct kvm_vm *vm)
{
	bool private = vm && kvm_vm_has_private_memory(vm);

	return UAPI_GUEST_MEMFD_MMAP | (private ? 0 : UAPI_GUEST_MEMFD_INIT_SHARED);
}

/*
 * These pages, which a real processor encrypts, are plain text here. So they are kept out of core dumps and
 * out of what a child of fork() gets.
 */
static uint8_t *private_pages(uint64_t size)
{
	void *p = reserve(size);

	if (p) {
		madvise(p, size, MADV_DONTDUMP);
		madvise(p, size, MADV_DONTFORK);
	}
	return p;
}

/* Shared pages are those of the file that the VMM maps. Private pages have no file. */
static uint8_t *gmem_pages(const struct kvm_gmem *gmem)
{
	off_t bytes;
	void *p;

	if (!(gmem->flags & UAPI_GUEST_MEMFD_INIT_SHARED))
		return private_pages(gmem->size);
	if (!add_ok(gmem->size, GMEM_MAP_OFFSET, &bytes) || ftruncate(gmem->map_fd, bytes) < 0)
		return NULL;
	p = mmap(NULL, gmem->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, gmem->map_fd,
	        GMEM_MAP_OFFSET);
	return p == MAP_FAILED ? NULL : p;
}

static bool gmem_fill(struct kvm_gmem *gmem)
{
	gmem->map_fd = memfd_create("sim-gmem-pages", MFD_CLOEXEC);
	if (gmem->map_fd < 0)
		return false;
	gmem->pages = gmem_pages(gmem);
	gmem->rmp = reserve(rmp_bytes(gmem));
	return gmem->pages && gmem->rmp;
}

static int gmem_make(struct kvm_vm *vm, uint64_t size, uint64_t flags)
{
	struct kvm_gmem *gmem = calloc(1, sizeof(*gmem));
	int fd;

	if (!gmem)
		return -ENOMEM;
	*gmem = (struct kvm_gmem){
	        .object.ops = &gmem_ops, .vm = vm, .size = size, .flags = flags, .map_fd = -1};
	kvm_vm_ref(vm);
	fd = gmem_fill(gmem) ? object_fd("sim-gmem", size) : -ENOMEM;
	if (fd >= 0)
		return object_open(vm->platform->objects, &gmem->object, fd);
	gmem_free(gmem);
	kvm_vm_unref(vm);
	return fd;
}

int kvm_vm_create_gmem(void *object, void *arg, uintptr_t user)
{
	const struct uapi_create_guest_memfd *create = arg;

	if (create->flags & ~kvm_vm_gmem_flags(object) || create->size == 0 || create->size > INT64_MAX ||
	        !is_aligned(create->size, PAGE_SIZE_BYTES))
		return -EINVAL;
	return gmem_make(object, create->size, create->flags);
}

/*
 * KVM takes a page of such a slot from the file, whatever the VMM has at the slot's address. Here that
 * differs for two kinds of guests. The pages of a guest with memory encryption are known by their place in
 * the VMM, so the VMM must have mapped the file at the slot's address. In a VM of SEV-SNP a shared access to
 * such a slot leads nowhere; the kernel would make the page private.
 */
uint8_t *kvm_gmem_slot_host(const struct kvm_vm *vm, const struct kvm_slot *row)
{
	if (row->gmem && row->gmem->flags & UAPI_GUEST_MEMFD_MMAP && !vm->encrypted &&
	        (vm->type == UAPI_VM_DEFAULT || vm->type == UAPI_VM_SW_PROTECTED))
		return row->gmem->pages + row->region.guest_memfd_offset;
	return (uint8_t *)(uintptr_t)row->region.userspace_addr;
}

static bool bound_twice(const struct kvm_vm *vm, const struct kvm_slot *row, const struct kvm_gmem *gmem)
{
	uint64_t start = row->region.guest_memfd_offset, end = start + row->region.memory_size;

	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		const struct kvm_slot *other = &vm->slots[i];
		uint64_t other_start = other->region.guest_memfd_offset;

		if (other != row && other->gmem == gmem && other_start < end &&
		        start < other_start + other->region.memory_size)
			return true;
	}
	return false;
}

struct kvm_gmem *kvm_gmem_hold(struct kvm_vm *vm, int fd)
{
	return (struct kvm_gmem *)object_hold(vm->platform->objects, fd, &gmem_ops);
}

void kvm_gmem_leave(struct kvm_gmem *gmem)
{
	if (gmem)
		object_leave(gmem->vm->platform->objects, &gmem->object);
}

int kvm_gmem_bind(struct kvm_vm *vm, struct kvm_slot *row, struct kvm_gmem *gmem)
{
	const struct uapi_userspace_memory_region2 *r = &row->region;

	if (fcntl((int)r->guest_memfd, F_GETFD) < 0)
		return -EBADF;
	if (!gmem || gmem->vm != vm || !range_fits(r->guest_memfd_offset, r->memory_size, gmem->size))
		return -EINVAL;
	if (bound_twice(vm, row, gmem))
		return -EEXIST;
	row->gmem = gmem;
	return 0;
}

/* ---- attributes ---- */

int kvm_vm_attributes_init(struct kvm_vm *vm)
{
	vm->private = reserve(ATTRIBUTES_BYTES);
	return vm->private ? 0 : -errno;
}

void kvm_vm_attributes_finish(struct kvm_vm *vm)
{
	if (vm->private)
		munmap((void *)(uintptr_t)vm->private, ATTRIBUTES_BYTES);
}

bool kvm_vm_page_is_private(const struct kvm_vm *vm, uint64_t gpa)
{
	uint64_t page = PAGES_OF(gpa);

	return vm->private && page < ADDRESSES_PAGES && atomic_load(&vm->private[page / 64]) >> page % 64 & 1;
}

/* Nothing can be mapped beyond the end of addresses, so no attributes are kept there. */
static void attributes_change(struct kvm_vm *vm, uint64_t first, uint64_t count, bool private)
{
	uint64_t end = first + count < ADDRESSES_PAGES ? first + count : ADDRESSES_PAGES;

	bits_change(vm->private, first, end, private);
}

int kvm_vm_set_attributes(void *object, void *arg, uintptr_t user)
{
	const struct uapi_memory_attributes *a = arg;
	struct kvm_vm *vm = object;
	uint64_t end;
	int result;

	if (a->flags || a->attributes & ~(vm->private ? UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0))
		return -EINVAL;
	if (a->size == 0 || !add_ok(a->address, a->size, &end))
		return -EINVAL;
	if (!is_aligned(a->address | a->size, PAGE_SIZE_BYTES))
		return -EINVAL;
	if (!vm->private)
		return 0;
	pthread_mutex_lock(&vm->lock);
	attributes_change(vm, PAGES_OF(a->address), PAGES_OF(a->size), a->attributes);
	result = kvm_vm_map_publish(vm);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

/* ---- guests whose private pages nothing encrypts ---- */

/* The attribute alone says whether a page is private. Law: Linux's kvm_mmu_page_fault(). */
static enum cpu_view soft_view(
        void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write, uint8_t **ret_host)
{
	const struct kvm_vm *vm = ((const struct kvm_vcpu *)ctx)->vm;

	*ret_host = slot ? slot->host + (gpa - slot->gpa) : NULL;
	if (!kvm_vm_page_is_private(vm, gpa))
		return CPU_VIEW_GOOD;
	if (!slot || !slot->gmem)
		return CPU_VIEW_WRONG_KIND;
	*ret_host = slot->gmem->pages + slot->gmem_offset + (gpa - slot->gpa);
	return CPU_VIEW_GOOD;
}

static void soft_view_end(void *ctx)
{
}

void kvm_vm_protect_by_software(struct kvm_vm *vm)
{
	vm->bus.view = soft_view;
	vm->bus.view_end = soft_view_end;
	vm->bus.viewed = true;
	atomic_store(&vm->may_prefault, true);
}

/* ---- prefaulting ---- */

/* Does what a fault would do: a private page becomes the guest's. Other pages need nothing. */
static int prefault_page(struct kvm_vm *vm, uint64_t gpa)
{
	struct kvm_slot *row = kvm_vm_memory_slot(vm, gpa);

	if (!row)
		return -ENOENT;
	if (kvm_vm_page_is_private(vm, gpa)) {
		if (!row->gmem)
			return -EFAULT;
		vm->platform->hooks->gmem_prepare(
		        row->gmem, row->region.guest_memfd_offset + (gpa - row->region.guest_phys_addr), gpa);
	}
	return 0;
}

/* Prefaults the pages of the range one after another, and shortens the range to what is left. */
static int prefault(struct kvm_vm *vm, struct uapi_pre_fault_memory *range)
{
	uint64_t end;
	int result;

	if (range->flags || !is_aligned(range->gpa | range->size, PAGE_SIZE_BYTES) ||
	        !add_ok(range->gpa, range->size, &end) || end <= range->gpa)
		return -EINVAL;
	if (kvm_vm_has_private_memory(vm) && !atomic_load(&vm->may_prefault))
		return -EOPNOTSUPP;
	for (; range->size; range->gpa += PAGE_SIZE_BYTES, range->size -= PAGE_SIZE_BYTES) {
		result = prefault_page(vm, range->gpa);
		if (result < 0)
			return result;
	}
	return 0;
}

/* The VMM always gets back what is left of the range. The call succeeds if at least one page was done. */
int kvm_vcpu_prefault(void *object, void *arg, uintptr_t user)
{
	struct uapi_pre_fault_memory *range = arg;
	struct kvm_vm *vm = ((struct kvm_vcpu *)object)->vm;
	uint64_t start = range->gpa;
	int result;

	pthread_mutex_lock(&vm->lock);
	result = prefault(vm, range);
	pthread_mutex_unlock(&vm->lock);
	if (object_copy_out(user, range, sizeof(*range)) < 0)
		return -EFAULT;
	return range->gpa == start ? result : 0;
}
