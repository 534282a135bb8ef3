/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of OpenSSL's libssl that the tree calls. Only moves of a guest over TLS need it. */
#include "lazy.inc"

	lazy_begin crypto_tls

	/* Sorted. Add a line, use the function. */
	lazy SSL_CTX_check_private_key
	lazy SSL_CTX_ctrl
	lazy SSL_CTX_free
	lazy SSL_CTX_load_verify_file
	lazy SSL_CTX_new
	lazy SSL_CTX_set_default_passwd_cb
	lazy SSL_CTX_set_num_tickets
	lazy SSL_CTX_set_verify
	lazy SSL_CTX_use_PrivateKey_file
	lazy SSL_CTX_use_certificate_chain_file
	lazy SSL_accept
	lazy SSL_connect
	lazy SSL_ctrl
	lazy SSL_free
	lazy SSL_get_error
	lazy SSL_get_verify_result
	lazy SSL_new
	lazy SSL_read
	lazy SSL_set1_host
	lazy SSL_set_bio
	lazy SSL_shutdown
	lazy SSL_write
	lazy TLS_method

	lazy_end crypto_tls
