// Two workers' engines over one scoreboard and one pair: what one cannot serve, the other does.
#include <array>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

struct Busy {
    explicit Busy(Server& server) : server_(server), holder_(server.client()) {
        holder_.get("/busy");
        exchange_ = server.take();
        EXPECT_NE(exchange_, nullptr);
        EXPECT_EQ(target_of(*exchange_), "/busy");
    }
    ~Busy() {
        respond(server_.engine(), *exchange_, "busy");
        EXPECT_EQ(holder_.response(), "busy");
    }
    Server& server_;
    Client holder_;
    session::Exchange* exchange_;
};

TEST(Relay, ARequestOfABusyWorkerIsServedByAnIdleSibling) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    {
        Busy busy(here);
        ASSERT_TRUE(
            client.send("POST /moved?a=b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n"
                        "Content-Length: 4\r\n\r\nbodyGET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
        session::Exchange* moved = there.take();
        ASSERT_NE(moved, nullptr);
        EXPECT_EQ(target_of(*moved), "/moved?a=b");
        EXPECT_EQ(body_of(*moved), "body");
        EXPECT_EQ(moved->peer.host, "127.0.0.1");
        EXPECT_NE(moved->peer.port, 0);
        EXPECT_GT(moved->accepted_us, 0);
        EXPECT_LE(moved->accepted_us, moved->started_us);
        EXPECT_LE(moved->ready_us, moved->dispatched_us);
        EXPECT_EQ(moved->request_id().size(), 28u);
        respond(there.engine(), *moved, "moved");
        EXPECT_EQ(client.response(), "moved");
        // The connection stays where it was served, with what was pipelined behind.
        session::Exchange* next = there.take();
        ASSERT_NE(next, nullptr);
        EXPECT_EQ(target_of(*next), "/next");
        respond(there.engine(), *next, "next");
        EXPECT_EQ(client.response(), "next");
        EXPECT_EQ(here->connections(), 1u);
        EXPECT_EQ(there->connections(), 1u);
    }
    EXPECT_EQ(here->totals().accepted, 2u);
    EXPECT_EQ(here->totals().answered, 2u);
    EXPECT_EQ(there->totals().accepted, 2u);
    EXPECT_EQ(there->totals().answered, 2u);
    client.close();
    EXPECT_TRUE(there.turn_until([&] { return there->connections() == 0; }));
}

TEST(Relay, BodiesInFilesAndInChunksGoAlong) {
    Siblings siblings;
    Options options = siblings.options(0);
    options.limits.body_memory_bytes_max = 1000;
    Server here(std::move(options));
    Server there(siblings.options(1));
    const std::string large(300'000, 'x');
    const std::array requests = {
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + large,
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n" + large +
            "\r\n0\r\n\r\n",
        std::string("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "4\r\nabcd\r\n0\r\n\r\n")};
    const size_t before = open_fds();
    for (const std::string& request : requests) {
        Client client = kept_alive(here);
        Busy busy(here);
        ASSERT_TRUE(client.send(request));
        session::Exchange* moved = there.take();
        ASSERT_NE(moved, nullptr);
        EXPECT_EQ(body_of(*moved), request.size() > 1000 ? large : "abcd");
        respond(there.engine(), *moved, "moved");
        EXPECT_EQ(client.response(), "moved");
        client.close();
        EXPECT_TRUE(there.turn_until([&] { return there->connections() == 0; }));
    }
    EXPECT_TRUE(here.turn_until([&] { return here->connections() == 0; }));
    EXPECT_LE(open_fds(), before);
}

TEST(Relay, WhoIsFreeFirstServesWhatWaits) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    Busy busy(here);
    {
        Busy other(there);
        client.get("/waits");
        EXPECT_TRUE(eventually([&] { return siblings.parcels() == 1; }));
        EXPECT_EQ(there->try_take(), nullptr) << "it has no slot left";
    }
    session::Exchange* waited = there->try_take();
    ASSERT_NE(waited, nullptr) << "without a wait: the board tells";
    EXPECT_EQ(siblings.parcels(), 0);
    respond(there.engine(), *waited, "served");
    EXPECT_EQ(client.response(), "served");
}

TEST(Relay, WhatHasWaitedLongestGoesFirst) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client first = kept_alive(here);
    Client second = kept_alive(there);
    Busy busy(here);
    session::Exchange* other = nullptr;
    {
        Client holder(there.client());
        holder.get("/other");
        other = there.take();
        ASSERT_NE(other, nullptr);
        first.get("/first");
        EXPECT_TRUE(eventually([&] { return siblings.parcels() == 1; }));
        second.get("/second");
        EXPECT_TRUE(eventually([&] { return siblings.parcels() == 2; }));
        respond(there.engine(), *other, "other");
        EXPECT_EQ(holder.response(), "other");
    }
    for (Client* client : {&first, &second}) {
        session::Exchange* next = there.take();
        ASSERT_NE(next, nullptr);
        EXPECT_EQ(target_of(*next), client == &first ? "/first" : "/second");
        respond(there.engine(), *next, "served");
        EXPECT_EQ(client->response(), "served");
    }
}

TEST(Relay, WhatFindsNoRoomStaysAndIsServed) {
    Siblings siblings;
    siblings.shrink_queue(200'000);
    Options options = siblings.options(0);
    options.limits.body_memory_bytes_max = 1'000'000;
    Server here(std::move(options));
    Server there(siblings.options(1));
    const std::string large(100'000, 'x');
    std::vector<Client> clients;
    for (int i = 0; i < 6; ++i) clients.push_back(kept_alive(here));
    {
        Busy busy(here);
        Busy other(there);
        for (Client& client : clients)
            ASSERT_TRUE(
                client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + large));
        // Each is either on its way or waits here, beside the one that runs.
        EXPECT_TRUE(eventually([&] {
            int waiting = static_cast<int>(siblings.board().slot(0).busy.load()) - 1;
            return siblings.parcels() + waiting == 6 && siblings.parcels() > 0;
        }));
        EXPECT_LT(siblings.parcels(), 6);
    }
    for (int served = 0; served < 6;) {
        for (Server* server : {&here, &there}) {
            session::Exchange* exchange = server->turn(5);
            if (exchange == nullptr) continue;
            EXPECT_EQ(body_of(*exchange), large);
            respond(server->engine(), *exchange, "served");
            ++served;
        }
    }
    for (Client& client : clients) EXPECT_EQ(client.response(), "served");
}

TEST(Relay, NothingMovesWithoutASibling) {
    Siblings siblings;
    Server here(siblings.options(0));
    Client client = kept_alive(here);
    {
        Busy busy(here);
        client.get("/stays");
        EXPECT_TRUE(eventually([&] { return siblings.board().slot(0).busy == 2; }));
        base::quiet_for(50, "nothing moves");
        EXPECT_EQ(siblings.board().slot(0).busy, 2u);
        EXPECT_EQ(siblings.parcels(), 0);
        EXPECT_TRUE(siblings.board().waiting(1));
    }
    session::Exchange* stayed = here.take();
    ASSERT_NE(stayed, nullptr);
    respond(here.engine(), *stayed, "stayed");
    EXPECT_EQ(client.response(), "stayed");
}

TEST(Relay, WhoseClientLeftOnTheWayIsNotServed) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    Busy busy(here);
    {
        Busy other(there);
        client.get("/gone");
        EXPECT_TRUE(eventually([&] { return siblings.parcels() == 1; }));
        client.close();
    }
    EXPECT_EQ(there->try_take(), nullptr);
    EXPECT_EQ(siblings.parcels(), 0);
    EXPECT_EQ(there->totals().aborted, 1u);
}

// A worker that was killed between counting and sending leaves the count wrong.
TEST(Relay, AWrongCountIsMendedByTheNextLook) {
    Siblings siblings;
    Server here(siblings.options(0));
    siblings.board().header().parcels = 3;
    EXPECT_EQ(here->try_take(), nullptr);
    EXPECT_EQ(siblings.parcels(), 0);
}

// In a stop of the whole server the idle one stays until the other's queue is empty.
TEST(Relay, AStopServesWhatWaitsAnywhere) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    Busy busy(here);
    here->drain(true);
    there->drain(true);
    client.get("/late");
    session::Exchange* moved = there.take();
    ASSERT_NE(moved, nullptr);
    EXPECT_EQ(target_of(*moved), "/late");
    respond(there.engine(), *moved, "late");
    EXPECT_EQ(client.response(), "late");
    EXPECT_NE(client.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(there.turn_until([&] { return there->drained(); }));
}

// Its other slots are free, and nothing of its Python runs: the standby sees that it is to go.
TEST(Relay, AWorkerThatIsToldToGoTakesNoMoreThoughItsPythonIsHeldUp) {
    Siblings siblings;
    Options options = siblings.options(0);
    options.slots = 3;
    Server here(std::move(options));
    const Busy busy(here);
    board::Slot& slot = siblings.board().slot(0);
    EXPECT_EQ(slot.open.load(), 1U);
    slot.leaving.store(1);
    EXPECT_TRUE(eventually([&slot] { return slot.open.load() == 0; }));
}

// A worker that leaves others behind leaves them what waits; the last one takes it.
TEST(Relay, TheLastOneEmptiesThePair) {
    Siblings siblings;
    Server here(siblings.options(0));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    {
        Busy other(there);
        {
            Busy busy(here);
            client.get("/waits");
            EXPECT_TRUE(eventually([&] { return siblings.parcels() == 1; }));
            here->drain(false);
        }
        EXPECT_TRUE(here.turn_until([&] { return here->drained(); })) << "the other is open";
        there->drain(false);
    }
    EXPECT_TRUE(eventually([&] {
        EXPECT_FALSE(there->drained());
        return there->connections() != 0;
    }));
    session::Exchange* own = there.take();
    ASSERT_NE(own, nullptr);
    respond(there.engine(), *own, "own");
    EXPECT_EQ(client.response(), "own");
    EXPECT_TRUE(there.turn_until([&] { return there->drained(); }));
}

// The time of a stop is over while both are busy: what waits in the pair gets its 503.
TEST(Relay, AHurryRefusesWhatWaitsInThePair) {
    Siblings siblings;
    Options options = siblings.options(0);
    options.limits.hurry_ms = 1;
    Server here(std::move(options));
    Server there(siblings.options(1));
    Client client = kept_alive(here);
    Busy busy(here);
    Busy other(there);
    client.get("/waits");
    EXPECT_TRUE(eventually([&] { return siblings.parcels() == 1; }));
    here->drain(true);
    EXPECT_NE(client.response(), "");
    EXPECT_NE(client.head.find("503"), std::string::npos) << client.head;
}

}  // namespace
}  // namespace mono::engine
