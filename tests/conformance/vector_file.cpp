#include "vector_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace mono::conformance {
namespace {

int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// "{text*count}" after the backslash; `at` is on the brace.
bool unescape_repeat(std::string_view text, size_t& at, std::string& out) {
    const size_t close = text.find('}', at);
    if (close == std::string_view::npos) return false;
    const std::string_view inside = text.substr(at + 1, close - at - 1);
    const size_t star = inside.rfind('*');
    if (star == std::string_view::npos || star + 1 == inside.size()) return false;
    std::string piece;
    if (!unescape(inside.substr(0, star), piece)) return false;
    int count = 0;
    for (const char digit : inside.substr(star + 1)) {
        if (digit < '0' || digit > '9' || count > 100'000) return false;
        count = count * 10 + (digit - '0');
    }
    for (int done = 0; done < count; ++done) out += piece;
    at = close;
    return true;
}

bool unescape_one(std::string_view text, size_t& at, std::string& out) {
    switch (text[at]) {
        case 'r':
            out += '\r';
            return true;
        case 'n':
            out += '\n';
            return true;
        case 't':
            out += '\t';
            return true;
        case '0':
            out += '\0';
            return true;
        case '\\':
            out += '\\';
            return true;
        case '{':
            return unescape_repeat(text, at, out);
        case 'x': {
            if (text.size() - at < 3) return false;
            const int high = hex_digit(text[at + 1]);
            const int low = hex_digit(text[at + 2]);
            if (high < 0 || low < 0) return false;
            out += static_cast<char>(high * 16 + low);
            at += 2;
            return true;
        }
        default:
            return false;
    }
}

enum class Block : uint8_t { kProse, kHttp, kFrames, kSettings, kEvents };

bool take_line(Block block, std::string_view line, VectorCase& current) {
    switch (block) {
        case Block::kProse:
            return true;
        case Block::kHttp:
            return unescape(line, current.bytes);
        case Block::kFrames:
            current.frames.emplace_back(line);
            return true;
        case Block::kSettings: {
            const size_t space = std::min(line.find(' '), line.size());
            current.settings.emplace_back(line.substr(0, space),
                                          line.substr(std::min(space + 1, line.size())));
            return true;
        }
        case Block::kEvents: {
            std::string raw;
            if (!unescape(line, raw)) return false;
            current.events.push_back(escape(raw));
            return true;
        }
    }
    return false;
}

}  // namespace

bool unescape(std::string_view text, std::string& out) {
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\') {
            out += text[at];
            continue;
        }
        if (++at == text.size() || !unescape_one(text, at, out)) return false;
    }
    return true;
}

std::string escape(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char byte : bytes) {
        const auto value = static_cast<uint8_t>(byte);
        switch (byte) {
            case '\r':
                out += "\\r";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\0':
                out += "\\0";
                break;
            case '\\':
                out += "\\\\";
                break;
            default:
                if (value >= 0x20 && value < 0x7F) {
                    out += byte;
                } else {
                    out += "\\x";
                    out += kDigits[value >> 4];
                    out += kDigits[value & 0xF];
                }
        }
    }
    return out;
}

std::string parse_vectors(std::string_view text, const VectorCase& origin,
                          std::vector<VectorCase>& cases) {
    Block block = Block::kProse;
    VectorCase* current = nullptr;
    int number = 0;
    const auto mistake = [&](const char* what) {
        return origin.file + ":" + std::to_string(number) + ": " + what;
    };
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ++number;
        if (block == Block::kProse && line.starts_with("## ")) {
            current = &cases.emplace_back(origin);
            current->line = number;
            current->title = line.substr(3);
        } else if (line.starts_with("```")) {
            const std::string_view kind = line.substr(3);
            if (!current) return mistake("a block before the first title");
            if ((block == Block::kProse) == kind.empty()) return mistake("a stray fence");
            if (kind.empty())
                block = Block::kProse;
            else if (kind == "http")
                block = Block::kHttp;
            else if (kind == "frames")
                block = Block::kFrames;
            else if (kind == "settings")
                block = Block::kSettings;
            else if (kind == "events")
                block = Block::kEvents;
            else
                return mistake("a block that is not http, frames, settings or events");
        } else if (current && !take_line(block, line, *current)) {
            return mistake("an unknown escape");
        }
    }
    return block == Block::kProse ? std::string() : mistake("a block without end");
}

bool read_file(const std::string& path, std::string& out) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) return false;
    char piece[4096];
    size_t size = 0;
    while ((size = std::fread(piece, 1, sizeof(piece), file.get())) > 0) out.append(piece, size);
    return true;
}

std::vector<VectorCase> load_vectors(const std::string& folder,
                                     std::vector<std::string>& problems) {
    namespace fs = std::filesystem;
    std::vector<fs::path> paths;
    std::error_code failure;
    for (fs::recursive_directory_iterator at(folder, failure), end; !failure && at != end;
         at.increment(failure)) {
        if (at->path().extension() == ".md" && at->path().filename() != "README.md")
            paths.push_back(at->path());
    }
    if (failure) problems.push_back(folder + ": " + failure.message());
    std::sort(paths.begin(), paths.end());
    std::vector<VectorCase> cases;
    for (const fs::path& path : paths) {
        VectorCase origin;
        origin.file = path.filename().string();
        origin.group = path.parent_path().filename().string();
        std::string text;
        if (!read_file(path.string(), text)) problems.push_back(path.string() + ": unreadable");
        const std::string mistake = parse_vectors(text, origin, cases);
        if (!mistake.empty()) problems.push_back(mistake);
    }
    return cases;
}

}  // namespace mono::conformance
