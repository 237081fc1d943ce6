/* SPDX-License-Identifier: MIT
 *
 * Where the kernel should put what is received.
 *
 * Some processors copy with one instruction (`rep movsb`), and take four times as long when the target begins 1 to 31
 * bytes further into its page than the source. What was received begins a page, and a block of malloc's that has pages
 * of its own begins 16 bytes into its first (docs/decisions/0058-where-the-kernel-copies-to.md).
 */
#ifndef CUVEE_BASE_RECEIVE_H
#define CUVEE_BASE_RECEIVE_H

/* For aligned_alloc: a page. Sizes must be multiples of it. */
#define CV_RECEIVE_ALIGNMENT 4096

#endif
