#include "session/body.hpp"

#include <algorithm>

namespace mono::session {

void Body::clear() {
    where_ = Where::kNone;
    size_ = 0;
    memory_.release();
    spill_.reset();
}

bool Body::start_spill(SpillFactory& factory) {
    spill_ = factory.make();
    if (!spill_) return false;
    where_ = Where::kSpilled;
    bool moved = spill_->append(memory_.view());
    memory_.release();
    return moved;
}

bool Body::append(std::string_view bytes, uint64_t memory_bytes_max, SpillFactory& factory) {
    if (where_ == Where::kNone) where_ = Where::kMemory;
    bool fits = memory_.size() + bytes.size() <= memory_bytes_max;
    if (where_ == Where::kMemory && !fits && !start_spill(factory)) return false;
    size_ += bytes.size();
    if (where_ == Where::kSpilled) return spill_->append(bytes);
    memory_.append(bytes);
    return true;
}

std::string_view Body::view(const char* exchange_buffer) const {
    if (where_ == Where::kInline) return {exchange_buffer + inline_offset_, size_};
    if (where_ == Where::kMemory) return memory_.view();
    return {};
}

int64_t Body::read(const char* exchange_buffer, uint64_t offset, std::span<char> into) const {
    if (offset >= size_) return 0;
    if (where_ == Where::kSpilled) return spill_->read(offset, into);
    std::string_view rest = view(exchange_buffer).substr(offset);
    size_t count = std::min(rest.size(), into.size());
    std::copy_n(rest.data(), count, into.data());
    return static_cast<int64_t>(count);
}

}  // namespace mono::session
