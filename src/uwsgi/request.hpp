// A request that came as a uwsgi packet, as the head of an HTTP/1.1 request: that head goes through
// http1::HeadParser and http1::apply_framing, so that every rule and limit about methods, targets,
// names, values and lengths holds for uwsgi as it does for HTTP.
// Sans-I/O and pure. A Request is reused: clear() keeps the capacity.
//
// The fields are the client's (proxies pass them on as they came), so they say nothing about whom
// to believe: http::apply_trust is to be called as for a peer that is not trusted. What the proxy
// itself says are the variables without "HTTP_". Of them every peer that may speak uwsgi at all is
// believed about the request and its scheme, as in gunicorn; about who the client is, where the
// application is mounted and all others, only a `trusted` peer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/slice.hpp"
#include "http/trust.hpp"
#include "uwsgi/packet.hpp"

namespace mono::uwsgi {

struct Request {
    std::string head;  // request line, fields, empty line
    http::Scheme scheme = http::Scheme::kTransport;
    // Of trusted peers:
    base::Slice script_name;  // in `head`: the beginning of the target, encoded as that is
    std::string remote_addr;  // an IP address; empty: none was given ("unix:" is none)
    uint16_t remote_port = 0;
    bool has_remote = false;  // REMOTE_ADDR was given
    // Further variables for environ (REMOTE_USER, SERVER_NAME, SSL_CLIENT_VERIFY, whatever a
    // uwsgi_param says), in the form of the packet: for_each_variable. Names are letters, digits
    // and "_"; values have no CR, LF or NUL. No name is one that HTTP_* or the request itself
    // gives.
    std::string variables;

    void clear() {
        head.clear();
        variables.clear();
        remote_addr.clear();
        scheme = http::Scheme::kTransport;
        script_name = {};
        remote_port = 0;
        has_remote = false;
    }
};

struct Options {
    size_t packet_bytes_max = 65536;  // as of any head
    bool trusted = false;             // the peer, by forwarded_allow_ips
};

struct Step {
    Status status = Status::kNeedMore;
    Fault fault;          // of kMalformed
    size_t consumed = 0;  // of kDone: the body begins behind it
};

// `bytes`: all that has arrived since the packet began. With kDone, `request` is filled.
[[nodiscard]] Step read(std::string_view bytes, const Options& options, Request& request);

}  // namespace mono::uwsgi
