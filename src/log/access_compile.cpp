// The compiler half of AccessFormat: reads %(atom)s as Python's %-formatting with a dict does.

#include <algorithm>
#include <cctype>
#include <optional>

#include "log/access_format.hpp"

namespace mono::log {
namespace {

struct Letter {
    char letter;
    Atom atom;
    http::KnownField known;
    bool number;  // an int in gunicorn's dict, so that %(x)d is fine
};

constexpr Letter kLetters[] = {
    {'h', Atom::kRemoteAddr, http::KnownField::kOther, false},
    {'l', Atom::kAbsent, http::KnownField::kOther, false},
    {'u', Atom::kUser, http::KnownField::kOther, false},
    {'t', Atom::kTime, http::KnownField::kOther, false},
    {'r', Atom::kRequestLine, http::KnownField::kOther, false},
    {'m', Atom::kMethod, http::KnownField::kOther, false},
    {'U', Atom::kPath, http::KnownField::kOther, false},
    {'q', Atom::kQuery, http::KnownField::kOther, false},
    {'H', Atom::kProtocol, http::KnownField::kOther, false},
    {'s', Atom::kStatus, http::KnownField::kOther, false},
    {'B', Atom::kBodyBytes, http::KnownField::kOther, true},
    {'b', Atom::kBodyBytesText, http::KnownField::kOther, false},
    {'f', Atom::kRequestJoined, http::KnownField::kReferer, false},
    {'a', Atom::kRequestJoined, http::KnownField::kUserAgent, false},
    {'T', Atom::kSeconds, http::KnownField::kOther, true},
    {'M', Atom::kMilliseconds, http::KnownField::kOther, true},
    {'D', Atom::kMicroseconds, http::KnownField::kOther, true},
    {'L', Atom::kDecimalSeconds, http::KnownField::kOther, false},
    {'p', Atom::kPid, http::KnownField::kOther, false},
};

// Ours. They may be absent, which is "-": so they are text, as gunicorn's %(b)s is.
struct Word {
    std::string_view word;
    Atom atom;
};

constexpr Word kWords[] = {
    {"request_id", Atom::kRequestId},     {"trace_id", Atom::kTraceId},
    {"balancer_us", Atom::kBalancerTime}, {"read_us", Atom::kReadTime},
    {"queue_us", Atom::kQueueTime},       {"app_us", Atom::kAppTime},
};

// Environ keys that follow from the request alone (lower case: the lookup ignores case).
struct EnvironKey {
    std::string_view key;
    Atom atom;
};

constexpr EnvironKey kEnvironKeys[] = {
    {"request_method", Atom::kMethod},  {"path_info", Atom::kPath},
    {"query_string", Atom::kQuery},     {"server_protocol", Atom::kProtocol},
    {"remote_addr", Atom::kRemoteAddr}, {"raw_uri", Atom::kTarget},
};

// Those that are the connection's (engine/opening.cpp): nothing that a client sends has these
// names.
constexpr std::string_view kConnectionKeys[] = {
    "SSL_PROTOCOL",      "SSL_CIPHER",          "SSL_SERVER_NAME",
    "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN",     "SSL_CLIENT_I_DN",
    "SSL_CLIENT_SAN",    "SSL_CLIENT_M_SERIAL", "SSL_CLIENT_CERT",
};

struct NamedStep {
    std::string_view name;
    Atom atom;
    http::KnownField known;
};

// What the ready-made formats tell, in their order.
constexpr NamedStep kNamedSteps[] = {
    {"time", Atom::kTimeUtc, http::KnownField::kOther},
    {"remote_addr", Atom::kRemoteAddr, http::KnownField::kOther},
    {"user", Atom::kUser, http::KnownField::kOther},
    {"method", Atom::kMethod, http::KnownField::kOther},
    {"target", Atom::kTarget, http::KnownField::kOther},
    {"protocol", Atom::kProtocol, http::KnownField::kOther},
    {"host", Atom::kRequestJoined, http::KnownField::kHost},
    {"status", Atom::kStatus, http::KnownField::kOther},
    {"bytes", Atom::kBodyBytes, http::KnownField::kOther},
    {"duration_us", Atom::kMicroseconds, http::KnownField::kOther},
    {"referer", Atom::kRequestJoined, http::KnownField::kReferer},
    {"user_agent", Atom::kRequestJoined, http::KnownField::kUserAgent},
    {"pid", Atom::kPidNumber, http::KnownField::kOther},
    {"request_id", Atom::kRequestId, http::KnownField::kOther},
    {"trace_id", Atom::kTraceId, http::KnownField::kOther},
    {"balancer_us", Atom::kBalancerTime, http::KnownField::kOther},
    {"read_us", Atom::kReadTime, http::KnownField::kOther},
    {"queue_us", Atom::kQueueTime, http::KnownField::kOther},
    {"app_us", Atom::kAppTime, http::KnownField::kOther},
};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& byte : result) {
        if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    }
    return result;
}

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

}  // namespace

