// vectors_to_corpus VECTORS OUT: writes the cases of tests/vectors as seeds, one file a case, into
// OUT/head and OUT/connection (the stream), OUT/chunked (the body), OUT/target ("METHOD target")
// and OUT/ws (the stream of a WebSocket).
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "vector_file.hpp"
#include "ws_frames.hpp"

namespace {

bool write_file(const std::string& path, std::string_view bytes) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
    return file && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
}

std::string_view target_of(std::string_view bytes) {
    const size_t first = bytes.find(' ');
    const size_t second = first == std::string_view::npos ? first : bytes.find(' ', first + 1);
    return bytes.substr(0, second == std::string_view::npos ? 0 : second);
}

std::string_view body_of(std::string_view bytes) {
    const size_t end = bytes.find("\r\n\r\n");
    return end == std::string_view::npos ? std::string_view() : bytes.substr(end + 4);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const std::string out = argv[2];
    std::error_code failure;
    for (const char* folder : {"/head", "/connection", "/chunked", "/target", "/ws"})
        std::filesystem::create_directories(out + folder, failure);
    std::vector<std::string> problems;
    size_t count = 0;
    bool written = true;
    for (const auto& vector : mono::conformance::load_vectors(argv[1], problems)) {
        if (vector.group == "ws") {
            std::string bytes = vector.bytes;
            const std::string mistake = mono::conformance::encode_frames(vector.frames, bytes);
            if (!mistake.empty()) problems.push_back(mistake);
            written &=
                write_file(out + "/ws/" + vector.file + "_" + std::to_string(vector.line), bytes);
            continue;
        }
        const bool chunked = vector.group == "chunked";
        if (!chunked && !vector.group.starts_with("h1")) continue;
        const std::string name =
            vector.group + "_" + vector.file + "_" + std::to_string(vector.line);
        written &= write_file(out + "/head/" + name, vector.bytes);
        written &= write_file(out + "/connection/" + name, vector.bytes);
        if (chunked)
            written &= write_file(out + "/chunked/" + name, body_of(vector.bytes));
        else
            written &= write_file(out + "/target/" + name, target_of(vector.bytes));
        ++count;
    }
    for (const std::string& problem : problems) std::fprintf(stderr, "%s\n", problem.c_str());
    return problems.empty() && written && count > 0 ? 0 : 1;
}
