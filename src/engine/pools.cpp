#include "engine/pools.hpp"

namespace mono::engine {

ExchangeStore::~ExchangeStore() {
    for (session::Exchange* exchange : kept_) delete exchange;
}

session::Exchange* ExchangeStore::get() {
    if (!kept_.empty()) {
        session::Exchange* exchange = kept_.back();
        kept_.pop_back();
        return exchange;
    }
    if (free_places_.empty()) {
        free_places_.push_back(static_cast<uint32_t>(places_.size()));
        places_.emplace_back();
    }
    auto* exchange = new session::Exchange;
    exchange->place = free_places_.back();
    free_places_.pop_back();
    Place& place = places_[exchange->place];
    place.exchange = exchange;
    exchange->generation = place.generation;
    return exchange;
}

void ExchangeStore::put(session::Exchange* exchange) {
    exchange->clear();
    if (kept_.size() >= kKeptMax) {
        places_[exchange->place] = {nullptr, exchange->generation};
        free_places_.push_back(exchange->place);
        delete exchange;
        return;
    }
    kept_.push_back(exchange);
}

Link& LinkTable::add(const session::ConnectionContext& context, os::Fd fd, session::PeerInfo peer,
                     int64_t now_ms) {
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.link = std::make_unique<Link>(context, std::move(fd), std::move(peer), now_ms);
    slot.link->key = (uint64_t{slot.generation} << 32) | index;
    ++size_;
    return *slot.link;
}

void LinkTable::remove(Link& link) {
    auto index = static_cast<uint32_t>(link.key);
    Slot& slot = slots_[index];
    slot.generation = (slot.generation + 1) & kGenerationMask;
    slot.link.reset();
    free_.push_back(index);
    --size_;
}

Link* LinkTable::find(uint64_t key) {
    auto index = static_cast<uint32_t>(key);
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.link && slot.link->key == key ? slot.link.get() : nullptr;
}

}  // namespace mono::engine
