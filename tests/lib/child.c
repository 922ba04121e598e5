/* SPDX-License-Identifier: Apache-2.0
 * child: see the header. */
#include "tests/lib/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"

enum { MAX_SECONDS = 10 };

static _Noreturn void be_child(child_fn *run, void *argument)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL); /* the test library catches it otherwise */
    alarm(MAX_SECONDS);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    run(argument);
    _exit(0);
}

int child_signal(child_fn *run, void *argument)
{
    int state;
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        be_child(run, argument);
    MUST(waitpid(child, &state, WUNTRACED) == child);
    if (WIFSTOPPED(state)) {
        int stopped_by = WSTOPSIG(state);
        kill(child, SIGKILL);
        MUST(waitpid(child, &state, 0) == child);
        return stopped_by;
    }
    if (WIFSIGNALED(state))
        return WTERMSIG(state);
    return WEXITSTATUS(state) == 0 ? 0 : -1;
}
