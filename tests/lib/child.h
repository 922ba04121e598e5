/* SPDX-License-Identifier: Apache-2.0
 * child: runs a function in a process of its own and says which signal ended or stopped it.
 *
 * For what a program does only once: a MUST that does not hold (SIGABRT), a failpoint (SIGKILL, SIGSTOP).
 * What the child writes to stderr is dropped. A child that hangs is ended by SIGALRM after ten seconds. */
#ifndef TESTS_LIB_CHILD_H
#define TESTS_LIB_CHILD_H

typedef void child_fn(void *argument);

/* 0: the function returned; -1: it left with an exit code of its own, as sanitizers do. */
int child_signal(child_fn *run, void *argument);

#endif
