// Field names that the server itself understands or that are so common that the binding keeps
// ready-made environ keys for them. classify() is case-insensitive; unknown names are kOther.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mono::http {

// X(enumerator, lower-case wire name, environ key)
#define MONO_KNOWN_FIELDS(X)                                                                   \
    X(kHost, "host", "HTTP_HOST")                                                              \
    X(kContentLength, "content-length", "CONTENT_LENGTH")                                      \
    X(kContentType, "content-type", "CONTENT_TYPE")                                            \
    X(kTransferEncoding, "transfer-encoding", "HTTP_TRANSFER_ENCODING")                        \
    X(kConnection, "connection", "HTTP_CONNECTION")                                            \
    X(kExpect, "expect", "HTTP_EXPECT")                                                        \
    X(kUpgrade, "upgrade", "HTTP_UPGRADE")                                                     \
    X(kTe, "te", "HTTP_TE")                                                                    \
    X(kTrailer, "trailer", "HTTP_TRAILER")                                                     \
    X(kKeepAlive, "keep-alive", "HTTP_KEEP_ALIVE")                                             \
    X(kAuthorization, "authorization", "HTTP_AUTHORIZATION")                                   \
    X(kAccept, "accept", "HTTP_ACCEPT")                                                        \
    X(kAcceptCharset, "accept-charset", "HTTP_ACCEPT_CHARSET")                                 \
    X(kAcceptEncoding, "accept-encoding", "HTTP_ACCEPT_ENCODING")                              \
    X(kAcceptLanguage, "accept-language", "HTTP_ACCEPT_LANGUAGE")                              \
    X(kUserAgent, "user-agent", "HTTP_USER_AGENT")                                             \
    X(kCookie, "cookie", "HTTP_COOKIE")                                                        \
    X(kReferer, "referer", "HTTP_REFERER")                                                     \
    X(kOrigin, "origin", "HTTP_ORIGIN")                                                        \
    X(kCacheControl, "cache-control", "HTTP_CACHE_CONTROL")                                    \
    X(kPragma, "pragma", "HTTP_PRAGMA")                                                        \
    X(kDnt, "dnt", "HTTP_DNT")                                                                 \
    X(kRange, "range", "HTTP_RANGE")                                                           \
    X(kIfMatch, "if-match", "HTTP_IF_MATCH")                                                   \
    X(kIfNoneMatch, "if-none-match", "HTTP_IF_NONE_MATCH")                                     \
    X(kIfModifiedSince, "if-modified-since", "HTTP_IF_MODIFIED_SINCE")                         \
    X(kUpgradeInsecureRequests, "upgrade-insecure-requests", "HTTP_UPGRADE_INSECURE_REQUESTS") \
    X(kSecFetchSite, "sec-fetch-site", "HTTP_SEC_FETCH_SITE")                                  \
    X(kSecFetchMode, "sec-fetch-mode", "HTTP_SEC_FETCH_MODE")                                  \
    X(kSecFetchDest, "sec-fetch-dest", "HTTP_SEC_FETCH_DEST")                                  \
    X(kSecFetchUser, "sec-fetch-user", "HTTP_SEC_FETCH_USER")                                  \
    X(kSecChUa, "sec-ch-ua", "HTTP_SEC_CH_UA")                                                 \
    X(kSecChUaMobile, "sec-ch-ua-mobile", "HTTP_SEC_CH_UA_MOBILE")                             \
    X(kSecChUaPlatform, "sec-ch-ua-platform", "HTTP_SEC_CH_UA_PLATFORM")                       \
    X(kPriority, "priority", "HTTP_PRIORITY")                                                  \
    X(kVia, "via", "HTTP_VIA")                                                                 \
    X(kForwarded, "forwarded", "HTTP_FORWARDED")                                               \
    X(kXForwardedFor, "x-forwarded-for", "HTTP_X_FORWARDED_FOR")                               \
    X(kXForwardedProto, "x-forwarded-proto", "HTTP_X_FORWARDED_PROTO")                         \
    X(kXForwardedHost, "x-forwarded-host", "HTTP_X_FORWARDED_HOST")                            \
    X(kXForwardedPort, "x-forwarded-port", "HTTP_X_FORWARDED_PORT")                            \
    X(kXRealIp, "x-real-ip", "HTTP_X_REAL_IP")                                                 \
    X(kXRequestId, "x-request-id", "HTTP_X_REQUEST_ID")                                        \
    X(kXRequestStart, "x-request-start", "HTTP_X_REQUEST_START")                               \
    X(kXQueueStart, "x-queue-start", "HTTP_X_QUEUE_START")                                     \
    X(kXRequestedWith, "x-requested-with", "HTTP_X_REQUESTED_WITH")                            \
    X(kXCsrfToken, "x-csrftoken", "HTTP_X_CSRFTOKEN")                                          \
    X(kTraceparent, "traceparent", "HTTP_TRACEPARENT")

enum class KnownField : uint8_t {
    kOther,
#define MONO_ENUMERATE(enumerator, wire, environ) enumerator,
    MONO_KNOWN_FIELDS(MONO_ENUMERATE)
#undef MONO_ENUMERATE
        kCount,
};

KnownField classify(std::string_view name);
std::string_view wire_name(KnownField field);
std::string_view environ_key(KnownField field);

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text);
// The texts have the same size.
bool equals_folded(const char* left, const char* right, size_t size);
inline bool equals_ignoring_case(std::string_view left, std::string_view right) {
    return left.size() == right.size() && equals_folded(left.data(), right.data(), left.size());
}
// Calls visit(std::string_view) for each non-empty element of an RFC 9110 section 5.6.1 list,
// trimmed of SP and HTAB; stops early when visit returns false.
template <class Visit>
void for_each_list_element(std::string_view list, Visit visit) {
    size_t begin = 0;
    while (begin <= list.size()) {
        size_t end = list.find(',', begin);
        if (end == std::string_view::npos) end = list.size();
        std::string_view element = list.substr(begin, end - begin);
        while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
            element.remove_prefix(1);
        while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
            element.remove_suffix(1);
        if (!element.empty() && !visit(element)) return;
        begin = end + 1;
    }
}

}  // namespace mono::http
