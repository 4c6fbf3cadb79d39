// SpillFile: session::Spill in an unnamed temporary file.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "os/temp_file.hpp"
#include "session/spill.hpp"

namespace mono::engine {

class SpillFile final : public session::Spill {
  public:
    explicit SpillFile(os::TempFile file, uint64_t size = 0)
        : file_(std::move(file)), size_(size) {}

    bool append(std::string_view bytes) override {
        if (!file_.write_at(size_, bytes)) return false;
        size_ += bytes.size();
        return true;
    }
    int64_t read(uint64_t offset, std::span<char> into) const override {
        return file_.read_at(offset, into);
    }
    int fd() const override { return file_.fd(); }
    uint64_t size() const override { return size_; }
    void clear() override {
        file_.truncate();
        size_ = 0;
    }

  private:
    os::TempFile file_;
    uint64_t size_ = 0;
};

class SpillFiles final : public session::SpillFactory {
  public:
    // `directory` empty: TMPDIR as it is now.
    explicit SpillFiles(std::string directory)
        : directory_(directory.empty() ? os::TempFile::environment_directory()
                                       : std::move(directory)) {}
    std::unique_ptr<session::Spill> make() override {
        os::TempFile file = os::TempFile::open(directory_);
        if (!file.ok()) return nullptr;
        return std::make_unique<SpillFile>(std::move(file));
    }

  private:
    std::string directory_;
};

}  // namespace mono::engine
