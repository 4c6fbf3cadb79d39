// Requests whose application does not answer, or that nobody had time for.
#include <atomic>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

Options hurried(int64_t request_ms, int64_t kill_ms = 0) {
    Options options;
    options.limits.request_ms_max = request_ms;
    options.limits.request_kill_ms_max = kill_ms;
    return options;
}

size_t overdue(Server& server) {
    size_t count = 0;
    server->collect_overdue([&](session::Exchange&, bool) { ++count; });
    return count;
}

size_t interrupted(Server& server, bool now = true) {
    size_t count = 0;
    server->interrupt_overdue([&](session::Exchange&) {
        ++count;
        return now;
    });
    return count;
}

session::Exchange* entered(Server& server) {
    session::Exchange* exchange = server.take();
    return exchange != nullptr && server->enter_application(*exchange) ? exchange : nullptr;
}

TEST(Deadline, TheClientGetsItsAnswerWhileTheApplicationIsStuck) {
    Server server(hurried(100));
    Client client = server.client();
    client.get("/stuck");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(client.response().has_value());  // nobody drives the engine but its standby
    EXPECT_EQ(client.status(), 504);
    EXPECT_EQ(overdue(server), 1u);
    EXPECT_EQ(overdue(server), 0u) << "told twice";
    EXPECT_EQ(interrupted(server), 1u);
    EXPECT_EQ(interrupted(server), 0u) << "interrupted twice";
    EXPECT_EQ(server->totals().refused, 1u);
    // The application wakes up and answers: nobody hears it.
    set_head(*exchange);
    EXPECT_EQ(server->write(*exchange, {"late", nullptr}, 4, true), WriteStatus::kGone);
    EXPECT_TRUE(server->leave_application(*exchange));
    server->finish(*exchange);
    EXPECT_EQ(client.end(), Client::End::kFin);
    EXPECT_EQ(client.unread(), "");
    const board::Totals totals = server->totals();
    EXPECT_EQ(totals.accepted, 1u);
    EXPECT_EQ(totals.answered + totals.aborted, 0u);
}

TEST(Deadline, AnAnswerThatHasBegunMayTakeItsTime) {
    Server server(hurried(100));
    Client client = server.client();
    client.get("/stream");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    EXPECT_EQ(server->write(*exchange, {"one", nullptr}, -1, false), WriteStatus::kDone);
    base::quiet_for(400, "no deadline ends an answer that has begun");
    EXPECT_EQ(server->write(*exchange, {"two", nullptr}, -1, true), WriteStatus::kDone);
    EXPECT_FALSE(server->leave_application(*exchange));
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "onetwo");
    EXPECT_EQ(overdue(server), 0u);
}

TEST(Deadline, NoneIsLeftForWhoeverSpeaksToItsClientAlone) {
    Server server(hurried(100));
    Client client = server.client();
    client.get("/socket");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    os::Fd shared(server->share_socket(*exchange));
    server->give_away(*exchange);
    base::quiet_for(300, "no deadline is left");
    EXPECT_EQ(overdue(server), 0u);
    server->finish(*exchange);
    shared.reset();
    EXPECT_EQ(client.read_all(), "");
}

