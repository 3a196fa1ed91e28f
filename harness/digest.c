#include "harness/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int digest_finish(EVP_MD_CTX *ctx, char out[DIGEST_HEX_BYTES]) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex(ctx, raw, &n) != 1 || 2 * n + 1 > DIGEST_HEX_BYTES)
        return -EIO;
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return 0;
}

int digest_text(const char *text, char out[DIGEST_HEX_BYTES]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        return -ENOMEM;
    int err = -EIO;
    if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, text, strlen(text)) == 1)
        err = digest_finish(ctx, out);
    EVP_MD_CTX_free(ctx);
    return err;
}

int digest_file(const char *path, char out[DIGEST_HEX_BYTES]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = -ENOMEM;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        goto out;
    err = -EIO;
    if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        goto out;
    char block[1 << 16];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0) {
        if (EVP_DigestUpdate(ctx, block, (size_t)n) != 1)
            goto out;
    }
    err = n < 0 ? -errno : digest_finish(ctx, out);
out:
    EVP_MD_CTX_free(ctx);
    close(fd);
    return err;
}
