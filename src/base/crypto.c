/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: loads libcrypto when it is first needed, and wraps the few functions that several rooms need. Any
 * thread. libcrypto.S lists the functions of libcrypto.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "vmm/base.h"

#define LIBRARY "libcrypto.so.3"

extern void *crypto_slots[], *crypto_slots_end[];
extern const char crypto_names[];
void crypto_not_loaded(void);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct err load_err;

/* This is a programming error, not bad input: a room did not call crypto_load(). */
void crypto_not_loaded(void)
{
	log_error("libcrypto was called before crypto_load()");
	abort();
}

static void load_once(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *name = crypto_names;

	if (!library) {
		err_set(&load_err, ERR_HOST, "OpenSSL 3 cannot be loaded (Debian: apt install libssl3): %s",
		        dlerror());
		return;
	}
	for (void **slot = crypto_slots; slot < crypto_slots_end; slot++) {
		void *symbol = dlsym(library, name);

		if (!symbol) {
			err_set(&load_err, ERR_HOST, LIBRARY " has no %s: OpenSSL 3.0 or newer is needed",
			        name);
			return;
		}
		*slot = symbol;
		name += strlen(name) + 1;
	}
}

int crypto_load(struct err *err)
{
	pthread_once(&once, load_once);
	if (load_err.kind == ERR_NONE)
		return 0;
	if (err)
		*err = load_err;
	return -1;
}

static void hash(const EVP_MD *md, const void *data, size_t size, uint8_t *ret_digest)
{
	/* Only a broken library fails here, and without a digest vmm cannot go on safely. */
	if (EVP_Digest(data, size, ret_digest, NULL, md, NULL) != 1)
		abort();
}

void hash_sha256(const void *data, size_t size, uint8_t ret_digest[static SHA256_BYTES])
{
	hash(EVP_sha256(), data, size, ret_digest);
}

void hash_sha384(const void *data, size_t size, uint8_t ret_digest[static SHA384_BYTES])
{
	hash(EVP_sha384(), data, size, ret_digest);
}

bool crypto_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

void crypto_wipe(void *secret, size_t size)
{
	explicit_bzero(secret, size);
}
