/* SPDX-License-Identifier: MIT */
#include "http/h1_parser_private.h"

#include <string.h>

unsigned
cv_h1_error_status(int error)
{
    switch (error) {
    case CV_H1_EMALFORMED:
    case CV_H1_EMETHOD_SYNTAX:
    case CV_H1_ETARGET:
    case CV_H1_EVERSION_SYNTAX:
    case CV_H1_EFIELD_NAME:
    case CV_H1_EFIELD_VALUE:
    case CV_H1_EHOST:
    case CV_H1_ECONTENT_LENGTH:
    case CV_H1_ETRANSFER_ENCODING:
    case CV_H1_ECHUNK:
    case CV_H1_ELINE_END:
        return 400;
    case CV_H1_EBODY_LARGE:
        return 413;
    case CV_H1_ETARGET_LONG:
        return 414;
    case CV_H1_EFIELDS_MANY:
    case CV_H1_EHEAD_LARGE:
        return 431;
    case CV_H1_EMETHOD:
    case CV_H1_ETRANSFER_CODING:
        return 501;
    case CV_H1_EVERSION:
    case CV_H1_EHTTP2:
        return 505;
    case CV_H1_ENOMEM:
        return 0;
    default:
        return 500;
    }
}

const char *
cv_h1_error_rule(int error)
{
    switch (error) {
    case CV_H1_EMALFORMED:
        return "malformed request";
    case CV_H1_EMETHOD:
        return "method not known";
    case CV_H1_EMETHOD_SYNTAX:
        return "request does not start with a method";
    case CV_H1_ETARGET:
        return "malformed request target";
    case CV_H1_ETARGET_LONG:
        return "request line longer than --limit-request-line";
    case CV_H1_EVERSION:
        return "HTTP version not supported";
    case CV_H1_EVERSION_SYNTAX:
        return "malformed HTTP version";
    case CV_H1_EFIELD_NAME:
        return "malformed field name";
    case CV_H1_EFIELD_VALUE:
        return "forbidden character in a field value";
    case CV_H1_EFIELDS_MANY:
        return "more fields than --limit-request-fields";
    case CV_H1_EHEAD_LARGE:
        return "head larger than --limit-request-head";
    case CV_H1_EHOST:
        return "missing, repeated or malformed Host";
    case CV_H1_ECONTENT_LENGTH:
        return "malformed or repeated Content-Length";
    case CV_H1_ETRANSFER_ENCODING:
        return "Transfer-Encoding not allowed here, or chunked not last in it";
    case CV_H1_ETRANSFER_CODING:
        return "transfer coding other than chunked";
    case CV_H1_ECHUNK:
        return "malformed chunked body, or too much besides its data";
    case CV_H1_ELINE_END:
        return "bare CR or LF, or a folded line";
    case CV_H1_EHTTP2:
        return "HTTP/2 is not spoken here";
    case CV_H1_EBODY_LARGE:
        return "body larger than --limit-request-body";
    case CV_H1_ENOMEM:
        return "out of memory";
    default:
        return "request not taken";
    }
}

/* llhttp stopped in a version or right behind it, at the last byte before `end`:
 * "HTTP/" digit "." digit is a version, though not ours. */
static int
version_error(const cv_h1_head_t *head, const char *end)
{
    enum {
        MAJOR = sizeof(" HTTP/") - 1, /* where the digits stand */
        MINOR = MAJOR + 2,
        BEHIND,
    };
    const char *text = head->base + head->target + head->target_len;
    size_t len = (size_t)(end - text);
    if (len <= MINOR || memcmp(text, " HTTP/", MAJOR) != 0) {
        return CV_H1_EVERSION_SYNTAX;
    }
    char major = text[MAJOR], minor = text[MINOR];
    bool is_version = major >= '0' && major <= '9' && text[MAJOR + 1] == '.' && minor >= '0' && minor <= '9';
    bool is_ours = is_version && major == '1' && (minor == '0' || minor == '1');
    if (is_version && !is_ours) {
        return CV_H1_EVERSION;
    }
    return is_ours && len > BEHIND && text[BEHIND] == '\n' ? CV_H1_ELINE_END : CV_H1_EVERSION_SYNTAX;
}

/* A line that begins with a space is folded (RFC 9112 section 5.2), one that is LF alone ended badly. */
static int
field_error(const cv_h1_parser_t *parser, const char *at, const char *end)
{
    if (at[-1] == '\n') {
        bool folded = at[-2] == '\r' && at < end && (*at == ' ' || *at == '\t');
        if (folded || at[-2] == '\n' || parser->in_value) {
            return CV_H1_ELINE_END;
        }
    }
    return parser->in_value ? CV_H1_EFIELD_VALUE : CV_H1_EFIELD_NAME;
}

int
cv_h1_error_of_llhttp(const cv_h1_parser_t *parser, llhttp_errno_t error, const char *end)
{
    const char *at = llhttp_get_error_pos(&parser->llhttp); /* the byte it stopped at, or the one behind it */
    if (parser->state == CV_H1_BODY) {
        return CV_H1_ECHUNK;
    }
    if (error == HPE_INVALID_URL) {
        return CV_H1_ETARGET;
    }
    if (parser->state == CV_H1_REQUEST_LINE) {
        return error == HPE_INVALID_VERSION ? version_error(parser->head, end) : CV_H1_EVERSION_SYNTAX;
    }
    switch (error) {
    case HPE_INVALID_VERSION:
        return version_error(parser->head, end);
    case HPE_INVALID_HEADER_TOKEN:
        return field_error(parser, at, end);
    case HPE_UNEXPECTED_SPACE:
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED:
    case HPE_STRICT:
        return CV_H1_ELINE_END;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return (parser->llhttp.flags & F_TRANSFER_ENCODING) != 0 ? CV_H1_ETRANSFER_ENCODING
                                                                 : CV_H1_ECONTENT_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return CV_H1_ETRANSFER_ENCODING;
    default:
        return CV_H1_EMALFORMED;
    }
}
