// Answers to slow readers on their way to a file, and without one.
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

constexpr int kSmallBuffer = 32 * 1024;
constexpr uint64_t kMiB = 1 << 20;

uint64_t stored_bytes() {
    uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
        std::error_code gone;
        const std::string path = std::filesystem::read_symlink(entry.path(), gone).string();
        struct stat status {};
        if (path.ends_with("(deleted)") && stat(entry.path().c_str(), &status) == 0)
            bytes += static_cast<uint64_t>(status.st_size);
    }
    return bytes;
}

// Every place has its own bytes.
std::string pattern(size_t size) {
    std::string text;
    text.reserve(size + 32);
    for (size_t at = 0; text.size() < size; ++at) text += std::to_string(at * 7919) + " ";
    text.resize(size);
    return text;
}

session::Exchange* request(Server& server, Client& client) {
    client.get("/large");
    session::Exchange* exchange = server.take();
    EXPECT_NE(exchange, nullptr);
    if (exchange != nullptr) set_head(*exchange);
    return exchange;
}

bool has_line(const Server& server, std::string_view text) {
    for (const JournalEntry& entry : server.journal)
        if (entry.text.find(text) != std::string::npos) return true;
    return false;
}

// The application gives its answer and is free; others are served while the disk takes it.
TEST(EngineSpill, NobodyWaitsForTheDisk) {
    Server server({}, kSmallBuffer);
    Client slow = server.client(kSmallBuffer);
    session::Exchange* exchange = request(server, slow);
    std::string body = pattern(80 * kMiB);
    const auto length = static_cast<int64_t>(body.size());
    EXPECT_EQ(server->write(*exchange, {body, &body}, length, true), WriteStatus::kKept);
    EXPECT_LT(stored_bytes(), body.size() / 2);
    server->finish(*exchange);
    int served = 0;
    Client other = server.client();
    while (stored_bytes() < body.size() - 2 * kMiB) {
        other.get("/other");
        session::Exchange* small = server.take();
        ASSERT_NE(small, nullptr);
        respond(server.engine(), *small, "here");
        ASSERT_EQ(other.response(), "here");
        ++served;
    }
    EXPECT_GT(served, 10);
    EXPECT_EQ(open_spills(), 2u) << "a file has 64 MiB";
    EXPECT_TRUE(server.turn_until([&] { return !server.released.empty(); })) << "it is stored";
    EXPECT_EQ(server.released, std::vector<void*>{&body});
    std::thread reader([&] { EXPECT_TRUE(slow.response() == body); });
    EXPECT_TRUE(server.turn_until([] { return open_spills() == 0; }));
    reader.join();
}

