/* SPDX-License-Identifier: MIT */
#include "http/default_fields.h"

#include "http/field_names.h"
#include "http/h1_writer.h"

int
cv_default_fields_add(cv_default_fields_t *fields, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    uint8_t id = cv_field_id(name, name_len);
    if (id == CV_FIELD_CONNECTION || id == CV_FIELD_CONTENT_LENGTH || id == CV_FIELD_TRANSFER_ENCODING) {
        return CV_H1_WNAME;
    }
    cv_buffer_t *lines = id == CV_FIELD_SERVER ? &fields->server : &fields->others;
    return cv_h1_field_line(lines, name, name_len, value, value_len, false);
}

void
cv_default_fields_deinit(cv_default_fields_t *fields)
{
    cv_buffer_deinit(&fields->server);
    cv_buffer_deinit(&fields->others);
}
