#include "harness/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/bench.h"
#include "harness/protocol.h"

#define MAX_WORDS 64

/* The words of wrap, then the program. `storage` holds the words. 0 or -errno. */
static int words_split(char *storage, const char *program, char **words) {
    size_t n = 0;
    for (char *word; storage != NULL && (word = strsep(&storage, " \t")) != NULL;) {
        if (word[0] == '\0')
            continue;
        if (n == MAX_WORDS)
            return -E2BIG;
        words[n++] = word;
    }
    words[n++] = (char *)(uintptr_t)program;
    words[n] = NULL;
    return 0;
}

/* After fork: nothing here may return. */
static _Noreturn void child_exec(int fd, pid_t parent, char **words, char *const *environment,
                                 const struct membind *membind, uint64_t *exec_ns) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGXFSZ, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(SPAWN_EXEC_FAILED); /* it died before the line above */
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        _exit(SPAWN_EXEC_FAILED);
    if (fd == CELL_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, CELL_FD) < 0)
        _exit(SPAWN_EXEC_FAILED);
    close_range(CELL_FD + 1, ~0u, 0);
    if (membind_apply(membind) != 0)
        _exit(SPAWN_POLICY_FAILED);
    *exec_ns = bench_now_ns();
    execvpe(words[0], words, environment);
    _exit(SPAWN_EXEC_FAILED);
}

int spawn_start(struct child *child, const char *program, const char *wrap, char *const *environment,
                const struct membind *membind, struct problem *p) {
    *child = (struct child){.pid = -1, .fd = -1, .pidfd = -1};
    char *words[MAX_WORDS + 2];
    int ends[2] = {-1, -1}, err = 0;
    char *storage = wrap != NULL ? strdup(wrap) : NULL;
    if (wrap != NULL && storage == NULL)
        return problem_set(p, ENOMEM, "out of memory");
    if (words_split(storage, program, words) != 0) {
        err = problem_set(p, E2BIG, "--wrap has more than %d words", MAX_WORDS);
        goto out;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        err = problem_set(p, errno, "cannot make a socket for a cell: %s", strerror(errno));
        goto out;
    }
    uint64_t *exec_ns =
        mmap(NULL, sizeof *exec_ns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (exec_ns == MAP_FAILED) {
        err = problem_set(p, errno, "cannot share a page with a cell: %s", strerror(errno));
        close(ends[0]);
        close(ends[1]);
        goto out;
    }
    child->exec_ns = exec_ns;
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0)
        child_exec(ends[1], parent, words, environment, membind, exec_ns);
    close(ends[1]);
    if (child->pid < 0) {
        err = problem_set(p, errno, "cannot start a process for a cell: %s", strerror(errno));
        close(ends[0]);
        munmap(exec_ns, sizeof *exec_ns);
        child->exec_ns = NULL;
        goto out;
    }
    setpgid(child->pid, child->pid); /* whoever comes first; it fails harmlessly after exec */
    child->fd = ends[0];
    child->pidfd = pidfd_open(child->pid, 0);
    if (child->pidfd < 0) {
        err = problem_set(p, errno, "cannot watch the process of a cell: %s", strerror(errno));
        spawn_kill(child);
        spawn_reap(child, &(int){0});
    }
out:
    free(storage);
    return err;
}

void spawn_kill(const struct child *child) {
    if (kill(-child->pid, SIGKILL) != 0)
        kill(child->pid, SIGKILL);
}

int spawn_reap(struct child *child, int *wait_status) {
    int err = 0;
    while (wait4(child->pid, wait_status, 0, NULL) < 0) {
        if (errno != EINTR) {
            err = -errno;
            break;
        }
    }
    close(child->fd);
    if (child->pidfd >= 0)
        close(child->pidfd);
    munmap((void *)(uintptr_t)child->exec_ns, sizeof *child->exec_ns);
    *child = (struct child){.pid = -1, .fd = -1, .pidfd = -1};
    return err;
}
