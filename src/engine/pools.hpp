// Handle: names an exchange as long as its application has it, and nothing afterwards.
// ExchangeStore: exchanges that are kept for the next request, and who is behind a handle.
// LinkTable: the open connections by slot, with a generation each, so that a late event for a
// closed one finds nothing. Owner: one engine, under its lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/link.hpp"
#include "session/connection.hpp"

namespace mono::engine {

// What an application or its runner may keep: of any age, in any thread, without the lock.
struct Handle {
    Handle() = default;
    Handle(const session::Exchange& exchange)
        : place(exchange.place), generation(exchange.generation) {}
    uint32_t place = UINT32_MAX;
    uint64_t generation = 0;
};

class ExchangeStore final : public session::ExchangePool {
  public:
    ExchangeStore() = default;
    ExchangeStore(const ExchangeStore&) = delete;
    ExchangeStore& operator=(const ExchangeStore&) = delete;
    ~ExchangeStore() override;
    session::Exchange* get() override;
    void put(session::Exchange* exchange) override;
    // nullptr: the request is over.
    session::Exchange* find(const Handle& handle) const {
        if (handle.place >= places_.size()) return nullptr;
        const Place& place = places_[handle.place];
        bool same = place.exchange != nullptr && place.exchange->generation == handle.generation;
        return same ? place.exchange : nullptr;
    }

  private:
    static constexpr size_t kKeptMax = 256;
    struct Place {
        session::Exchange* exchange = nullptr;
        uint64_t generation = 0;  // of the last exchange, when there is none
    };
    std::vector<session::Exchange*> kept_;
    std::vector<Place> places_;
    std::vector<uint32_t> free_places_;
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
