// ExchangeStore: exchanges that are kept for the next request. LinkTable: the open connections by
// slot, with a generation each, so that a late event for a closed one finds nothing.
// Owner: one engine, under its lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/link.hpp"
#include "session/connection.hpp"

namespace mono::engine {

class ExchangeStore final : public session::ExchangePool {
  public:
    ExchangeStore() = default;
    ExchangeStore(const ExchangeStore&) = delete;
    ExchangeStore& operator=(const ExchangeStore&) = delete;
    ~ExchangeStore() override;
    session::Exchange* get() override;
    void put(session::Exchange* exchange) override;

  private:
    static constexpr size_t kKeptMax = 256;
    std::vector<session::Exchange*> kept_;
};

class LinkTable {
  public:
    Link& add(const session::ConnectionContext& context, os::Fd fd, session::PeerInfo peer,
              int64_t now_ms);
    void remove(Link& link);
    // nullptr: the key's connection is gone.
    Link* find(uint64_t key);
    uint32_t size() const { return size_; }
    template <class Visit>
    void for_each(Visit visit) {
        for (size_t i = 0; i < slots_.size(); ++i) {
            if (slots_[i].link) visit(*slots_[i].link);
        }
    }

  private:
    struct Slot {
        std::unique_ptr<Link> link;
        uint32_t generation = 0;
    };
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
    uint32_t size_ = 0;
};

}  // namespace mono::engine
