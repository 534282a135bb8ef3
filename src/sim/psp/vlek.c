/*
 * vlek: a key that belongs to a cloud provider instead of one chip, wrapped by AMD's key server for the chip;
 * here also the server's half. Any thread; the lock of the secure processor. SNP ABI, SNP_VLEK_LOAD.
 */
#include "internal.h"

uint32_t psp_snp_vlek_load(struct psp *psp, const void *wrapped, size_t size)
{
	return PSP_UNSUPPORTED;
}
