/* SHA-256 as hex. Owns: nothing. */
#ifndef HEAPDYNO_DIGEST_H
#define HEAPDYNO_DIGEST_H

#define DIGEST_HEX_BYTES 65

/* 0 or -errno. */
int digest_text(const char *text, char out[DIGEST_HEX_BYTES]);
int digest_file(const char *path, char out[DIGEST_HEX_BYTES]);

#endif
