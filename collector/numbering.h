/* SPDX-License-Identifier: Apache-2.0
 * numbering: the streams of this process and the next number of each: 1, 2, 3 … without holes.
 *
 * A stream is 128 random bits and a partition. The bits are drawn at start and again whenever the producer
 * had to be replaced, since nobody knows then which of the last numbers arrived. A number is used up only
 * when the producer has accepted its hit: numbering_fill, send, numbering_confirm. Owner: the intake. Loop
 * thread only. */
#ifndef COLLECTOR_NUMBERING_H
#define COLLECTOR_NUMBERING_H

#include "proto/hit.h"

struct numbering;

struct numbering *numbering_new(int partitions);
void numbering_free(struct numbering **numbering); /* accepts NULL */
void numbering_renew(struct numbering *numbering);
/* Writes stream and number into the hit. */
void numbering_fill(const struct numbering *numbering, int partition, struct hit *hit);
void numbering_confirm(struct numbering *numbering, int partition);

#endif
