// Runs a fuzz target over files, and over all files of folders, without libFuzzer: the corpus is
// part of every test run, whatever the compiler.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fuzz.hpp"

namespace {

bool read_file(const std::string& path, std::vector<uint8_t>& out) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) return false;
    uint8_t piece[4096];
    size_t size = 0;
    while ((size = std::fread(piece, 1, sizeof(piece), file.get())) > 0)
        out.insert(out.end(), piece, piece + size);
    return true;
}

std::vector<std::string> files_under(const char* path) {
    std::error_code failure;
    if (!std::filesystem::is_directory(path, failure)) return {path};
    std::vector<std::string> files;
    for (std::filesystem::recursive_directory_iterator at(path, failure), end;
         !failure && at != end; at.increment(failure)) {
        if (at->is_regular_file(failure)) files.push_back(at->path().string());
    }
    return files;
}

}  // namespace

int main(int argc, char** argv) {
    size_t count = 0;
    for (int at = 1; at < argc; ++at) {
        for (const std::string& path : files_under(argv[at])) {
            std::vector<uint8_t> bytes;
            if (!read_file(path, bytes)) {
                std::fprintf(stderr, "cannot read %s\n", path.c_str());
                return 1;
            }
            // Said before it runs, so that the last line names the file that broke it.
            std::printf("%s\n", path.c_str());
            std::fflush(stdout);
            // A copy of exactly this size, so that AddressSanitizer sees its end.
            const auto exact = std::make_unique<uint8_t[]>(bytes.size());
            std::copy(bytes.begin(), bytes.end(), exact.get());
            LLVMFuzzerTestOneInput(exact.get(), bytes.size());
            ++count;
        }
    }
    std::printf("%zu inputs replayed\n", count);
    return count == 0 ? 1 : 0;  // an empty corpus tests nothing
}