// Compiles one format; `text_` shrinks from the front as it is read.
class AccessFormatCompiler {
  public:
    explicit AccessFormatCompiler(std::string_view text) : text_(text), whole_(text) {}

    base::Result<AccessFormat> run() {
        if (text_ == "json" || text_ == "logfmt") return ready_made();
        while (!text_.empty()) {
            if (std::optional<base::Failure> failure = next()) return std::move(*failure);
        }
        return std::move(format_);
    }

  private:
    base::Result<AccessFormat> ready_made() {
        const bool json = text_ == "json";
        format_.style_ = json ? LineStyle::kJson : LineStyle::kLogfmt;
        char before = json ? '{' : '\0';
        for (const NamedStep& named : kNamedSteps) {
            if (before != '\0') literal({&before, 1});
            const std::string name(named.name);
            literal(json ? '"' + name + "\":" : name + '=');
            AccessStep step;
            step.atom = named.atom;
            step.known = named.known;
            format_.steps_.push_back(std::move(step));
            before = json ? ',' : ' ';
        }
        if (json) literal("}");
        return std::move(format_);
    }

    void literal(std::string_view text) {
        if (text.empty()) return;
        std::vector<AccessStep>& steps = format_.steps_;
        if (steps.empty() || steps.back().atom != Atom::kLiteral) steps.emplace_back();
        steps.back().text.append(text);
    }

    std::optional<base::Failure> next() {
        const size_t percent = text_.find('%');
        literal(text_.substr(0, percent));
        if (percent == std::string_view::npos) {
            text_ = {};
            return std::nullopt;
        }
        text_.remove_prefix(percent + 1);
        if (text_.empty()) return fault("it ends after a \"%\"");
        if (text_[0] == '%') {
            literal("%");
            text_.remove_prefix(1);
            return std::nullopt;
        }
        if (text_[0] != '(') {
            return fault("a \"%\" must be followed by \"(atom)s\" or \"%\"" + apache_hint());
        }
        return conversion();
    }

    // What Apache's formats have bare, this one has in parentheses: %h, %>s, %{Referer}i.
    std::string apache_hint() const {
        size_t begin = 0;
        while (begin < text_.size() && (text_[begin] == '>' || text_[begin] == '<')) ++begin;
        size_t letter = begin;
        if (letter < text_.size() && text_[letter] == '{') letter = text_.find('}', letter) + 1;
        if (letter >= text_.size()) return "";
        const std::string_view known = letter == begin ? "hlutrsmUqHbBfaTMDLp" : "ioe";
        if (known.find(text_[letter]) == known.npos) return "";
        const std::string key(text_.substr(begin, letter + 1 - begin));
        return "; write \"%(" + key + ")s\" for \"%" + std::string(text_.substr(0, letter + 1)) +
               '"';
    }

    // "(key)[flags][width][.precision]type"
    std::optional<base::Failure> conversion() {
        const std::optional<std::string_view> key = read_key();
        if (!key) return fault("a \"(\" has no \")\"");
        AccessStep step;
        bool number = false;
        choose_atom(*key, step, number);
        read_flags(step);
        step.width = read_number();
        if (!text_.empty() && text_[0] == '.') {
            text_.remove_prefix(1);
            step.precision = static_cast<int16_t>(read_number());
        }
        if (text_.empty()) return fault("%(" + std::string(*key) + ") has no type; write \"s\"");
        const char type = text_[0];
        text_.remove_prefix(1);
        const bool decimal = type == 'd' || type == 'i';
        if (decimal && !number) {
            return fault("%(" + std::string(*key) + ")" + type + " is text; write \"s\"");
        }
        if (!decimal && type != 's') {
            return fault(std::string("the type \"") + type + "\" is not \"s\" or \"d\"");
        }
        // In Python the zero flag means nothing to %s, and a precision of %d is a digit count.
        step.zero_padded = step.zero_padded && decimal;
        if (decimal) step.precision = -1;
        const bool bare = step.width == 0 && step.precision < 0;
        if (step.atom == Atom::kAbsent && bare) {
            literal("-");  // known now, for every line
        } else {
            format_.steps_.push_back(std::move(step));
        }
        return std::nullopt;
    }

