#include "harness/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/units.h"

static int make_parents(const char *path) {
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return -ENAMETOOLONG;
    for (char *c = copy + 1; *c != '\0'; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            return -errno;
        *c = '/';
    }
    return 0;
}

/* 1 empty, 0 not, -errno. */
static int is_empty(const char *path) {
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n <= 2;
}

int folder_open(struct folder *f, const char *path, struct problem *p) {
    if (realpath(path, f->path) == NULL)
        return problem_set(p, errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int create_wanted(struct folder *f, const char *wanted, struct problem *p) {
    int err = make_parents(wanted);
    if (err == 0 && mkdir(wanted, 0777) != 0)
        err = -errno;
    if (err == -EEXIST) {
        int empty = is_empty(wanted);
        if (empty == 0)
            return problem_set(
                p, EEXIST,
                "--out %s: the folder is not empty; --resume goes on with a run, another --out "
                "starts a new one",
                wanted);
        err = empty < 0 ? empty : 0;
    }
    if (err == 0 && access(wanted, W_OK | X_OK) != 0)
        err = -errno;
    if (err != 0)
        return problem_set(p, -err, "--out %s: cannot make or write this folder: %s", wanted, strerror(-err));
    return folder_open(f, wanted, p);
}

int folder_create(struct folder *f, const char *wanted, const char *root, uint64_t unix_ns,
                  struct problem *p) {
    if (wanted != NULL)
        return create_wanted(f, wanted, p);
    time_t seconds = (time_t)(unix_ns / UNITS_NS_PER_S);
    struct tm utc;
    char stamp[32], path[PATH_MAX];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    for (unsigned i = 1;; i++) {
        int n = i == 1
                    ? snprintf(path, sizeof path, "%s%sresults/%s", root, root[0] != '\0' ? "/" : "", stamp)
                    : snprintf(path, sizeof path, "%s%sresults/%s-%u", root, root[0] != '\0' ? "/" : "",
                               stamp, i);
        if ((size_t)n >= sizeof path)
            return problem_set(p, ENAMETOOLONG, "the path of the results folder is too long");
        int err = make_parents(path);
        if (err == 0 && mkdir(path, 0777) != 0)
            err = -errno;
        if (err == 0)
            return folder_open(f, path, p);
        if (err != -EEXIST)
            return problem_set(p, -err, "cannot make the folder %s: %s; --out names another", path,
                               strerror(-err));
    }
}

int folder_lock(struct folder *f, struct problem *p) {
    char path[PATH_MAX];
    int err = folder_path(f, "topology.xml", path, p);
    if (err != 0)
        return err;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return problem_set(p, errno, "this is not a run folder: %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        f->lock_fd = fd;
        return 0;
    }
    err = errno;
    close(fd);
    if (err == EWOULDBLOCK)
        return problem_set(p, EBUSY, "%s: another run-bench is writing here", f->path);
    return problem_set(p, err, "cannot lock %s: %s", path, strerror(err));
}

void folder_unlock(struct folder *f) {
    if (f->lock_fd > 0)
        close(f->lock_fd);
    f->lock_fd = 0;
}

int folder_path(const struct folder *f, const char *name, char out[PATH_MAX], struct problem *p) {
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", f->path, name) >= PATH_MAX)
        return problem_set(p, ENAMETOOLONG, "the path %s/%s is too long", f->path, name);
    return 0;
}

int folder_write(const struct folder *f, const char *name, const char *text, size_t n, struct problem *p) {
    char path[PATH_MAX], fresh[PATH_MAX];
    int err = folder_path(f, name, path, p);
    if (err != 0)
        return err;
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return problem_set(p, ENAMETOOLONG, "the path %s is too long", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return problem_set(p, errno, "cannot write %s: %s", path, strerror(errno));
    for (size_t done = 0; done < n && err == 0;) {
        ssize_t now = write(fd, text + done, n - done);
        if (now <= 0)
            err = now < 0 ? errno : EIO;
        else
            done += (size_t)now;
    }
    if (close(fd) != 0 && err == 0)
        err = errno;
    if (err == 0 && rename(fresh, path) != 0)
        err = errno;
    if (err == 0)
        return 0;
    unlink(fresh);
    return problem_set(p, err, "cannot write %s: %s", path, strerror(err));
}
