/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: sessions of TLS for moves. The main thread reads the files; the thread of the move has the session.
 * Law: RFC 8446; ssl(7).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls.h"

#define FAULT_MAX 200

struct migrate_tls {
	SSL_CTX *context;
	BIO_METHOD *method; /* of the sockets of all sessions */
};

struct migrate_session {
	SSL *ssl;
	struct migrate_peer peer;
	bool agreed, broken; /* broken: nothing can be sent or received any more */
	char fault[FAULT_MAX];
};

/* ---- the socket: OpenSSL's own calls would wait, and raise SIGPIPE ---- */

static int on_write(BIO *bio, const char *data, int size)
{
	const struct migrate_session *session = BIO_get_data(bio);
	ssize_t sent = send(session->peer.fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)sent;
}

static int on_read(BIO *bio, char *data, int size)
{
	const struct migrate_session *session = BIO_get_data(bio);
	bool cancelled = atomic_load_explicit(session->peer.cancelled, memory_order_acquire);
	ssize_t got = cancelled ? -1 : recv(session->peer.fd, data, (size_t)size, MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	/* OpenSSL reads on by itself while records come that hold no data. */
	if (cancelled)
		errno = EAGAIN;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)got;
}

static long on_control(BIO *bio, int command, long number, void *p)
{
	return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

static bool make_method(struct migrate_tls *tls)
{
	tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "the other vmm");
	return tls->method && BIO_meth_set_write(tls->method, on_write) == 1 &&
	       BIO_meth_set_read(tls->method, on_read) == 1 &&
	       BIO_meth_set_ctrl(tls->method, on_control) == 1;
}

/* The session's end frees the BIO. */
static bool add_socket(struct migrate_tls *tls, struct migrate_session *session)
{
	BIO *bio = BIO_new(tls->method);

	if (!bio)
		return false;
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	return true;
}

/* ---- the files ---- */

/* What OpenSSL says is wrong; what it said of older things is forgotten. */
static const char *openssl_reason(void)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return reason ?: "no reason is given";
}

static int unfit(struct err *err, const char *key, const char *path)
{
	return err_set(err, ERR_USAGE, "%s: %s does not serve: %s", key, path, openssl_reason());
}

/* Nobody is there to be asked for the password of a key. */
static int no_password(char *password, int size, int writes, void *ctx)
{
	return -1;
}

static int read_files(SSL_CTX *context, const struct migrate_tls_files *files, struct err *err)
{
	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (SSL_CTX_load_verify_file(context, files->authority) != 1)
		return unfit(err, "migrate.tls-authority", files->authority);
	if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
		return unfit(err, "migrate.tls-certificate", files->certificate);
	if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1 ||
	        SSL_CTX_check_private_key(context) != 1)
		return unfit(err, "migrate.tls-key", files->key);
	return 0;
}

int migrate_tls_create(const struct migrate_tls_files *files, struct migrate_tls **ret_tls, struct err *err)
{
	struct migrate_tls *tls;

	*ret_tls = NULL;
	if (!*files->authority)
		return 0;
	if (crypto_load_tls(err) < 0)
		return -1;
	tls = calloc(1, sizeof(*tls));
	if (tls)
		tls->context = SSL_CTX_new(TLS_method());
	if (!tls || !tls->context || !make_method(tls) ||
	        SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION) != 1) {
		migrate_tls_destroy(tls);
		return err_sys(err, ERR_FAILED, ENOMEM, "TLS");
	}
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_num_tickets(tls->context, 0); /* no session is resumed */
	if (read_files(tls->context, files, err) < 0) {
		migrate_tls_destroy(tls);
		return -1;
	}
	*ret_tls = tls;
	return 0;
}

void migrate_tls_destroy(struct migrate_tls *tls)
{
	if (!tls)
		return;
	if (tls->context)
		SSL_CTX_free(tls->context);
	if (tls->method)
		BIO_meth_free(tls->method);
	free(tls);
}

/* ---- a session ---- */

int migrate_session_begin(struct migrate_tls *tls, const struct migrate_peer *peer,
        struct migrate_session **ret_session, struct err *err)
{
	struct migrate_session *session = calloc(1, sizeof(*session));

	if (session) {
		session->peer = *peer;
		session->ssl = SSL_new(tls->context);
	}
	if (!session || !session->ssl || !add_socket(tls, session) ||
	        (*peer->name && SSL_set1_host(session->ssl, peer->name) != 1)) {
		migrate_session_end(session);
		return err_sys(err, ERR_FAILED, ENOMEM, "TLS");
	}
	*ret_session = session;
	return 0;
}

void migrate_session_end(struct migrate_session *session)
{
	if (!session)
		return;
	/* As far as the socket takes it at once. */
	if (session->agreed && !session->broken && SSL_shutdown(session->ssl) < 0)
		ERR_clear_error();
	if (session->ssl)
		SSL_free(session->ssl);
	free(session);
}

/*
 * What a call that returned result makes of errno, as recv(2) and send(2) set it. *ret_event: what to wait
 * for.
 */
static void explain(struct migrate_session *session, int result, short *ret_event)
{
	long verdict = SSL_get_verify_result(session->ssl);
	int sys = errno;

	*ret_event = POLLIN;
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_WRITE:
		*ret_event = POLLOUT;
		errno = EAGAIN;
		break;
	case SSL_ERROR_WANT_READ: errno = EAGAIN; break;
	case SSL_ERROR_ZERO_RETURN: errno = ECONNRESET; break;
	case SSL_ERROR_SYSCALL: errno = sys ?: ECONNRESET; break;
	default:
		errno = EPROTO;
		if (verdict != X509_V_OK)
			snprintf(session->fault, sizeof(session->fault),
			        "its certificate is not accepted: %s",
			        X509_verify_cert_error_string(verdict));
		else
			snprintf(session->fault, sizeof(session->fault), "%s", openssl_reason());
		break;
	}
	session->broken = errno != EAGAIN;
	ERR_clear_error();
}

/* What OpenSSL says of a call counts only if nothing was left by an older one (SSL_get_error(3)). */
static void begin_call(void)
{
	ERR_clear_error();
	errno = 0;
}

int migrate_session_agree(struct migrate_session *session, struct err *err)
{
	int result;
	short event;

	begin_call();
	result = session->peer.accepts ? SSL_accept(session->ssl) : SSL_connect(session->ssl);
	session->agreed = result == 1;
	if (session->agreed)
		return 0;
	explain(session, result, &event);
	if (errno == EAGAIN)
		return event;
	if (errno == EPROTO)
		return migrate_session_fault(session, err);
	return err_set(err, ERR_FAILED, "the other vmm ended the connection instead of agreeing on TLS");
}

ssize_t migrate_session_receive(struct migrate_session *session, void *data, size_t size)
{
	short event;
	int result;

	begin_call();
	result = SSL_read(session->ssl, data, (int)size);
	if (result > 0)
		return result;
	explain(session, result, &event);
	return -1;
}

ssize_t migrate_session_send(struct migrate_session *session, const void *data, size_t size)
{
	short event;
	int result;

	begin_call();
	result = SSL_write(session->ssl, data, (int)size);
	if (result > 0)
		return result;
	explain(session, result, &event);
	return -1;
}

int migrate_session_fault(const struct migrate_session *session, struct err *err)
{
	return err_set(err, ERR_FAILED, "TLS with the other vmm: %s", session->fault);
}
