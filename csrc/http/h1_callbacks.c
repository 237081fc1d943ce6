/* SPDX-License-Identifier: MIT */
#include "http/h1_parser_private.h"

#include <string.h>

#include "base/list.h"
#include "http/field_names.h"
#include "http/h1_rules.h"

static cv_h1_parser_t *
parser_of(llhttp_t *llhttp)
{
    return CV_CONTAINER_OF(llhttp, cv_h1_parser_t, llhttp);
}

static int
stop(cv_h1_parser_t *parser, int error)
{
    parser->error = error;
    return -1;
}

static uint32_t
offset_of(const cv_h1_head_t *head, const char *at)
{
    return (uint32_t)(at - head->base);
}

static int
on_method_complete(llhttp_t *llhttp)
{
    /* PRI waits for what follows it. llhttp knows the others for RTSP and ICE. */
    bool known = llhttp->method < HTTP_SOURCE || llhttp->method == HTTP_QUERY || llhttp->method == HTTP_PRI;
    return known ? 0 : stop(parser_of(llhttp), CV_H1_EMETHOD);
}

static int
on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_head_t *head = parser_of(llhttp)->head;
    if (head->target_len == 0) {
        head->target = offset_of(head, at);
    }
    head->target_len = offset_of(head, at + len) - head->target;
    return 0;
}

static int
on_url_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    head->method_len = head->target - 1;
    if (head->base[head->method_len - 1] == ' ') {
        return stop(parser, CV_H1_ETARGET); /* llhttp takes more than one space */
    }
    if (llhttp->method == HTTP_PRI) {
        return 0;
    }
    int rc = cv_h1_rules_target(head, llhttp->method == HTTP_CONNECT, llhttp->method == HTTP_OPTIONS);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_version_complete(llhttp_t *llhttp)
{
    static const char BEFORE[] = " HTTP/"; /* llhttp takes more spaces, and RTSP/ */
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    uint32_t end = head->target + head->target_len;
    if (memcmp(head->base + end, BEFORE, sizeof(BEFORE) - 1) != 0) {
        return stop(parser, CV_H1_EVERSION_SYNTAX);
    }
    if (llhttp->method == HTTP_PRI) {
        /* The preface of RFC 9113 section 3.4; PRI is no method for anything else. */
        return stop(parser, llhttp->http_major == 2 ? CV_H1_EHTTP2 : CV_H1_EMETHOD);
    }
    if (llhttp->http_major != 1 || llhttp->http_minor > 1) {
        return stop(parser, CV_H1_EVERSION);
    }
    if (end + sizeof(" HTTP/1.1") - 1 > parser->limits->line) {
        return stop(parser, CV_H1_ETARGET_LONG);
    }
    head->minor = llhttp->http_minor;
    parser->state = CV_H1_FIELDS;
    return 0;
}

/* Counts what comes after the head and is thrown away, so that it has an end too. The error is that of any other
 * fault in a body: which of two llhttp comes to first depends on how the bytes are cut. */
static int
count_extra(cv_h1_parser_t *parser, size_t len)
{
    parser->extra_bytes += (uint32_t)len;
    return parser->extra_bytes <= parser->limits->head ? 0 : stop(parser, CV_H1_ECHUNK);
}

static int
on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state == CV_H1_BODY) {
        return count_extra(parser, len);
    }
    if (head->field_count < parser->limits->fields) {
        cv_h1_field_t *field = &head->fields[head->field_count];
        if (field->name_len == 0) {
            field->name = offset_of(head, at);
        }
        field->name_len = offset_of(head, at + len) - field->name;
    }
    return 0;
}

static int
on_header_field_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state == CV_H1_BODY) {
        return ++parser->extra_fields <= parser->limits->fields ? 0 : stop(parser, CV_H1_ECHUNK);
    }
    parser->in_value = true;
    if (head->field_count >= parser->limits->fields) {
        return stop(parser, CV_H1_EFIELDS_MANY);
    }
    cv_h1_field_t *field = &head->fields[head->field_count];
    if (field->name_len == 0) {
        return stop(parser, CV_H1_EFIELD_NAME);
    }
    field->id = cv_field_id(head->base + field->name, field->name_len);
    field->value = field->name + field->name_len; /* where an empty value stays */
    return 0;
}

static int
on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state == CV_H1_BODY) {
        return count_extra(parser, len);
    }
    if (len == 0) {
        return 0; /* an empty value: `at` may be behind its line already */
    }
    cv_h1_field_t *field = &head->fields[head->field_count];
    if (field->value_len == 0) {
        field->value = offset_of(head, at);
    }
    field->value_len = offset_of(head, at + len) - field->value;
    return 0;
}

static int
on_header_value_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    parser->in_value = false;
    if (parser->state == CV_H1_BODY) {
        return 0;
    }
    cv_h1_field_t *field = &head->fields[head->field_count++];
    const char *value = head->base + field->value;
    while (field->value_len > 0
           && (value[field->value_len - 1] == ' ' || value[field->value_len - 1] == '\t')) {
        field->value_len--;
    }
    if (head->field_count < CV_H1_FIELDS_CEILING) {
        head->fields[head->field_count].name_len = head->fields[head->field_count].value_len = 0;
    }
    return 0;
}

/* The length of the head: its last line ends at the first LF behind what we have, an empty line follows. */
static uint32_t
head_size(const cv_h1_head_t *head)
{
    uint32_t at = head->target + head->target_len;
    if (head->field_count > 0) {
        const cv_h1_field_t *last = &head->fields[head->field_count - 1];
        at = last->value + last->value_len;
    }
    while (head->base[at] != '\n') {
        at++;
    }
    return at + 1 + 2;
}

static int
on_headers_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    head->size = head_size(head); /* before the rules: they may give Host another place */
    int rc = cv_h1_rules_fields(head);
    if (rc == 0 && llhttp->content_length > INT64_MAX) {
        rc = CV_H1_ECONTENT_LENGTH;
    }
    if (rc != 0) {
        return stop(parser, rc);
    }
    head->is_head = llhttp->method == HTTP_HEAD;
    head->is_connect = llhttp->method == HTTP_CONNECT;
    head->content_length = head->chunked ? 0 : llhttp->content_length;
    head->has_body = head->chunked || head->content_length != 0;
    /* What our rules read is what llhttp goes on with: it does not see a coding behind a tab, and would end the
     * parse at an Upgrade or CONNECT, where we go on with plain HTTP until somebody switches protocols. */
    if (head->chunked) {
        llhttp->flags |= F_CHUNKED;
    }
    llhttp->upgrade = 0;
    parser->head = NULL;
    parser->state = CV_H1_BODY;
    rc = parser->events->on_head(parser->owner, head);
    cv_h1_pool_give(parser->pool, head);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_body(llhttp_t *llhttp, const char *data, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    if (len == 0) {
        return 0;
    }
    int rc = parser->events->on_body(parser->owner, data, len);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_chunk_extension(llhttp_t *llhttp, const char *at, size_t len)
{
    (void)at;
    return count_extra(parser_of(llhttp), len);
}

static int
on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED; /* so that feed knows where the message ends */
}

const llhttp_settings_t cv_h1_callbacks = {
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_message_complete = on_message_complete,
};
