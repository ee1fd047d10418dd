/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS by OpenSSL, below libevent's connections: 1.2 and 1.3, no renegotiation, no compression.
 *
 * Happy path: certificate and key are read once, and each connection shakes hands before its first
 * head. Failure modes: a file is missing, is no PEM, belongs to another key, has a passphrase that
 * nobody could type, or may be read by others: refused with its name; whoever does not shake hands
 * has the time of a head to do it in, and is one of those that make room for others.
 */
#include "http/tls.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/alloc.h"

struct http_tls {
	SSL_CTX *context;
};

bool tls_is_built(void)
{
	return true;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* What OpenSSL has to say of a call that failed, without what may be quoted from a file. */
static const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return reason ? reason : "it cannot be read";
}

static tide_status tls_check_file(const char *path, bool is_secret, struct tide_error *err)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) != 0) {
		int code = errno;
		if (fd >= 0)
			close(fd);
		return tide_fail(err, code == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%.300s': %s",
				 path, strerror(code));
	}
	close(fd);
	if (!S_ISREG(status.st_mode))
		return tide_fail(err, TIDE_ARGUMENT, "'%.300s' is no file", path);
	if (is_secret && (status.st_mode & 007))
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.300s' has mode %04o: others may not read a key", path,
				 (unsigned)status.st_mode & 07777);
	return TIDE_OK;
}

/* Nobody is there to type it. */
static int tls_no_passphrase(char *text, int size, int is_writing, void *self)
{
	(void)text;
	(void)size;
	(void)is_writing;
	*(bool *)self = true;
	return 0;
}

static tide_status tls_read_key(SSL_CTX *context, const char *path, struct tide_error *err)
{
	bool has_passphrase = false;
	SSL_CTX_set_default_passwd_cb(context, tls_no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &has_passphrase);
	bool is_read = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1;
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (is_read)
		return TIDE_OK;

	const char *reason = tls_reason();
	return tide_fail(err, TIDE_ARGUMENT, "'%.300s' is no private key in PEM: %s", path,
			 has_passphrase ? "it has a passphrase, which nobody could type" : reason);
}

static tide_status tls_read(SSL_CTX *context, const char *certificate, const char *key,
			    struct tide_error *err)
{
	tide_status status = tls_check_file(certificate, !key, err);
	if (status == TIDE_OK && key)
		status = tls_check_file(key, true, err);
	if (status != TIDE_OK)
		return status;

	ERR_clear_error();
	status = tls_read_key(context, key ? key : certificate, err);
	if (status != TIDE_OK)
		return status;
	/* a key that is another's goes with this */
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		return tide_fail(err, TIDE_ARGUMENT, "'%.300s' is no certificate in PEM: %s",
				 certificate, tls_reason());
	if (SSL_CTX_check_private_key(context) == 1)
		return TIDE_OK;
	ERR_clear_error();
	return tide_fail(err, TIDE_ARGUMENT, "the key of '%.200s' is not that of '%.200s'",
			 key ? key : certificate, certificate);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static SSL_CTX *tls_new_context(void)
{
	SSL_CTX *context = alloc_is_refused() ? NULL : SSL_CTX_new(TLS_server_method());
	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* of many that only wait */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	return context;
}

tide_status tls_open(const char *certificate, const char *key, struct http_tls **ret,
		     struct tide_error *err)
{
	struct http_tls *tls = alloc_zero(1, sizeof *tls);
	if (tls)
		tls->context = tls_new_context();
	if (!tls || !tls->context) {
		tide_free(tls);
		return alloc_fail(err);
	}

	tide_status status = tls_read(tls->context, certificate, key, err);
	if (status == TIDE_OK)
		*ret = tls;
	else
		tls_close(tls);
	return status;
}

void tls_close(struct http_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context); /* connections have their own hold on it */
	tide_free(tls);
}

/* ---- Connections ----------------------------------------------------------------------------- */

struct bufferevent *tls_accept(struct http_tls *tls, struct event_base *base, int fd)
{
	SSL *ssl = SSL_new(tls->context);
	struct bufferevent *stream =
		ssl ? bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE)
		    : NULL;
	if (!stream) {
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
	return stream;
}

bool tls_is_shaking_hands(struct bufferevent *stream)
{
	const SSL *ssl = bufferevent_openssl_get_ssl(stream);
	return ssl && SSL_in_init(ssl);
}

void tls_say_end(struct bufferevent *stream)
{
	SSL *ssl = bufferevent_openssl_get_ssl(stream);
	if (ssl && !SSL_in_init(ssl))
		(void)SSL_shutdown(ssl); /* who does not take it sees the end of the connection */
	ERR_clear_error();
}