    // Python matches nested parentheses within the key.
    std::optional<std::string_view> read_key() {
        int depth = 0;
        for (size_t i = 0; i < text_.size(); ++i) {
            if (text_[i] == '(') ++depth;
            if (text_[i] == ')') --depth;
            if (depth > 0) continue;
            const std::string_view key = text_.substr(1, i - 1);
            text_.remove_prefix(i + 1);
            return key;
        }
        return std::nullopt;
    }

    void read_flags(AccessStep& step) {
        while (!text_.empty() && std::string_view("-0 +#").find(text_[0]) != text_.npos) {
            if (text_[0] == '-') step.left_adjusted = true;
            if (text_[0] == '0') step.zero_padded = true;
            text_.remove_prefix(1);
        }
    }

    uint16_t read_number() {
        constexpr int kNumberMax = 4096;  // a line wider than that is a typing error
        int number = 0;
        while (!text_.empty() && is_digit(text_[0])) {
            number = std::min(number * 10 + (text_[0] - '0'), kNumberMax);
            text_.remove_prefix(1);
        }
        return static_cast<uint16_t>(number);
    }

    void choose_atom(std::string_view key, AccessStep& step, bool& number) {
        step.atom = Atom::kAbsent;
        if (key.size() == 1) {
            for (const Letter& letter : kLetters) {
                if (letter.letter != key[0]) continue;
                step.atom = letter.atom;
                step.known = letter.known;
                number = letter.number;
            }
        } else if (key.size() > 3 && key[0] == '{' && key[key.size() - 2] == '}') {
            choose_braced(lower(key.substr(1, key.size() - 3)), key.back(), step);
        } else {
            for (const Word& word : kWords) {
                if (word.word == key) step.atom = word.atom;
            }
        }
    }

    void choose_braced(const std::string& name, char kind, AccessStep& step) {
        if (kind == 'i' || kind == 'I') field(Atom::kRequestField, name, step);
        if (kind == 'o' || kind == 'O') field(Atom::kResponseField, name, step);
        if (kind == 'e' || kind == 'E') choose_environ(name, step);
    }

    static void field(Atom atom, std::string name, AccessStep& step) {
        step.atom = atom;
        step.known = http::classify(name);
        step.text = std::move(name);
    }

    void choose_environ(const std::string& key, AccessStep& step) {
        for (const EnvironKey& known : kEnvironKeys) {
            if (known.key == key) {
                step.atom = known.atom;
                return;
            }
        }
        for (const std::string_view variable : kConnectionKeys) {
            if (!http::equals_ignoring_case(variable, key)) continue;
            step.atom = Atom::kVariable;
            step.text = variable;
            return;
        }
        std::string name = key;
        std::replace(name.begin(), name.end(), '_', '-');
        const bool content = key == "content_type" || key == "content_length";
        if (content) return field(Atom::kRequestJoined, std::move(name), step);
        if (key.compare(0, 5, "http_") != 0) {
            needs_environ();
            return;
        }
        name.erase(0, 5);
        // These two have no HTTP_ twin in environ.
        if (name == "content-type" || name == "content-length") return;
        field(Atom::kRequestJoined, std::move(name), step);
    }

    void needs_environ() { format_.needs_environ_ = true; }

    base::Failure fault(const std::string& what) const {
        const size_t offset = whole_.size() - text_.size();
        return base::Failure{"access_log_format, near character " + std::to_string(offset) + ": " +
                             what + "."};
    }

    std::string_view text_;
    std::string_view whole_;
    AccessFormat format_;
};

base::Result<AccessFormat> AccessFormat::compile(std::string_view text) {
    return AccessFormatCompiler(text).run();
}

}  // namespace mono::log
