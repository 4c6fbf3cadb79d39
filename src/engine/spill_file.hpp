// SpillFile: session::Spill in an unnamed temporary file. SpillFiles: makes them, and bounds what
// all of them together occupy.
// Owner: one engine, under its lock, but for read().
#pragma once

#include <memory>
#include <string>
#include <utility>

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
    uint32_t files = 0;
    uint64_t bytes = 0;
    bool has_room(uint64_t more) const {
        return limits.bytes_max == 0 ||
               (more <= limits.bytes_max && bytes <= limits.bytes_max - more);
    }
    bool at_limit = false;  // the last refusal was one of ours, not the system's
};

class SpillFile final : public session::Spill {
  public:
    SpillFile(SpillUse& use, os::TempFile file, uint64_t size = 0)
        : use_(use), file_(std::move(file)), size_(size) {
        ++use_.files;
        use_.bytes += size;
    }
    ~SpillFile() override {
        --use_.files;
        use_.bytes -= size_;
    }

    bool append(std::string_view bytes) override {
        use_.at_limit = !use_.has_room(bytes.size());
        if (use_.at_limit || !file_.write_at(size_, bytes)) return false;
        size_ += bytes.size();
        use_.bytes += bytes.size();
        return true;
    }
    int64_t read(uint64_t offset, std::span<char> into) const override {
        return file_.read_at(offset, into);
    }
    int fd() const override { return file_.fd(); }
    uint64_t size() const override { return size_; }
    void clear() override {
        file_.truncate();
        use_.bytes -= std::exchange(size_, 0);
    }

  private:
    SpillUse& use_;
    os::TempFile file_;
    uint64_t size_ = 0;
};

class SpillFiles final : public session::SpillFactory {
  public:
    // `directory` empty: TMPDIR as it is now.
    explicit SpillFiles(std::string directory)
        : directory_(directory.empty() ? os::TempFile::environment_directory()
                                       : std::move(directory)) {}
    void limit(const SpillLimits& limits) { use_.limits = limits; }
    std::unique_ptr<session::Spill> make() override {
        use_.at_limit = use_.files >= use_.limits.files_max;
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
        return use_.files < use_.limits.files_max && use_.has_room(bytes);
    }
    bool at_limit() const override { return use_.at_limit; }
    uint32_t files() const { return use_.files; }

  private:
    std::string directory_;
    SpillUse use_;
};

}  // namespace mono::engine
