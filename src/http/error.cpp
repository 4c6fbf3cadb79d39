#include "http/error.hpp"

#include <array>
#include <cstddef>

namespace mono::http {
namespace {

constexpr size_t kErrors = static_cast<size_t>(Error::kCount);

// In the order of the enumeration; error_test.cpp pins names to enumerators.
constexpr ErrorInfo kTable[] = {
    {200, "none", "No error."},
    {400, "bare-lf", "A line ends in LF without CR."},
    {400, "bare-cr", "A CR stands inside a line."},
    {400, "request-line", "The request line is not method, target and version."},
    {414, "request-line-too-long", "The request line is longer than this server permits."},
    {400, "method", "The method is not one that this server reads."},
    {400, "target", "The request target is not valid."},
    {400, "version", "The protocol version is not HTTP/1."},
    {400, "tls",
     "These bytes are TLS, and this port speaks plain HTTP: let the client use http://, or a proxy "
     "end TLS."},
    {400, "plain-http",
     "This is a plain HTTP request, and this port speaks TLS: use https:// instead."},
    {400, "http2-preface",
     "This is HTTP/2 without TLS, and this port speaks HTTP/1.1: let the client or the proxy use "
     "that."},
    {400, "proxy-header",
     "This is a PROXY protocol header, which this port does not read: switch it off in the proxy "
     "(send-proxy, proxy_protocol)."},
    {403, "proxy-untrusted",
     "A PROXY protocol header came from a peer that proxy_allow_ips does not list."},
    {400, "proxy-line", "The PROXY line is not six fields with CRLF behind them."},
    {400, "proxy-version",
     "The PROXY protocol header is not of version 2 with the command LOCAL or PROXY."},
    {400, "proxy-family", "The PROXY protocol header is not about a stream of TCP or unix."},
    {400, "proxy-address", "The PROXY protocol header has an address or a port that is none."},
    {400, "proxy-tlv", "The PROXY protocol header has a vector that is cut short or repeated."},
    {400, "proxy-checksum", "The checksum of the PROXY protocol header is wrong."},
    {408, "proxy-timeout", "The PROXY protocol header did not arrive in time."},
    {403, "uwsgi-untrusted",
     "A request came by uwsgi from a peer that uwsgi_allow_ips does not list."},
    {501, "uwsgi-modifier",
     "This is no web request of the uwsgi protocol, which this port speaks: let the proxy use "
     "uwsgi_pass, with modifier 0."},
    {400, "uwsgi-variable", "A variable of the uwsgi packet is longer than the packet."},
    {411, "length-required", "The body is chunked, and the proxy has not said how long it is."},
    {431, "too-many-fields", "There are more header fields than this server permits."},
    {431, "field-too-long", "A header field is longer than this server permits."},
    {431, "head-too-long", "The head of the request is longer than this server permits."},
    {400, "field-name", "A field name is not a token."},
    {400, "field-colon", "A header line has no colon."},
    {400, "field-value", "A field value holds a control character."},
    {400, "obsolete-folding", "A header line begins with a blank."},
    {400, "underscore", "A field name holds an underscore."},
    {400, "duplicate-field", "A field that must stand alone is repeated."},
    {400, "host", "The Host field is not a host and port."},
    {400, "host-missing", "The Host field is missing."},
    {400, "scheme-conflict", "The proxy's fields disagree about the scheme."},
    {400, "forwarded", "The Forwarded field is not one of RFC 7239."},
    {400, "forwarded-conflict", "The proxy's fields disagree about who the client is."},
    {400, "content-length", "The Content-Length field is not a decimal number."},
    {400, "content-length-repeated", "There is more than one Content-Length."},
    {501, "transfer-encoding-unknown", "The transfer coding is not known to this server."},
    {400, "transfer-encoding", "The Transfer-Encoding field does not frame the body."},
    {400, "length-and-chunked", "Both Content-Length and Transfer-Encoding are given."},
    {417, "expectation", "The Expect field asks for something other than 100-continue."},
    {400, "chunk-size", "A chunk size is not a hexadecimal number."},
    {400, "chunk-extension", "A chunk extension is malformed."},
    {400, "chunk-line-too-long", "A chunk's size line is longer than this server permits."},
    {400, "chunk-end", "A chunk's data is not followed by CRLF."},
    {400, "trailer", "A trailer field is malformed."},
    {400, "trailer-forbidden", "A field that must not be a trailer is one."},
    {431, "trailers-too-long", "The trailer section is longer than this server permits."},
    {413, "body-too-large", "The body is larger than this server permits."},
    {408, "head-timeout", "The head of the request did not arrive in time."},
    {408, "body-timeout", "The body of the request did not arrive in time."},
    {408, "body-too-slow", "The body of the request came more slowly than this server permits."},
    {500, "script-name", "SCRIPT_NAME is not a prefix of the path."},
    {503, "storage-full", "There is no room to store the body."},
    {503, "storage-limit", "This server stores as many bodies as it may. Please try again."},
    {504, "request-timeout", "The application did not answer in time."},
    {503, "queue-timeout", "The server is too busy to answer in time."},
    {503, "stopping", "The server is being stopped. Please try again."},
};
static_assert(sizeof(kTable) / sizeof(kTable[0]) == kErrors, "one row for every Error");

}  // namespace

const ErrorInfo& describe(Error error) { return kTable[static_cast<size_t>(error)]; }

}  // namespace mono::http