// The reader goes on meanwhile, in all places of what is being stored.
TEST(EngineSpill, StoredAndReadAtOnce) {
    for (size_t piece_bytes : {size_t{3000}, size_t{70'000}, size_t{3'000'000}}) {
        Server server({}, kSmallBuffer);
        Client client = server.client(kSmallBuffer);
        session::Exchange* exchange = request(server, client);
        const std::string body = pattern(8 * kMiB);
        std::optional<std::string> got;
        std::thread reader([&] { got = client.response(); });
        size_t kept = 0;
        for (size_t at = 0; at < body.size(); at += piece_bytes) {
            const Piece piece{std::string_view(body).substr(at, piece_bytes), &server};
            const WriteStatus status = server->write(*exchange, piece, -1, false);
            ASSERT_NE(status, WriteStatus::kGone);
            kept += status == WriteStatus::kKept ? 1 : 0;
        }
        server->write(*exchange, {}, -1, true);
        server->finish(*exchange);
        EXPECT_TRUE(server.turn_until([&] { return server.released.size() >= kept; }));
        EXPECT_TRUE(server.turn_until([] { return open_spills() == 0; }));
        reader.join();
        EXPECT_TRUE(got == body) << piece_bytes;
        EXPECT_EQ(server.released.size(), kept);
    }
}

TEST(EngineSpill, AReaderThatLeavesMeanwhile) {
    for (int round = 0; round < 10; ++round) {
        Server server({}, kSmallBuffer);
        Client client = server.client(kSmallBuffer);
        session::Exchange* exchange = request(server, client);
        std::string body(16 * kMiB, 'x');
        const auto length = static_cast<int64_t>(body.size());
        ASSERT_EQ(server->write(*exchange, {body, &body}, length, true), WriteStatus::kKept);
        server->finish(*exchange);
        EXPECT_TRUE(eventually([round] { return stored_bytes() >= round * kMiB; }));
        client.reset();
        EXPECT_TRUE(server.turn_until([&] { return server->connections() == 0; }));
        EXPECT_TRUE(server.turn_until([] { return open_spills() == 0; }));
        EXPECT_TRUE(server.turn_until([&] { return !server.released.empty(); }));
        EXPECT_EQ(server.released, std::vector<void*>{&body});
    }
}

// The bound is in memory then, and the reader makes room.
TEST(EngineSpill, WithoutADiskTheApplicationWaits) {
    Server server({}, kSmallBuffer);
    Client client = server.client(kSmallBuffer);
    session::Exchange* exchange = request(server, client);
    const std::string body = pattern(8 * kMiB);
    constexpr size_t kPiece = 64 * 1024;
    const FullDisk full;
    std::atomic<size_t> given{0};
    std::thread application([&] {
        for (; given < body.size(); given += kPiece) {
            const std::string_view piece = std::string_view(body).substr(given, kPiece);
            EXPECT_NE(server->write(*exchange, {piece, nullptr}, -1, false), WriteStatus::kGone);
        }
    });
    EXPECT_TRUE(eventually([&, last = size_t{1}]() mutable {
        base::quiet_for(30, "the application writes no further");
        return given == std::exchange(last, given.load());
    }));
    EXPECT_LT(given, 4 * kMiB);
    EXPECT_LE(server->unsent(*exchange), session::kOutputWaitBytes + 2 * kPiece);
    EXPECT_EQ(stored_bytes(), 0u);
    EXPECT_EQ(open_spills(), 0u);
    std::atomic<bool> read{false};
    std::thread reader([&] {
        EXPECT_TRUE(client.response() == body);
        read = true;
    });
    application.join();
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    EXPECT_TRUE(server.turn_until([&] { return read.load(); }));
    reader.join();
    EXPECT_TRUE(has_line(server, "Cannot store what slow readers have not taken"));
}

TEST(EngineSpill, WithoutADiskAReaderThatHasStoppedEndsTheWait) {
    Options options;
    options.limits.send_ms_max = 100;
    Server server(std::move(options), kSmallBuffer);
    Client client = server.client(kSmallBuffer);
    session::Exchange* exchange = request(server, client);
    const FullDisk full;
    const std::string piece(kMiB, 'x');
    int pieces = 0;
    while (pieces < 50 &&
           server->write(*exchange, {piece, nullptr}, -1, false) != WriteStatus::kGone)
        ++pieces;
    EXPECT_LT(pieces, 5);
    server->abandon(*exchange);
}

// A nested engine cannot wait, and its loop shall not: a slice a turn.
TEST(EngineSpill, ANestedEngineStoresBetweenItsTurns) {
    Server server(nested(true), kSmallBuffer);
    Loop loop(server.engine());
    Client slow = server.client(kSmallBuffer);
    slow.get("/large");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    std::string body = pattern(16 * kMiB);
    const auto length = static_cast<int64_t>(body.size());
    EXPECT_EQ(server->write(*exchange, {body, &body}, length, true), WriteStatus::kKept);
    EXPECT_EQ(stored_bytes(), 0u);
    server->finish(*exchange);
    int served = 0;
    Client other = server.client();
    while (stored_bytes() < body.size() - 2 * kMiB) {
        other.get("/other");
        session::Exchange* small = loop.next();
        ASSERT_NE(small, nullptr);
        respond(server.engine(), *small, "here");
        ASSERT_EQ(other.response(), "here");
        ++served;
    }
    EXPECT_GT(served, 5);
    std::vector<void*> released;
    EXPECT_TRUE(loop.run_until([&] {
        for (void* owner : server->take_released()) released.push_back(owner);
        return !released.empty();
    }));
    EXPECT_EQ(released, std::vector<void*>{&body});
    std::thread reader([&] { EXPECT_TRUE(slow.response() == body); });
    EXPECT_TRUE(loop.run_until([] { return open_spills() == 0; }));
    reader.join();
}

TEST(EngineSpill, ANestedEngineWithoutADisk) {
    Server server(nested(true), kSmallBuffer);
    Loop loop(server.engine());
    Client client = server.client(kSmallBuffer);
    client.get("/large");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    const FullDisk full;
    const std::string body = pattern(4 * kMiB);
    const auto length = static_cast<int64_t>(body.size());
    server->write(*exchange, {body, nullptr}, length, true);
    server->finish(*exchange);
    const int64_t before_ms = cpu_ms();
    const int64_t began_ms = base::monotonic_ms();
    EXPECT_FALSE(loop.run_until([] { return false; }, 300));
    EXPECT_LT(cpu_ms() - before_ms, (base::monotonic_ms() - began_ms) / 2) << "in vain";
    std::atomic<bool> read{false};
    std::thread reader([&] {
        EXPECT_TRUE(client.response() == body);
        read = true;
    });
    EXPECT_TRUE(loop.run_until([&] { return read.load(); }, kPatienceMs, 10));
    reader.join();
}

}  // namespace
}  // namespace mono::engine