TEST(Deadline, CanBeExtendedAndShortened) {
    Server server(hurried(200));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_TRUE(server->extend(*exchange, 60'000));
    base::quiet_for(500, "the first deadline has gone");
    EXPECT_EQ(overdue(server), 0u);
    EXPECT_TRUE(server->extend(*exchange, 50));
    EXPECT_TRUE(eventually([&] { return overdue(server) == 1; }));
    EXPECT_FALSE(server->extend(*exchange, 60'000)) << "it is too late";
    server->abandon(*exchange);
    EXPECT_TRUE(client.response().has_value());
    EXPECT_EQ(client.status(), 504);
}

TEST(Deadline, OthersAreServedMeanwhile) {
    Options options = hurried(100);
    options.slots = 2;
    Server server(std::move(options));
    Client stuck = server.client();
    stuck.get("/stuck");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    Application healthy(server.engine());
    for (int round = 0; round < 20; ++round) {
        Client client = server.client();
        client.get("/healthy");
        EXPECT_EQ(client.response(), "/healthy");
        base::pace(20, "requests beside a stuck one until its time is over");
    }
    EXPECT_TRUE(stuck.response().has_value());
    EXPECT_EQ(stuck.status(), 504);
    server->abandon(*exchange);
}

TEST(Deadline, TheMasterIsToldOfWhatStaysStuck) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    os::Fd reader(ends[0]);
    os::Fd writer(ends[1]);
    os::SharedMemory memory(board::Scoreboard::bytes(1));
    board::Scoreboard board(memory.data(), 1);
    board.clear(0);
    Options options = hurried(50, 200);
    options.board = &board;
    options.master_fd = writer.get();
    Server server(std::move(options));
    Client client = server.client();
    client.get("/stuck?for=ever");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(board.slot(0).in_flight, 1u);
    const board::Flight& flight = board.slot(0).flights[0];
    EXPECT_EQ(flight.phase, board::FlightPhase::kRunning);
    EXPECT_EQ(flight.target.view(), "/stuck?for=ever");
    EXPECT_EQ(flight.method.view(), "GET");
    EXPECT_EQ(flight.client.view(), "127.0.0.1");
    EXPECT_TRUE(eventually([&] { return board.slot(0).overdue == 1; }));
    char byte = 'x';
    EXPECT_EQ(read(reader.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 0);
    EXPECT_TRUE(eventually([&] { return board.slot(0).stuck == 1; }));
    EXPECT_EQ(read(reader.get(), &byte, 1), 1);
    EXPECT_EQ(board.slot(0).in_flight, 1u) << "the application still has it";
    server->abandon(*exchange);
    EXPECT_EQ(board.slot(0).stuck, 0u);
    EXPECT_EQ(board.slot(0).overdue, 0u);
    EXPECT_EQ(board.slot(0).in_flight, 0u);
    EXPECT_EQ(flight.phase, board::FlightPhase::kFree);
}

TEST(Deadline, ABlockedLoopHasAWatch) {
    Options options = hurried(100);
    options.nested = true;
    options.stream_bodies = true;
    options.slots = 10;
    Server server(std::move(options));
    Client client = server.client();
    client.get("/");
    Turn turn;
    ASSERT_TRUE(eventually([&] {
        server->turn(turn);
        return !turn.ready.empty();
    }));
    // No turn from here on: an application blocks the loop.
    EXPECT_TRUE(client.response().has_value());
    EXPECT_EQ(client.status(), 504);
    server->abandon(*turn.ready[0]);
}

std::atomic<int> signals_seen{0};

Options signalled(int64_t request_ms) {
    signals_seen = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++signals_seen; };
    EXPECT_EQ(sigaction(SIGRTMIN + 5, &action, nullptr), 0);
    Options options = hurried(request_ms);
    options.overdue_signal = SIGRTMIN + 5;
    return options;
}

TEST(Deadline, OneSignalForHoweverManyAreLate) {
    Options options = signalled(150);
    options.slots = 20;
    Server server(std::move(options));
    std::vector<Client> clients;
    std::vector<session::Exchange*> running;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(server.client());
        clients.back().get("/");
    }
    for (int i = 0; i < 20; ++i) {
        running.push_back(entered(server));
        ASSERT_NE(running.back(), nullptr);
    }
    for (Client& client : clients) EXPECT_TRUE(client.response().has_value());
    EXPECT_TRUE(eventually([] { return signals_seen >= 1; }));
    EXPECT_LE(signals_seen, 3) << "the first, and perhaps a reminder";
    EXPECT_EQ(overdue(server), 20u);
    EXPECT_EQ(interrupted(server), 20u);
    signals_seen = 0;
    base::quiet_for(600, "nobody rings again");
    EXPECT_EQ(signals_seen, 0) << "whoever collects and interrupts them ends that";
    for (session::Exchange* exchange : running) server->abandon(*exchange);
}

TEST(Deadline, RingsAgainForWhomNobodyHasCollectedOrInterrupted) {
    Server server(signalled(50));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    EXPECT_TRUE(eventually([] { return signals_seen >= 2; }));
    EXPECT_EQ(overdue(server), 1u);
    EXPECT_EQ(interrupted(server, false), 1u) << "not now";
    signals_seen = 0;
    EXPECT_TRUE(eventually([] { return signals_seen >= 1; }));
    EXPECT_TRUE(server->interrupt(*exchange));
    EXPECT_FALSE(server->interrupt(*exchange));
    EXPECT_TRUE(server->leave_application(*exchange));
    server->abandon(*exchange);
}

TEST(Deadline, WhatHasNotBegunDoesNotBegin) {
    Server server(hurried(50));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(client.response().has_value());
    EXPECT_FALSE(server->enter_application(*exchange));
    EXPECT_EQ(overdue(server), 1u);
    EXPECT_EQ(interrupted(server), 0u);
    server->abandon(*exchange);
}

TEST(Deadline, WhatLeavesIsNotInterrupted) {
    Server server(hurried(50));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(client.response().has_value());
    EXPECT_EQ(overdue(server), 1u);
    EXPECT_FALSE(server->leave_application(*exchange));
    EXPECT_FALSE(server->interrupt(*exchange));
    EXPECT_EQ(interrupted(server), 0u);
    server->abandon(*exchange);
}

TEST(Deadline, WhatEndsUncollectedIsToldAllTheSame) {
    Server server(hurried(50));
    Client client = server.client();
    client.get("/quick?enough");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(client.response().has_value());
    server->abandon(*exchange);
    std::vector<JournalEntry> journal = server->take_journal();
    ASSERT_EQ(journal.size(), 1u);
    EXPECT_NE(journal[0].text.find("Request timed out: GET /quick?enough (request id "),
              std::string::npos);
}

TEST(Deadline, WhatDidNotBeginIsToldAllTheSame) {
    Server server(hurried(50));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(client.response().has_value());
    EXPECT_FALSE(server->enter_application(*exchange));
    server->abandon(*exchange);
    std::vector<JournalEntry> journal = server->take_journal();
    ASSERT_EQ(journal.size(), 1u);
    EXPECT_NE(journal[0].text.find("had not begun"), std::string::npos);
}

TEST(Deadline, TheMasterIsToldWhenNobodyCollects) {
    os::SharedMemory memory(board::Scoreboard::bytes(1));
    board::Scoreboard board(memory.data(), 1);
    board.clear(0);
    os::SharedMemory counted(sizeof(std::atomic<int>));
    static std::atomic<int>* copies = nullptr;
    copies = static_cast<std::atomic<int>*>(counted.data());
    struct sigaction action {};
    action.sa_handler = [](int) { ++*copies; };
    ASSERT_EQ(sigaction(SIGRTMIN + 6, &action, nullptr), 0);
    Options options = signalled(50);
    options.board = &board;
    options.stuck_signal = SIGRTMIN + 6;
    Server server(std::move(options));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = entered(server);
    ASSERT_NE(exchange, nullptr);
    const board::Flight& flight = board.slot(0).flights[0];
    EXPECT_TRUE(eventually([&] { return flight.story == board::Story::kStuck; }));
    EXPECT_EQ(copies->load(), 1) << "its stacks are there before the master hears of it";
    size_t untold = 0;
    server->collect_overdue([&](session::Exchange&, bool tell) { untold += tell ? 1 : 0; });
    EXPECT_EQ(untold, 1u) << "the master has not told yet";
    EXPECT_EQ(flight.story, board::Story::kCollected);
    base::quiet_for(300, "stacks are not copied twice");
    EXPECT_EQ(copies->load(), 1);
    server->abandon(*exchange);
}

TEST(QueueTimeout, ARequestBehindASlowOneGets503) {
    Options options;
    options.limits.queue_ms_max = 100;
    Server server(std::move(options));
    Client kept = kept_alive(server);
    Client slow = server.client();
    slow.get("/slow");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    kept.get("/behind");
    ASSERT_TRUE(eventually([&] { return server->totals().accepted == 3; }));
    base::pace(200, "an application that is slower than queue_timeout");
    respond(server.engine(), *exchange, "slow");
    EXPECT_EQ(slow.response(), "slow");
    EXPECT_TRUE(server.turn_until([&] { return server->totals().refused == 1; }));
    EXPECT_TRUE(kept.response().has_value());
    EXPECT_EQ(kept.status(), 503);
    EXPECT_NE(kept.head.find("Retry-After: "), std::string::npos);
    EXPECT_EQ(server->totals().answered, 2u);
}

TEST(Queue, AClientThatHasLeftIsNotServed) {
    Server server;
    Client kept = kept_alive(server);
    Client slow = server.client();
    slow.get("/slow");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    kept.get("/left");
    ASSERT_TRUE(eventually([&] { return server->totals().accepted == 3; }));
    kept.close();
    EXPECT_TRUE(eventually([&] { return server->totals().aborted == 1; }));
    respond(server.engine(), *exchange, "slow");
    EXPECT_EQ(server.take(100), nullptr);
}

}  // namespace
}  // namespace mono::engine
