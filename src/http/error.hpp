// Every way in which a peer's bytes can be wrong, and what is said about it.
// One table (error.cpp) maps a rule to its status and to the words of the error log.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::http {

enum class Error : uint8_t {
    kNone,
    // Request line
    kBareLf,                // a line ends in LF without CR
    kBareCr,                // CR inside a line
    kRequestLineMalformed,  // not METHOD SP TARGET SP VERSION
    kRequestLineTooLong,    // 414
    kMethodInvalid,
    kTargetInvalid,
    kVersionInvalid,
    // Other protocols (other_protocol.hpp)
    kTlsReceived,
    kPlainHttp,  // where TLS is spoken
    kHttp2Preface,
    kProxyHeader,
    // The PROXY protocol (src/proxy)
    kProxyUntrusted,  // 403: proxy_allow_ips does not list the peer
    kProxyLine,       // version 1: not six fields and CRLF within 107 bytes
    kProxyVersion,    // version 2: not version 2 with the command LOCAL or PROXY
    kProxyFamily,     // neither TCP nor a unix stream
    kProxyAddress,    // address or port invalid, or the block too short for them
    kProxyTlv,        // version 2: a vector that is cut short, or there twice
    kProxyChecksum,
    kProxyTimeout,  // 408
    // The uwsgi protocol (src/uwsgi)
    kUwsgiUntrusted,  // 403: uwsgi_allow_ips does not list the peer
    kUwsgiModifier,   // 501: HTTP, or a packet of another kind
    kUwsgiVariable,   // a variable is longer than its packet
    kLengthRequired,  // 411: a chunked body that the proxy gave no length
    // Header block
    kTooManyFields,     // 431
    kFieldTooLong,      // 431
    kHeadTooLong,       // 431
    kFieldNameInvalid,  // not a token, or blank before the colon
    kFieldColonMissing,
    kFieldValueInvalid,  // control bytes
    kObsoleteFolding,
    kUnderscoreRefused,  // header_map = refuse
    kDuplicateField,     // Host, Content-Type
    kHostInvalid,
    kHostMissing,     // an absolute target of HTTP/1.1 without Host
    kSchemeConflict,  // secure_scheme_headers disagree
    kForwardedMalformed,
    kForwardedConflict,  // Forwarded and X-Forwarded-For name two clients
    // Framing
    kContentLengthInvalid,  // sign, blank, list, non-digit, beyond 64 bits
    kContentLengthRepeated,
    kTransferEncodingUnknown,  // 501
    kTransferEncodingInvalid,  // not ending in chunked, chunked twice, HTTP/1.0
    kLengthAndChunked,
    kExpectationUnknown,  // 417
    // Chunked body
    kChunkSizeInvalid,  // no digits, other characters, beyond 64 bits
    kChunkExtensionInvalid,
    kChunkLineTooLong,
    kChunkEndInvalid,  // data not followed by CRLF
    kTrailerInvalid,
    kTrailerForbidden,
    kTrailersTooLong,  // 431
    // Limits and time
    kBodyTooLarge,        // 413
    kHeadTimeout,         // 408
    kBodyTimeout,         // 408
    kBodyTooSlow,         // 408: body_rate_min
    kScriptNameMismatch,  // SCRIPT_NAME is not a prefix of the path
    kStorageFull,         // 503: a body could be stored neither in memory nor on disk
    kStorageLimit,        // 503: a bound on what all bodies together may occupy
    // The server's own state
    kRequestTimeout,  // 504: the application did not answer within request_timeout
    kQueueTimeout,    // 503: it waited for the application longer than queue_timeout
    kStopping,        // 503: the server stops and cannot serve it in time
    kCount,
};

struct ErrorInfo {
    uint16_t status;          // of the refusal
    std::string_view rule;    // stable short name for the log, e.g. "bare-lf"
    std::string_view detail;  // one sentence, also the body of the refusal
};

const ErrorInfo& describe(Error error);

// What is wrong with a head that was complete.
struct FramingError {
    Error error = Error::kNone;
    uint32_t offset = 0;  // of the offending field's name, from the request's first byte
};

}  // namespace mono::http
