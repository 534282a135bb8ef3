/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of OpenSSL's libcrypto that the tree calls. Linking libcrypto the plain way would load and
 * relocate it at every start, also of a guest that needs no cryptography.
 */
#include "lazy.inc"

	lazy_begin crypto

	/* Sorted. Add a line, use the function. */
	lazy ASN1_OBJECT_free
	lazy ASN1_STRING_get0_data
	lazy ASN1_STRING_length
	lazy ASN1_TIME_to_tm
	lazy BIO_clear_flags
	lazy BIO_free
	lazy BIO_get_data
	lazy BIO_get_new_index
	lazy BIO_meth_free
	lazy BIO_meth_new
	lazy BIO_meth_set_ctrl
	lazy BIO_meth_set_read
	lazy BIO_meth_set_write
	lazy BIO_new
	lazy BIO_new_mem_buf
	lazy BIO_set_data
	lazy BIO_set_flags
	lazy BIO_set_init
	lazy BN_CTX_free
	lazy BN_CTX_new
	lazy BN_add
	lazy BN_add_word
	lazy BN_bin2bn
	lazy BN_bn2binpad
	lazy BN_bn2lebinpad
	lazy BN_clear_free
	lazy BN_cmp
	lazy BN_copy
	lazy BN_free
	lazy BN_is_odd
	lazy BN_is_zero
	lazy BN_lebin2bn
	lazy BN_mod_add
	lazy BN_mod_exp
	lazy BN_mod_inverse
	lazy BN_mod_mul
	lazy BN_mod_sub
	lazy BN_mul
	lazy BN_new
	lazy BN_nnmod
	lazy BN_set_flags
	lazy BN_set_word
	lazy BN_sub_word
	lazy CRYPTO_free
	lazy CRYPTO_memcmp
	lazy ECDSA_SIG_free
	lazy ECDSA_SIG_get0
	lazy ECDSA_SIG_new
	lazy ECDSA_SIG_set0
	lazy EC_GROUP_free
	lazy EC_GROUP_get0_order
	lazy EC_GROUP_new_by_curve_name
	lazy EC_POINT_clear_free
	lazy EC_POINT_free
	lazy EC_POINT_get_affine_coordinates
	lazy EC_POINT_mul
	lazy EC_POINT_new
	lazy EC_POINT_set_affine_coordinates
	lazy ERR_clear_error
	lazy ERR_get_error
	lazy ERR_reason_error_string
	lazy EVP_CIPHER_CTX_ctrl
	lazy EVP_CIPHER_CTX_free
	lazy EVP_CIPHER_CTX_new
	lazy EVP_CIPHER_CTX_set_padding
	lazy EVP_CIPHER_fetch
	lazy EVP_CIPHER_free
	lazy EVP_CipherFinal_ex
	lazy EVP_CipherInit_ex
	lazy EVP_CipherUpdate
	lazy EVP_DecodeBlock
	lazy EVP_Digest
	lazy EVP_DigestFinal_ex
	lazy EVP_DigestInit_ex
	lazy EVP_DigestSign
	lazy EVP_DigestSignInit
	lazy EVP_DigestUpdate
	lazy EVP_DigestVerify
	lazy EVP_DigestVerifyInit
	lazy EVP_EncodeBlock
	lazy EVP_EncryptInit_ex
	lazy EVP_EncryptUpdate
	lazy EVP_MAC_CTX_free
	lazy EVP_MAC_CTX_new
	lazy EVP_MAC_fetch
	lazy EVP_MAC_final
	lazy EVP_MAC_free
	lazy EVP_MAC_init
	lazy EVP_MAC_update
	lazy EVP_MD_CTX_copy_ex
	lazy EVP_MD_CTX_free
	lazy EVP_MD_CTX_new
	lazy EVP_MD_fetch
	lazy EVP_MD_free
	lazy EVP_PKEY_CTX_free
	lazy EVP_PKEY_CTX_new_from_name
	lazy EVP_PKEY_CTX_new_from_pkey
	lazy EVP_PKEY_CTX_set_rsa_padding
	lazy EVP_PKEY_CTX_set_rsa_pss_saltlen
	lazy EVP_PKEY_Q_keygen
	lazy EVP_PKEY_derive
	lazy EVP_PKEY_derive_init
	lazy EVP_PKEY_derive_set_peer
	lazy EVP_PKEY_free
	lazy EVP_PKEY_fromdata
	lazy EVP_PKEY_fromdata_init
	lazy EVP_PKEY_get_bits
	lazy EVP_PKEY_get_group_name
	lazy EVP_PKEY_get_octet_string_param
	lazy EVP_PKEY_is_a
	lazy EVP_PKEY_set_utf8_string_param
	lazy EVP_aes_128_ctr
	lazy EVP_sha1
	lazy EVP_sha256
	lazy EVP_sha384
	lazy OBJ_txt2obj
	lazy OPENSSL_sk_free
	lazy OPENSSL_sk_new_null
	lazy OPENSSL_sk_push
	lazy OSSL_PARAM_construct_BN
	lazy OSSL_PARAM_construct_end
	lazy OSSL_PARAM_construct_octet_string
	lazy OSSL_PARAM_construct_utf8_string
	lazy PEM_read_bio_PrivateKey
	lazy RAND_bytes
	lazy RAND_priv_bytes
	lazy X509_EXTENSION_get_data
	lazy X509_NAME_cmp
	lazy X509_NAME_get_text_by_NID
	lazy X509_STORE_CTX_free
	lazy X509_STORE_CTX_get_error
	lazy X509_STORE_CTX_get_error_depth
	lazy X509_STORE_CTX_get_ex_data
	lazy X509_STORE_CTX_init
	lazy X509_STORE_CTX_new
	lazy X509_STORE_CTX_set_ex_data
	lazy X509_STORE_CTX_set_flags
	lazy X509_STORE_CTX_set_verify_cb
	lazy X509_STORE_add_cert
	lazy X509_STORE_free
	lazy X509_STORE_new
	lazy X509_check_ca
	lazy X509_cmp
	lazy X509_cmp_time
	lazy X509_free
	lazy X509_get0_notAfter
	lazy X509_get0_notBefore
	lazy X509_get0_pubkey
	lazy X509_get_ext
	lazy X509_get_ext_by_OBJ
	lazy X509_get_issuer_name
	lazy X509_get_key_usage
	lazy X509_get_signature_info
	lazy X509_get_signature_nid
	lazy X509_get_subject_name
	lazy X509_verify
	lazy X509_verify_cert
	lazy X509_verify_cert_error_string
	lazy d2i_ECDSA_SIG
	lazy d2i_X509
	lazy i2d_ECDSA_SIG
	lazy i2d_PUBKEY
	lazy i2d_X509

	lazy_end crypto

	/*
	 * What dpkg-shlibdeps cannot see is told to packagers: the ELF note of libraries that are loaded by name
	 * (UAPI group, "dlopen() Metadata for ELF Files"). The names are those of crypto.c,
	 * launch/volume.c, back/nbd_library.c, sandbox/library.c and cli/ctl_edit.c.
	 */
	.section .note.dlopen, "a", @note
	.balign 4
	.long .Lnote_text - .Lnote_owner
	.long .Lnote_end - .Lnote_text
	.long 0x407c0c0a
