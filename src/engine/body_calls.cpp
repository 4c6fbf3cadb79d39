#include "engine/body_calls.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "engine/core.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

constexpr size_t kLineBlock = 8192;

}  // namespace

bool BodyCalls::wait_body(Handle handle, int timeout_ms) {
    Lock lock(core_.mutex);
    const int64_t end_ms = base::monotonic_ms() + timeout_ms;
    const uint64_t wakes = core_.rounds.wakes();
    if (Exchange* exchange = core_.exchanges.find(handle)) core_.bodies.pull(*exchange);
    auto awaited = [&] {
        const Exchange* exchange = core_.exchanges.find(handle);
        return exchange != nullptr && exchange->link != nullptr && !exchange->body_complete &&
               exchange->incoming.empty();
    };
    bool signalled = core_.options.nested;
    while (awaited() && !signalled) {
        const int64_t left_ms = end_ms - base::monotonic_ms();
        if (left_ms <= 0) break;
        if (!core_.rounds.led()) {
            core_.bodies.beat();
            signalled = !core_.rounds.lead(lock, static_cast<int>(left_ms));
            if (!core_.ready.empty()) core_.waiters.takers().wake_one();
        } else {
            core_.waiters.readers().wait(lock, left_ms);
        }
        signalled |= core_.rounds.wakes() != wakes;
    }
    core_.rounds.pass_lead();
    return !awaited();
}

BodyState BodyCalls::take_arrived(Handle handle, base::Buffer& taken, http::Error& fault) {
    Lock lock(core_.mutex);
    Exchange* found = core_.exchanges.find(handle);
    if (found == nullptr) return BodyState::kOver;
    Exchange& exchange = *found;
    std::swap(taken, exchange.incoming);
    if (exchange.body_complete) return BodyState::kComplete;
    fault = exchange.body_fault;
    Link* link = exchange.link;
    if (link == nullptr)
        return fault == http::Error::kNone ? BodyState::kGone : BodyState::kRefused;
    core_.now.look();
    // What the kernel still has, the next wait_body() reads: until then the client is not slow.
    if (!link->readable) link->connection.body_taken(core_.now.ms);
    core_.loop.rearm(*link);
    return BodyState::kMore;
}

BodyState BodyCalls::take_body(Handle handle, base::Buffer& taken) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return BodyState::kOver;
    std::swap(taken, exchange->incoming);
    core_.bodies.pull(*exchange);
    if (taken.empty()) std::swap(taken, exchange->incoming);
    if (exchange->body_complete && exchange->incoming.empty()) return BodyState::kComplete;
    return exchange->link == nullptr ? BodyState::kGone : BodyState::kMore;
}

// A file is read without the lock, and lives on meanwhile.
int64_t BodyCalls::read_body(Handle handle, uint64_t offset, std::span<char> into) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return kTooLate;
    const session::Body& body = exchange->body;
    const std::shared_ptr<const session::Spill> spill = body.spill();
    if (!spill) return body.read(exchange->bytes.data(), offset, into);
    if (offset >= body.size()) return 0;
    lock.unlock();
    const int64_t got = spill->read(offset, into);
    lock.lock();  // who drops it last gives its room back
    return got;
}

int64_t BodyCalls::measure_line(Handle handle, uint64_t offset, uint64_t bytes_max) {
    {
        Lock lock(core_.mutex);
        const Exchange* exchange = core_.exchanges.find(handle);
        if (exchange == nullptr) return kTooLate;
        if (!exchange->body.spilled()) {
            std::string_view rest = exchange->body_view().substr(offset, bytes_max);
            const size_t at = rest.find('\n');
            return static_cast<int64_t>(at == std::string_view::npos ? rest.size() : at + 1);
        }
    }
    char block[kLineBlock];
    uint64_t length = 0;
    while (length < bytes_max) {
        const size_t wanted = std::min<uint64_t>(bytes_max - length, sizeof block);
        const int64_t got = read_body(handle, offset + length, {block, wanted});
        if (got < 0) return got;
        if (got == 0) return kUnreadable;
        const void* hit = std::memchr(block, '\n', static_cast<size_t>(got));
        if (hit != nullptr)
            return static_cast<int64_t>(length) + (static_cast<const char*>(hit) - block) + 1;
        length += static_cast<uint64_t>(got);
    }
    return static_cast<int64_t>(length);
}

}  // namespace mono::engine
