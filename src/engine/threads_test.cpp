// Several threads over one engine.

#include "engine/support_test.hpp"
#include "os/wakeup.hpp"

namespace mono::engine {
namespace {

// Threads that answer and never look at what the engine wants to have taken.
class Deaf {
  public:
    Deaf(Engine& engine, int count, std::string body) : engine_(engine), body_(std::move(body)) {
        for (int i = 0; i < count; ++i) threads_.emplace_back([this] { serve(); });
    }
    ~Deaf() {
        stop_ = true;
        engine_.wake();
        for (std::thread& thread : threads_) thread.join();
    }
    Deaf(const Deaf&) = delete;
    Deaf& operator=(const Deaf&) = delete;
    int empty_handed() const { return empty_handed_; }

  private:
    void serve() {
        while (!stop_) {
            session::Exchange* exchange = engine_.take(10'000, engine_.wakes());
            if (exchange == nullptr) {
                ++empty_handed_;
                continue;
            }
            set_head(*exchange);
            const auto length = static_cast<int64_t>(body_.size());
            engine_.write(*exchange, {body_, this}, length, true);
            engine_.finish(*exchange);
        }
    }

    Engine& engine_;
    const std::string body_;
    std::atomic<bool> stop_{false};
    std::atomic<int> empty_handed_{0};
    std::vector<std::thread> threads_;
};

TEST(Threads, FourThreadsAHundredConnections) {
    Options options;
    options.slots = 4;
    Server server(std::move(options));
    constexpr int kConnections = 100;
    constexpr int kRequests = 20;
    std::vector<std::unique_ptr<Application>> applications;
    for (int i = 0; i < 4; ++i)
        applications.push_back(std::make_unique<Application>(server.engine()));
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    for (int group = 0; group < 4; ++group) {
        clients.emplace_back([&server, &good, group] {
            std::vector<Client> mine;
            for (int i = 0; i < kConnections / 4; ++i) mine.push_back(server.client());
            for (int round = 0; round < kRequests; ++round) {
                for (size_t i = 0; i < mine.size(); ++i)
                    mine[i].get("/" + std::to_string(group) + "/" + std::to_string(i));
                for (size_t i = 0; i < mine.size(); ++i)
                    good +=
                        mine[i].response() == "/" + std::to_string(group) + "/" + std::to_string(i);
            }
        });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(good, kConnections * kRequests);
    EXPECT_TRUE(eventually([&server] { return server->connections() == 0; }));
    applications.clear();
    const board::Totals counters = server->totals();
    EXPECT_EQ(server->connections_accepted(), 100u);
    EXPECT_EQ(counters.answered + counters.aborted, 2000u);
    EXPECT_EQ(counters.refused, 0u);
}

// Clients that leave at random, and every request is counted once.
TEST(Threads, EveryRequestIsCountedOnce) {
    Options options;
    options.slots = 3;
    Server server(std::move(options));
    std::atomic<uint64_t> run{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> applications;
    for (int i = 0; i < 3; ++i) {
        applications.emplace_back([&, i] {
            uint32_t turn = static_cast<uint32_t>(i);
            while (!stop || !server->drained()) {
                session::Exchange* exchange = server->take(20, server->wakes());
                server->take_journal();
                if (exchange == nullptr) continue;
                ++run;
                set_head(*exchange);
                const std::string body(++turn % 5 * 3'000, 'x');
                server->write(*exchange, {body, nullptr}, -1, false);
                if (turn % 7 == 0) {
                    server->abandon(*exchange);
                    continue;
                }
                server->write(*exchange, {body, nullptr}, -1, true);
                server->finish(*exchange);
            }
        });
    }
    std::vector<std::thread> clients;
    for (int group = 0; group < 3; ++group) {
        clients.emplace_back([&server, group] {
            for (int i = 0; i < 150; ++i) {
                Client client = server.client();
                client.get("/", i % 3 == 0 ? "Connection: close\r\n" : "");
                if (i % 4 == group)
                    client.reset();
                else if (i % 4 != 3)
                    client.response();
            }
        });
    }
    for (std::thread& client : clients) client.join();
    server->drain(false);
    stop = true;
    for (std::thread& application : applications) application.join();
    const board::Totals counters = server->totals();
    // Those that died in the queue are aborted too, and never ran.
    EXPECT_GE(counters.answered + counters.aborted, run);
    EXPECT_LE(counters.answered + counters.aborted, 450u);
    EXPECT_LE(counters.answered, run);
    EXPECT_EQ(server->connections(), 0u);
}

// One thread hears that there is something to take; the others stay, and serve.
TEST(Threads, AJournalThatNobodyTakesStallsNobody) {
    Options options;
    options.slots = 4;
    Server server(std::move(options));
    Deaf deaf(server.engine(), 4, "ok");
    for (int i = 0; i < 10; ++i) {
        Client wrong = server.client();
        ASSERT_TRUE(wrong.send("BAD\r\n\r\n"));
        ASSERT_TRUE(wrong.wait_for("HTTP/1.1 400 "));
        Client client = server.client();
        client.get("/");
        ASSERT_EQ(client.response(), "ok");
    }
    base::quiet_for(50, "nobody leaves its wait");
    EXPECT_TRUE(server->needs_attention());
    EXPECT_LE(deaf.empty_handed(), 1);
    EXPECT_EQ(server->take_journal().size(), 10u);
    EXPECT_FALSE(server->needs_attention());
}

TEST(Threads, OwnersThatNobodyTakesStallNobody) {
    Options options;
    options.slots = 4;
    Server server(std::move(options), 16 * 1024);
    const std::string body(200'000, 'x');
    Deaf deaf(server.engine(), 4, body);
    for (int i = 0; i < 10; ++i) {
        Client client = server.client(16 * 1024);
        client.get("/");
        ASSERT_EQ(client.response(), body);
    }
    ASSERT_TRUE(eventually([&server] { return server->needs_attention(); }));
    base::quiet_for(50, "nobody leaves its wait");
    EXPECT_LE(deaf.empty_handed(), 1);
    EXPECT_FALSE(server->take_released().empty());
}

// Who tells the journal need not be in take(): it is rung for once, and nobody else leaves.
TEST(Threads, AJournalRingsOnceForWhoTellsIt) {
    os::Wakeup teller;
    Options options;
    options.slots = 4;
    options.runner_fd = teller.writer();
    Server server(std::move(options));
    Deaf deaf(server.engine(), 4, "ok");
    for (const size_t entries : {3u, 2u}) {
        for (size_t i = 0; i < entries; ++i) {
            Client wrong = server.client();
            ASSERT_TRUE(wrong.send("BAD\r\n\r\n"));
            ASSERT_TRUE(wrong.wait_for("HTTP/1.1 400 "));
        }
        char rings[16];
        EXPECT_EQ(read(teller.reader(), rings, sizeof rings), 1);
        EXPECT_EQ(server->take_journal().size(), entries);
    }
    EXPECT_FALSE(server->needs_attention());
    EXPECT_EQ(deaf.empty_handed(), 0);
}

TEST(Threads, WakeReachesEveryoneWhoWaits) {
    Options options;
    options.slots = 4;
    Server server(std::move(options));
    std::atomic<int> back{0};
    std::vector<std::thread> takers;
    const uint64_t wakes = server->wakes();
    for (int i = 0; i < 4; ++i)
        takers.emplace_back([&] {
            EXPECT_EQ(server->take(-1, wakes), nullptr);
            ++back;
        });
    base::quiet_for(50, "nobody comes back");
    EXPECT_EQ(back, 0);
    server->wake();
    EXPECT_TRUE(eventually([&back] { return back == 4; }));
    for (std::thread& taker : takers) taker.join();
    EXPECT_EQ(server->take(10'000, wakes), nullptr);  // rung since: at once
}

// Whoever leaves the seat hands it on, also those that were just about to take it.
TEST(Threads, TheSeatIsNeverEmptyWhileSomebodyWaits) {
    Options options;
    options.slots = 4;
    Server server(std::move(options));
    std::atomic<bool> stop{false};
    std::vector<std::thread> impatient;
    for (int i = 0; i < 3; ++i)
        impatient.emplace_back([&] {
            while (!stop) {
                session::Exchange* exchange = server->take(1, server->wakes());
                if (exchange != nullptr) respond(server.engine(), *exchange, "x");
            }
        });
    std::thread patient([&] {
        while (!stop) {
            session::Exchange* exchange = server->take(-1, server->wakes());
            if (exchange != nullptr) respond(server.engine(), *exchange, "x");
        }
    });
    base::pace(300, "the seat changes hands many times");
    stop = true;  // for the impatient ones: the patient one must have the seat now
    for (std::thread& thread : impatient) thread.join();
    Client client = server.client();
    client.get("/");
    EXPECT_EQ(client.response(), "x");
    server->wake();
    patient.join();
}

}  // namespace
}  // namespace mono::engine
