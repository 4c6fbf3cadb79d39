#include "engine/unrun.hpp"

#include "base/clock.hpp"
#include "http/target.hpp"

namespace mono::engine {

Unrun unrun_of(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
               http::Error error) {
    const http::RequestHead& head = exchange.head;
    Unrun made;
    made.peer = exchange.peer;
    made.method = exchange.text(head.method);
    made.target = exchange.text(head.target);
    made.query = exchange.text(head.query);
    const std::string_view path = exchange.text(head.path);
    made.path.resize(path.size());
    made.path.resize(http::percent_decode(path, made.path.data()));
    for (const http::Field& field : head.fields) {
        made.fields.emplace_back(exchange.text(field.name), exchange.text(field.value));
    }
    made.response_fields = exchange.response.head.fields();
    made.request_id = exchange.request_id();
    made.version_major = head.version_major;
    made.version_minor = head.version_minor;
    made.status = status;
    made.error = error;
    made.body_bytes = body_bytes;
    if (exchange.started_us != 0) made.duration_us = base::monotonic_us() - exchange.started_us;
    return made;
}

}  // namespace mono::engine
