/* SPDX-License-Identifier: MIT */
#include "http/h1_parser.h"

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
        return "request line longer than the limit";
    case CV_H1_EVERSION:
        return "HTTP version not supported";
    case CV_H1_EVERSION_SYNTAX:
        return "malformed HTTP version";
    case CV_H1_EFIELD_NAME:
        return "malformed field name";
    case CV_H1_EFIELD_VALUE:
        return "forbidden character in a field value";
    case CV_H1_EFIELDS_MANY:
        return "more fields than the limit";
    case CV_H1_EHEAD_LARGE:
        return "fields larger than the limit";
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
    case CV_H1_ENOMEM:
        return "out of memory";
    default:
        return "request not taken";
    }
}
