/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: loads OpenSSL when it is first needed, and wraps the few functions that several rooms need. Any
 * thread. libcrypto.S and libssl.S list the functions of its two libraries.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "vmm/base.h"

#define LIBRARY     "libcrypto.so.3"
#define LIBRARY_TLS "libssl.so.3"

extern void *crypto_slots[], *crypto_slots_end[], *crypto_tls_slots[], *crypto_tls_slots_end[];
extern const char crypto_names[], crypto_tls_names[];
void crypto_not_loaded(void);

struct library {
	const char *name;
	void **slots, **slots_end; /* a function each, in the order of its names */
	const char *names;
	pthread_once_t once;
	struct err err;
};

/* libssl.so.3 brings libcrypto.so.3 with it. Both are in Debian's libssl3. */
static struct library libcrypto = {
        LIBRARY, crypto_slots, crypto_slots_end, crypto_names, .once = PTHREAD_ONCE_INIT};
static struct library libssl = {
        LIBRARY_TLS, crypto_tls_slots, crypto_tls_slots_end, crypto_tls_names, .once = PTHREAD_ONCE_INIT};

/* This is a programming error, not bad input: a room did not call crypto_load() or crypto_load_tls(). */
void crypto_not_loaded(void)
{
	log_error("OpenSSL was called before it was loaded");
	abort();
}

static void fill(struct library *library)
{
	void *handle = dlopen(library->name, RTLD_NOW | RTLD_LOCAL);
	const char *name = library->names;

	if (!handle) {
		err_set(&library->err, ERR_HOST,
		        "OpenSSL 3 cannot be loaded (Debian: apt install libssl3): %s", dlerror());
		return;
	}
	for (void **slot = library->slots; slot < library->slots_end; slot++) {
		void *symbol = dlsym(handle, name);

		if (!symbol) {
			err_set(&library->err, ERR_HOST, "%s has no %s: OpenSSL 3.0 or newer is needed",
			        library->name, name);
			return;
		}
		*slot = symbol;
		name += strlen(name) + 1;
	}
}

static void fill_libcrypto(void)
{
	fill(&libcrypto);
}

static void fill_libssl(void)
{
	fill(&libssl);
}

static int load(struct library *library, void (*fn)(void), struct err *err)
{
	pthread_once(&library->once, fn);
	if (library->err.kind == ERR_NONE)
		return 0;
	if (err)
		*err = library->err;
	return -1;
}

int crypto_load(struct err *err)
{
	return load(&libcrypto, fill_libcrypto, err);
}

int crypto_load_tls(struct err *err)
{
	return crypto_load(err) < 0 ? -1 : load(&libssl, fill_libssl, err);
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