.Lnote_owner:
	.asciz "FDO"
.Lnote_text:
	.ascii "[{\"soname\":[\"libcrypto.so.3\"],\"feature\":\"crypto\",\"priority\":\"required\","
	.ascii "\"description\":\"measuring, attesting and launching confidential guests\"},"
	.ascii "{\"soname\":[\"libssl.so.3\"],\"feature\":\"tls\",\"priority\":\"suggested\","
	.ascii "\"description\":\"moving guests over encrypted connections\"},"
	.ascii "{\"soname\":[\"liblzma.so.5\"],\"feature\":\"warnings\",\"priority\":\"suggested\","
	.ascii "\"description\":\"looking into firmware images, to warn of those that cannot work\"},"
	.ascii "{\"soname\":[\"libnbd.so.0\"],\"feature\":\"nbd\",\"priority\":\"suggested\","
	.ascii "\"description\":\"disks that a server of the NBD protocol has\"},"
	.ascii "{\"soname\":[\"libseccomp.so.2\"],\"feature\":\"sandbox\",\"priority\":\"required\","
	.ascii "\"description\":\"holding the threads of a running guest to lists of system calls\"},"
	.ascii "{\"soname\":[\"libedit.so.2\"],\"feature\":\"prompt\",\"priority\":\"suggested\","
	.asciz "\"description\":\"editing and completing lines at the prompt of ctl\"}]"
.Lnote_end:
	.balign 4
