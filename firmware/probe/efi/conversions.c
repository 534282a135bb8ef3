/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversions: pages that the program shares with the hypervisor, and takes back, so that there is something
 * to see in what the hypervisor keeps of it. Firmware does that for drivers of devices: it changes its page
 * tables, and tells the hypervisor.
 */
#include "facts.h"

/*
 * EDK II keeps buffers of up to 2 MiB that it shares once and for all. Larger ones change hands when they are
 * mapped, as far as they are mapped. 4 MiB hold 2 MiB that begin at a multiple of 2 MiB, which firmware may
 * map as one page.
 */
#define BUFFER_PAGES 0x400u

/* How many pages of a buffer change hands, and how often. An odd number of turns leaves them shared. */
static const struct {
	size_t pages;
	unsigned turns;
} pieces[] = {{1, 1}, {1, 2}, {0x100, 1}, {0x100, 3}, {BUFFER_PAGES, 1}, {BUFFER_PAGES, 2}};

/* Returns how many turns were made. */
static unsigned turn(
        const struct guest *guest, EDKII_IOMMU_PROTOCOL *iommu, void *at, size_t pages, unsigned turns)
{
	size_t bytes = pages * EFI_SIZE_MINIMUM;
	uint64_t device;
	void *mapping;
	unsigned made;

	for (made = 0; made < turns; made++) {
		bool back = made % 2;

		if (back ? iommu->Unmap(iommu, mapping)
		         : iommu->Map(iommu, EdkiiIoMmuOperationBusMasterCommonBuffer64, at, &bytes, &device,
		                   &mapping))
			break;
		report_pages(guest, (uint64_t)at, pages * EFI_SIZE_MINIMUM, !back);
	}
	return made;
}

static void put_piece(const struct guest *guest, EDKII_IOMMU_PROTOCOL *iommu, size_t pages, unsigned turns)
{
	unsigned made;
	void *at;

	if (iommu->AllocateBuffer(iommu, AllocateAnyPages, EfiBootServicesData, BUFFER_PAGES, &at,
	            EDKII_IOMMU_ATTRIBUTE_DUAL_ADDRESS_CYCLE))
		return;
	made = turn(guest, iommu, at, pages, turns);
	print_open(NULL, '{');
	print_mask("gpa", (uint64_t)at);
	print_number("size-bytes", pages * EFI_SIZE_MINIMUM);
	print_number("turns", made);
	print_bool("shared", made % 2);
	print_close('}');
}

void facts_conversions(const struct guest *guest)
{
	static const EFI_GUID protocol = EDKII_IOMMU_PROTOCOL_GUID;
	void *iommu;

	if (!guest->sev_status || guest->system->BootServices->LocateProtocol(&protocol, NULL, &iommu)) {
		print_null("conversions");
		print_null("reports");
		return;
	}
	report_begin(guest);
	print_open("conversions", '[');
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		put_piece(guest, iommu, pieces[i].pages, pieces[i].turns);
	print_close(']');
	report_end();
}
