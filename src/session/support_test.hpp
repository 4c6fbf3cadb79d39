// What the tests of a Connection need around it: exchanges that are counted, spills in memory that
// can be full, and the bytes of a chain. Used by tests, the conformance runner and the fuzz target;
// one thread.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/chain.hpp"
#include "session/connection.hpp"
#include "session/spill.hpp"

namespace mono::session {

class MemorySpills final : public SpillFactory {
  public:
    std::unique_ptr<Spill> make() override {
        if (refuses || full) return nullptr;
        ++made;
        return std::make_unique<Memory>(*this);
    }

    bool has_room(uint64_t) const override { return !full; }
    bool at_limit() const override { return full; }

    uint64_t room = UINT64_MAX;  // of each spill
    bool full = false;           // as many as the server permits
    bool refuses = false;        // nothing can be opened
    int made = 0;
    int alive = 0;

  private:
    class Memory final : public Spill {
      public:
        explicit Memory(MemorySpills& owner) : owner_(owner) { ++owner_.alive; }
        ~Memory() override { --owner_.alive; }
        bool append(std::string_view bytes) override {
            if (bytes.size() > owner_.room - bytes_.size()) return false;
            bytes_ += bytes;
            return true;
        }
        int64_t read(uint64_t offset, std::span<char> into) const override {
            if (offset >= bytes_.size()) return 0;
            return static_cast<int64_t>(bytes_.copy(into.data(), into.size(), offset));
        }
        int fd() override { return -1; }
        uint64_t size() const override { return bytes_.size(); }

      private:
        MemorySpills& owner_;
        std::string bytes_;
    };
};

// Reuses the newest one first, as the engine does, so that what a request leaves behind shows.
class CountingPool final : public ExchangePool {
  public:
    CountingPool() = default;
    CountingPool(const CountingPool&) = delete;
    CountingPool& operator=(const CountingPool&) = delete;
    ~CountingPool() override {
        for (Exchange* exchange : kept_) delete exchange;
    }
    Exchange* get() override {
        ++out;
        if (kept_.empty()) return new Exchange;
        Exchange* exchange = kept_.back();
        kept_.pop_back();
        return exchange;
    }
    void put(Exchange* exchange) override {
        --out;
        exchange->clear();
        kept_.push_back(exchange);
    }

    int out = 0;  // that a connection holds

  private:
    std::vector<Exchange*> kept_;
};

// All bytes of a chain without files, which is empty afterwards.
inline std::string drain(base::Chain& chain) {
    std::string text;
    std::vector<base::Released> released;
    while (!chain.empty()) {
        iovec vectors[8];
        const int count = chain.gather(vectors, 8);
        uint64_t bytes = 0;
        for (int at = 0; at < count; ++at) {
            text.append(static_cast<const char*>(vectors[at].iov_base), vectors[at].iov_len);
            bytes += vectors[at].iov_len;
        }
        chain.consume(bytes, released);
    }
    return text;
}

// The whole body, wherever it lies.
inline std::string body_of(const Exchange& exchange) {
    std::string body;
    char piece[1000];
    while (true) {
        const int64_t got =
            exchange.body.read(exchange.bytes.data(), body.size(), {piece, sizeof piece});
        if (got <= 0) return body;
        body.append(piece, static_cast<size_t>(got));
    }
}

// An answer of one piece with a known length, put into `out`.
inline void answer(Connection& connection, std::string_view body, bool may_persist = true) {
    Exchange& exchange = *connection.exchange();
    Response& response = exchange.response;
    ResponseContext context{"test", "", may_persist};
    [[maybe_unused]] http::HeadFault fault = response.head.set_status("200 OK");
    response.begin(exchange.head, context, static_cast<int64_t>(body.size()));
    std::string head(response.head_size_max(context), '\0');
    head.resize(response.write_head(context, head.data()));
    Response::Frame frame = response.frame(body.size(), true);
    connection.out.append_copy(head);
    connection.out.append_copy({frame.prefix, frame.prefix_length});
    connection.out.append_copy(body.substr(0, frame.body_length));
    connection.out.append_copy(frame.suffix);
}

}  // namespace mono::session
