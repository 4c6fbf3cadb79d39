// Body: the whole body of a request: inside the exchange's buffer, in memory of its own, or in a
// spill file past body_memory_bytes_max. Complete before the application sees it, so that a slow
// sender holds no worker. Filled under the engine's lock; then read by the application's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/buffer.hpp"
#include "session/spill.hpp"

namespace mono::session {

class Body {
  public:
    void clear();

    // Is in `spill`, whole.
    void adopt_spill(std::unique_ptr<Spill> spill) {
        where_ = Where::kSpilled;
        size_ = spill->size();
        spill_ = std::move(spill);
    }
    // For who reads on without the engine's lock; nullptr: it is in memory.
    std::shared_ptr<const Spill> spill() const { return spill_; }
    int spill_fd() const { return spill_ ? spill_->fd() : -1; }

    // Lies at `offset` of the exchange's buffer, `length` bytes long.
    void set_inline(uint32_t offset, uint64_t length) {
        where_ = Where::kInline;
        inline_offset_ = offset;
        size_ = length;
    }
    // False: no room in memory bounds nor on disk.
    [[nodiscard]] bool append(std::string_view bytes, uint64_t memory_bytes_max,
                              SpillFactory& factory);

    uint64_t size() const { return size_; }
    bool in_place() const { return where_ == Where::kInline; }
    bool spilled() const { return where_ == Where::kSpilled; }
    // The whole body where it is in memory; `exchange_buffer` is the exchange's.
    std::string_view view(const char* exchange_buffer) const;
    // Copies from `offset` on; bytes copied, 0 at the end, -1 on an I/O error.
    int64_t read(const char* exchange_buffer, uint64_t offset, std::span<char> into) const;

  private:
    enum class Where : uint8_t { kNone, kInline, kMemory, kSpilled };

    bool start_spill(SpillFactory& factory);

    Where where_ = Where::kNone;
    uint32_t inline_offset_ = 0;
    uint64_t size_ = 0;
    base::Buffer memory_;
    std::shared_ptr<Spill> spill_;
};

}  // namespace mono::session
