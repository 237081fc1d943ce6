/* SPDX-License-Identifier: MIT */
#include "http/h1_parser_private.h"

#include <stdlib.h>
#include <string.h>

void
cv_h1_pool_init(cv_h1_pool_t *pool)
{
    pool->count = 0;
}

void
cv_h1_pool_deinit(cv_h1_pool_t *pool)
{
    while (pool->count > 0) {
        free(pool->spare[--pool->count]);
    }
}

cv_h1_head_t *
cv_h1_pool_take(cv_h1_pool_t *pool)
{
    cv_h1_head_t *head = pool->count > 0 ? pool->spare[--pool->count] : malloc(sizeof(*head));
    if (head != NULL) {
        memset(head, 0, offsetof(cv_h1_head_t, fields) + sizeof(head->fields[0]));
    }
    return head;
}

void
cv_h1_pool_give(cv_h1_pool_t *pool, cv_h1_head_t *head)
{
    if (pool->count < sizeof(pool->spare) / sizeof(pool->spare[0])) {
        pool->spare[pool->count++] = head;
    } else {
        free(head);
    }
}
