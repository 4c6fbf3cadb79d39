#include "engine/opening.hpp"

#include <utility>

#include "engine/core.hpp"
#include "engine/tls_channel.hpp"
#include "http2/preface.hpp"

namespace mono::engine {

using os::IoResult;
using os::IoStatus;
using session::Next;

namespace {

using Step = Opening::Step;

constexpr int64_t kPrefaceMs = 1'000;  // then it is HTTP/1, as far as that goes

int64_t after(int64_t now_ms, int64_t span_ms) {
    return span_ms > 0 ? now_ms + span_ms : session::Connection::kNever;
}

void add(session::Facts& facts, const char* name, std::string value) {
    if (!value.empty()) facts.variables.emplace_back(name, std::move(value));
}

void add_proxy_extras(const proxy::Extras& extras, session::Facts& facts) {
    facts.request_id = extras.unique_id;
    add(facts, "PROXY_AUTHORITY", extras.authority);
    add(facts, "PROXY_ALPN", extras.alpn);
    add(facts, "PROXY_UNIQUE_ID", extras.unique_id);
    add(facts, "PROXY_NETNS", extras.netns);
    add(facts, "PROXY_AWS_VPCE_ID", extras.vpc_endpoint);
    if (extras.has_private_link)
        add(facts, "PROXY_AZURE_LINK_ID", std::to_string(extras.private_link));
    if (extras.has_service_connection)
        add(facts, "PROXY_GCP_PSC_ID", std::to_string(extras.service_connection));
    if (!extras.tls || !extras.tls->connected) return;
    add(facts, "PROXY_SSL_VERSION", extras.tls->version);
    add(facts, "PROXY_SSL_CIPHER", extras.tls->cipher);
    add(facts, "PROXY_SSL_CN", extras.tls->common_name);
    add(facts, "PROXY_SSL_VERIFY", extras.tls->verified() ? "SUCCESS" : "NONE");
}

// As nginx names them.
void add_tls(tls::Session& session, session::Facts& facts) {
    facts.tls = std::make_unique<session::TlsFacts>();
    facts.tls->version = session.version_number();
    facts.tls->cipher = session.cipher_number();
    add(facts, "SSL_PROTOCOL", std::string(session.version()));
    add(facts, "SSL_CIPHER", std::string(session.cipher()));
    add(facts, "SSL_SERVER_NAME", std::string(session.server_name()));
    const tls::PeerIdentity* peer = session.peer();
    if (peer == nullptr) return;
    facts.tls->client_subject = peer->subject;
    if (peer->verify.starts_with("FAILED")) facts.tls->client_fault = peer->verify;
    facts.tls->client_certificate = session.peer_pem();
    add(facts, "SSL_CLIENT_VERIFY", peer->verify);
    add(facts, "SSL_CLIENT_S_DN", peer->subject);
    add(facts, "SSL_CLIENT_I_DN", peer->issuer);
    add(facts, "SSL_CLIENT_M_SERIAL", peer->serial);
    std::string names;
    for (const std::string& name : peer->names) names += (names.empty() ? "" : ", ") + name;
    add(facts, "SSL_CLIENT_SAN", std::move(names));
    add(facts, "SSL_CLIENT_CERT", facts.tls->client_certificate);
}

tls::Session& session_of(const Link& link) {
    return static_cast<TlsChannel*>(link.transport.channel())->session();
}

}  // namespace

void Openings::begin(Link& link) {
    const OpeningRules& rules = core_.options.opening;
    if (!rules.proxy && !rules.tls && !rules.http2_cleartext) return;
    link.opening = std::make_unique<Opening>();
    link.opening->facts = std::make_shared<session::Facts>();
    link.opening->deadline_ms = after(core_.now.ms, rules.proxy_ms_max);
    if (!rules.proxy) next_step(link);
}

// What comes is looked at where it lies, in the kernel: what is behind it belongs to others.
Next Openings::look(Link& link, std::span<char> scratch) {
    const IoResult got = os::peek(link.transport.fd(), scratch);
    if (got.status == IoStatus::kAgain) return wait(link);
    if (got.status != IoStatus::kDone) return Next::kClose;
    const std::span<char> peeked = scratch.first(got.bytes);
    return link.opening->step == Step::kProxy
               ? look_for_header(link, peeked)
               : look_for_preface(link, {peeked.data(), peeked.size()});
}

Next Openings::wait(Link& link) const {
    link.readable = false;
    return link.eof ? Next::kClose : Next::kRead;
}

Next Openings::look_for_preface(Link& link, std::string_view peeked) {
    const http2::Preface preface = http2::match_preface(peeked);
    if (preface == http2::Preface::kNeedMore && !link.eof) return wait(link);
    end(link, preface == http2::Preface::kYes);
    return Next::kRead;
}

Next Openings::look_for_header(Link& link, std::span<char> peeked) {
    const OpeningRules& rules = core_.options.opening;
    const std::string_view bytes(peeked.data(), peeked.size());
    const bool believed = rules.proxy_allow_ips.contains(link.connection.peer().host);
    proxy::Header header;
    proxy::Parsed parsed;
    if (believed)
        parsed = proxy::parse(bytes, rules.proxy_versions, header);
    else
        parsed.status = proxy::recognise(bytes, rules.proxy_versions);
    switch (parsed.status) {
        case proxy::Status::kNeedMore:
            return wait(link);
        case proxy::Status::kAbsent:
            next_step(link);
            return Next::kRead;
        case proxy::Status::kMalformed:
            end(link);
            return link.connection.refuse_opening(parsed.error, parsed.offset, core_.now.ms);
        case proxy::Status::kDone:
            break;
    }
    if (!believed) {
        end(link);
        return link.connection.refuse_opening(http::Error::kProxyUntrusted, 0, core_.now.ms);
    }
    [[maybe_unused]] const IoResult eaten =
        os::receive(link.transport.fd(), peeked.first(parsed.consumed));
    return take_header(link, header);
}

Next Openings::take_header(Link& link, const proxy::Header& header) {
    session::Facts& facts = *link.opening->facts;
    add(facts, "PROXY_PROTOCOL", std::string(proxy::name_of(header.kind)));
    if (proxy::replaces_peer(header.kind)) {
        session::PeerInfo peer = link.connection.peer();  // trust stays that of the transport's
        const bool unix_peer = header.kind == proxy::Kind::kUnix;
        peer.host = unix_peer ? std::string() : header.source.host;
        peer.port = header.source.port;
        link.connection.open(std::move(peer), core_.now.ms);
        add(facts, "PROXY_ADDR", header.destination.host);
        if (!unix_peer) add(facts, "PROXY_PORT", std::to_string(header.destination.port));
    }
    if (header.extras) add_proxy_extras(*header.extras, facts);
    next_step(link);
    return Next::kRead;
}

void Openings::next_step(Link& link) {
    const OpeningRules& rules = core_.options.opening;
    std::unique_ptr<tls::Session> session = rules.tls ? rules.tls() : nullptr;
    if (!session) {
        if (!rules.http2_cleartext || !link.connection.peer().trusted) return end(link);
        link.opening->step = Step::kPreface;
        link.opening->deadline_ms = core_.now.ms + kPrefaceMs;
        return;
    }
    link.opening->step = Step::kTls;
    link.opening->deadline_ms = after(core_.now.ms, rules.tls_ms_max);
    link.transport.put_between(
        std::make_unique<TlsChannel>(link.transport.fd(), std::move(session)));
    core_.loop.rearm(link);
}

Next Openings::shake(Link& link) {
    tls::Session& session = session_of(link);
    if (session.handshaken()) {
        add_tls(session, *link.opening->facts);
        end(link, session.alpn() == "h2");
        return Next::kRead;
    }
    return session.fault() == tls::Fault::kNone ? Next::kRead : fail(link);
}

// The connection's protocol begins, and its first deadline.
void Openings::end(Link& link, bool http2) {
    session::PeerInfo peer = link.connection.peer();
    peer.facts = std::move(link.opening->facts);
    link.opening.reset();
    link.connection.open(std::move(peer), core_.now.ms);
    if (core_.drain.begun()) core_.drain.note_idle(core_.now.ms);
    if (http2) link.multiplexer = std::make_unique<Multiplexer>(core_, link);
    core_.loop.rearm(link);
}

// What a person with a browser sees is worth a page; what a scanner sends is worth a line.
Next Openings::fail(Link& link) {
    const tls::Fault fault = session_of(link).fault();
    if (fault == tls::Fault::kPlainHttp) {
        link.transport.strip();
        end(link);
        return link.connection.refuse_opening(http::Error::kPlainHttp, 0, core_.now.ms);
    }
    say(link, session_of(link).error_text());
    return Next::kClose;
}

void Openings::expire(Link& link) {
    if (link.opening->step == Step::kPreface) {
        end(link);
        core_.loop.drive(link, Next::kRead);
        return;
    }
    if (link.opening->step == Step::kProxy &&
        core_.options.opening.proxy_allow_ips.contains(link.connection.peer().host))
        say(link, "the PROXY header did not come in time (proxy_protocol_timeout)");
    core_.links.close(link);
}

void Openings::say(const Link& link, const std::string& what) {
    const std::optional<std::string> told = failed_.ask(core_.now.ms);
    if (!told) return;
    core_.notices.say(Severity::kWarning,
                      "A connection from ip=" + std::string(link.connection.peer().shown()) +
                          " was closed before its first request: " + what + *told);
}

}  // namespace mono::engine
