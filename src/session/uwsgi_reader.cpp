#include "session/uwsgi_reader.hpp"

#include <memory>
#include <string>
#include <utility>

namespace mono::session {
namespace {

// What the connection shows of itself stands; the packet's words are of one request.
std::shared_ptr<const Facts> facts_of(const PeerInfo& peer, std::string_view variables) {
    if (variables.empty()) return peer.facts;
    auto facts = std::make_shared<Facts>();
    if (peer.facts && peer.facts->tls) facts->tls = std::make_unique<TlsFacts>(*peer.facts->tls);
    if (peer.facts) facts->variables = peer.facts->variables;
    (void)uwsgi::for_each_variable(variables, [&facts](const uwsgi::Variable& variable) {
        facts->variables.emplace_back(variable.name, variable.value);
        return uwsgi::Fault{};
    });
    return facts;
}

}  // namespace

uwsgi::Step UwsgiReader::read(std::string_view bytes, Exchange& exchange) {
    if (!allowed_.contains(exchange.peer.host))
        return {uwsgi::Status::kMalformed, {http::Error::kUwsgiUntrusted, 0}, 0};
    uwsgi::Options options;
    options.trusted = exchange.peer.trusted;
    const uwsgi::Step step = uwsgi::read(bytes, options, request_);
    if (step.status != uwsgi::Status::kDone) return step;
    exchange.bytes.clear();
    exchange.bytes.append(request_.head);
    exchange.scheme = request_.scheme;
    exchange.script_name = request_.script_name;
    tell_of_peer(exchange.peer);
    return step;
}

void UwsgiReader::tell_of_peer(PeerInfo& peer) const {
    peer.facts = facts_of(peer, request_.variables);
    if (!request_.has_remote) return;
    peer.host = request_.remote_addr;  // empty: the proxy's client came over a unix socket
    peer.port = request_.remote_port;
}

}  // namespace mono::session
