// SpillFile: session::Spill in an unnamed temporary file. SpillFiles: makes them, and bounds what
// all of them together occupy.
// Owner: one engine, under its lock, but for read().
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/buffer.hpp"
#include "engine/accept_policy.hpp"
#include "os/temp_file.hpp"
#include "session/spill.hpp"

namespace mono::engine {

struct SpillLimits {
    uint32_t files_max = UINT32_MAX;
    uint64_t bytes_max = 0;  // 0: as many as the disk takes
};

// What the files of one SpillFiles occupy.
struct SpillUse {
    SpillLimits limits;
    Descriptors* descriptors = nullptr;  // of the whole engine; outlives the files
    uint32_t files = 0;
    uint64_t bytes = 0;
    bool has_room(uint64_t more) const {
        return limits.bytes_max == 0 ||
               (more <= limits.bytes_max && bytes <= limits.bytes_max - more);
    }
    bool has_room_for_file() const {
        return files < limits.files_max && (descriptors == nullptr || descriptors->room_for_file());
    }
    bool at_limit = false;  // the last refusal was one of ours, not the system's
};

class SpillFile final : public session::Spill {
  public:
    SpillFile(SpillUse& use, os::TempFile file, uint64_t size = 0)
        : use_(use), file_(std::move(file)), size_(size) {
        ++use_.files;
        if (use_.descriptors != nullptr) ++use_.descriptors->files;
        use_.bytes += size;
    }
    ~SpillFile() override {
        --use_.files;
        if (use_.descriptors != nullptr) --use_.descriptors->files;
        use_.bytes -= size_;
    }

    // Small pieces are gathered: a chunk of one byte shall not cost a system call.
    bool append(std::string_view bytes) override {
        use_.at_limit = !use_.has_room(bytes.size());
        if (use_.at_limit) return false;
        if (gathered_.size() + bytes.size() > kGatheredBytesMax && !settle()) return false;
        if (bytes.size() > kGatheredBytesMax) {
            if (!file_.write_at(size_, bytes)) return false;
        } else {
            gathered_.append(bytes);
        }
        size_ += bytes.size();
        use_.bytes += bytes.size();
        return true;
    }
    int64_t read(uint64_t offset, std::span<char> into) const override {
        const uint64_t written = size_ - gathered_.size();
        int64_t got = 0;
        if (offset < written) {
            got = file_.read_at(offset, into.first(std::min(into.size(), written - offset)));
            if (got <= 0) return got;
            offset += static_cast<uint64_t>(got);
        }
        if (offset < written || offset >= size_) return got;
        into = into.subspan(static_cast<size_t>(got));
        return got + static_cast<int64_t>(
                         gathered_.view().copy(into.data(), into.size(), offset - written));
    }
    int fd() override { return settle() ? file_.fd() : -1; }
    uint64_t size() const override { return size_; }

    // Instead of append(), for who writes without the lock: room at the end, its offset; and what
    // is put there by any thread, one at a time. nullopt: there is no room.
    std::optional<uint64_t> reserve(uint64_t bytes) {
        use_.at_limit = !use_.has_room(bytes);
        if (use_.at_limit) return std::nullopt;
        use_.bytes += bytes;
        return std::exchange(size_, size_ + bytes);
    }
    [[nodiscard]] bool write(uint64_t offset, std::string_view bytes) {
        return file_.write_at(offset, bytes);
    }
    // The last that was reserved could not be written.
    void take_back(uint64_t bytes) {
        size_ -= bytes;
        use_.bytes -= bytes;
    }

  private:
    bool settle() {
        if (!file_.write_at(size_ - gathered_.size(), gathered_.view())) return false;
        gathered_.release();
        return true;
    }

    static constexpr size_t kGatheredBytesMax = 16 * 1024;
    SpillUse& use_;
    os::TempFile file_;
    uint64_t size_ = 0;
    base::Buffer gathered_;  // the end, which is not in the file yet
};

class SpillFiles final : public session::SpillFactory {
  public:
    // `directory` empty: TMPDIR as it is now.
    explicit SpillFiles(std::string directory)
        : directory_(directory.empty() ? os::TempFile::environment_directory()
                                       : std::move(directory)) {}
    void limit(const SpillLimits& limits, Descriptors* descriptors = nullptr) {
        use_.limits = limits;
        use_.descriptors = descriptors;
    }
    std::unique_ptr<session::Spill> make() override { return open(); }
    std::unique_ptr<SpillFile> open() {
        use_.at_limit = !use_.has_room_for_file();
        if (use_.at_limit) return nullptr;
        os::TempFile file = os::TempFile::open(directory_);
        if (!file.ok()) return nullptr;
        return std::make_unique<SpillFile>(use_, std::move(file));
    }
    // One that another process has filled: it counts here now, and is not refused.
    std::unique_ptr<session::Spill> adopt(os::Fd fd, uint64_t size) {
        return std::make_unique<SpillFile>(use_, os::TempFile::adopt(std::move(fd)), size);
    }
    bool has_room(uint64_t bytes) const override {
        return use_.has_room_for_file() && use_.has_room(bytes);
    }
    bool at_limit() const override { return use_.at_limit; }
    uint32_t files() const { return use_.files; }

  private:
    std::string directory_;
    SpillUse use_;
};

}  // namespace mono::engine
