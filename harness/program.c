#include "harness/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void program_exec(const char *const argv[], int out_fd) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (out_fd >= 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null < 0 || dup2(out_fd, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
            _exit(127);
    }
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int program_wait(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_run(const char *const argv[]) {
    pid_t pid = fork();
    if (pid == 0)
        program_exec(argv, -1);
    return pid < 0 ? -errno : program_wait(pid);
}

int program_capture(const char *const argv[], char *out, size_t out_bytes) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        program_exec(argv, ends[1]);
    int err = pid < 0 ? -errno : 0;
    close(ends[1]);
    size_t n = 0;
    for (ssize_t done; err == 0;) {
        char rest[256];
        bool is_full = n + 1 >= out_bytes;
        done = is_full ? read(ends[0], rest, sizeof rest) : read(ends[0], out + n, out_bytes - 1 - n);
        if (done <= 0)
            break;
        n += is_full ? 0 : (size_t)done;
    }
    close(ends[0]);
    out[n > 0 && out[n - 1] == '\n' ? n - 1 : n] = '\0';
    return err != 0 ? err : program_wait(pid);
}
