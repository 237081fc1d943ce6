/* SPDX-License-Identifier: MIT
 *
 * An intrusive, circular, doubly linked list.
 *
 * Owns:    nothing: the links live inside the members.
 * Thread:  the one that owns the members.
 */
#ifndef CUVEE_BASE_LIST_H
#define CUVEE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cv_list {
    struct cv_list *next;
    struct cv_list *prev;
} cv_list_t;

#define CV_CONTAINER_OF(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/* Makes `list` an empty list, or `node` a node that is in no list. */
static inline void
cv_list_init(cv_list_t *list)
{
    list->next = list->prev = list;
}

static inline bool
cv_list_is_empty(const cv_list_t *list)
{
    return list->next == list;
}

/* True when `node` (initialised once) stands in a list. */
static inline bool
cv_list_is_linked(const cv_list_t *node)
{
    return node->next != node;
}

static inline void
cv_list_append(cv_list_t *list, cv_list_t *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void
cv_list_prepend(cv_list_t *list, cv_list_t *node)
{
    cv_list_append(list->next, node); /* the end of a ring that begins at the first */
}

/* Takes `node` out; harmless for one that is in no list. */
static inline void
cv_list_remove(cv_list_t *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    cv_list_init(node);
}

/* Moves every member of `from` into the empty list `to`. */
static inline void
cv_list_take(cv_list_t *to, cv_list_t *from)
{
    cv_list_init(to);
    if (cv_list_is_empty(from)) {
        return;
    }
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    cv_list_init(from);
}

#endif
