// The client over real sockets, against a server whose every frame and every end of a connection the test decides.

import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer, type WebSocket as Connection } from "ws";
import { Client } from "./client.ts";
import { ConnectionLost, FrameTooLarge, RequestRefused, Withdrawn } from "./errors.ts";
import type { Outgoing } from "./frames.ts";
import type { ClientOptions, SocketClass } from "./options.ts";

/** The server's end of one connection. */
class Peer {
  readonly #heard: Outgoing[] = [];
  #wake = (): void => {};

  constructor(
    readonly socket: Connection,
    readonly url: string,
  ) {
    socket.on("message", (data) => {
      this.#heard.push(JSON.parse(String(data)) as Outgoing);
      this.#wake();
    });
    this.say({ event: "system.connected", metadata: { connection_id: "c1", agents: ["a"], max_frame_bytes: 1000 } });
  }

  say(frame: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** The next frame of the client, which has to be this event. */
  async heard(event: string): Promise<Outgoing> {
    while (!this.#heard.length) await new Promise<void>((resolve) => (this.#wake = resolve));
    const frame = this.#heard.shift() as Outgoing;
    expect(frame.event).toBe(event);
    return frame;
  }

  reply(request: Outgoing, frame: { metadata?: object; [key: string]: unknown }): void {
    this.say({ ...frame, metadata: { ...frame.metadata, request_id: request.metadata?.["request_id"] } });
  }
}

let server: WebSocketServer;
let peers: Peer[];
let came: () => void;
const clients: Client[] = [];

beforeEach(async () => {
  peers = [];
  came = () => {};
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket, request) => {
    peers.push(new Peer(socket, `${request.url} ${request.headers["sec-websocket-protocol"] ?? ""}`));
    came();
  });
  await new Promise((resolve) => server.once("listening", resolve));
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const { socket } of peers) socket.terminate();
  server.close();
});

async function peer(): Promise<Peer> {
  while (!peers.length) await new Promise<void>((resolve) => (came = resolve));
  return peers.shift() as Peer;
}

function started(options: Partial<ClientOptions> = {}): Client {
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}/`;
  const client = new Client({ url, WebSocket: WebSocket as unknown as SocketClass, ...options });
  clients.push(client);
  return client.start();
}

const created = { event: "agent.session_created", session_id: "s", seq: 1, event_id: "s-1", content: "" };

async function following(client: Client): Promise<Peer> {
  const session = client.createSession();
  const there = await peer();
  there.reply(await there.heard("user.create_session"), created);
  expect(await session).toBe("s");
  return there;
}

test("a request waits for the connection, and for the next one", async () => {
  const client = started();
  const there = await following(client);
  const saying = client.say("s", "hi", { messageId: "m" });
  await there.heard("user.message");
  there.socket.terminate();
  const next = await peer();
  expect(await next.heard("user.reconnect")).toMatchObject({ session_id: "s", last_seq: 1 });
  const again = await next.heard("user.message");
  next.reply(again, { event: "system.notice", session_id: "s", metadata: { action: "accepted", run_id: "r" } });
  expect(await saying).toMatchObject({ run_id: "r" });
});

test("what is refused is thrown", async () => {
  const client = started();
  const there = await following(client);
  const saying = client.say("s", "hi");
  const refusal = { event: "agent.error", session_id: "s", content: "No.", metadata: { code: "session_busy" } };
  there.reply(await there.heard("user.message"), refusal);
  const error = await saying.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(RequestRefused);
  expect(error).toMatchObject({ code: "session_busy", message: "No." });
});

test("what is too large is thrown, and nothing else is lost", async () => {
  const client = started();
  const there = await following(client);
  await expect(client.say("s", "x".repeat(1000))).rejects.toThrow(FrameTooLarge);
  const saying = client.say("s", "x".repeat(500));
  const listing = client.listSessions();
  await there.heard("user.message");
  await there.heard("user.list_sessions");
  there.socket.close(1009);
  await expect(saying).rejects.toThrow(FrameTooLarge);
  const next = await peer();
  await next.heard("user.reconnect");
  next.reply(await next.heard("user.list_sessions"), { event: "system.sessions", metadata: { sessions: [] } });
  expect((await listing).sessions).toEqual([]);
});

test("when it is of no use to come back, who waits is told, and it can be started with another token", async () => {
  const client = started({ token: "old" });
  const there = await following(client);
  expect(there.url).toBe("/ bearer,old");
  const waiting = [client.say("s", "hi"), client.follow("t")];
  there.socket.close(4401, "revoked");
  for (const error of await Promise.all(waiting.map((one) => one.catch((caught: unknown) => caught)))) {
    expect(error).toBeInstanceOf(ConnectionLost);
  }
  expect(client.link).toMatchObject({ state: "closed", lost: { code: 4401, reason: "revoked", isFinal: true } });
  await expect(client.listSessions()).rejects.toThrow(ConnectionLost);
  client.start({ token: async () => "new", lang: "en" });
  const next = await peer();
  expect(next.url).toBe("/?lang=en bearer,new");
  await next.heard("user.reconnect");
});

test("requests can be withdrawn, and are when the client closes", async () => {
  const client = started();
  const there = await following(client);
  const controller = new AbortController();
  const listing = client.listSessions({}, { signal: controller.signal });
  await there.heard("user.list_sessions");
  controller.abort();
  await expect(listing).rejects.toThrow("abort");
  const closing = client.listSessions();
  client.close();
  await expect(closing).rejects.toThrow(Withdrawn);
  expect(client.link).toMatchObject({ state: "closed", lost: null });
});

test("events come by name, and the connection is told of", async () => {
  const client = started({ acknowledges: false });
  const states: string[] = [];
  const told: unknown[] = [];
  client.onLink(({ state }) => states.push(state));
  const stop = client.on("agent.thinking", (event) => told.push(event.metadata.step));
  const there = await following(client);
  const thinking = { event: "agent.thinking", session_id: "s", content: "", metadata: { run_id: "r", step: 7 } };
  there.say({ ...thinking, seq: 2 });
  there.say({ ...thinking, seq: 2 });
  const ended = new Promise((resolve) => client.on("agent.final_answer", resolve));
  there.say({ event: "agent.final_answer", session_id: "s", seq: 3, content: "x", metadata: { run_id: "r" } });
  await ended;
  expect(told).toEqual([7]);
  stop();
  expect(client.cursors).toEqual({ s: 3 });
  client.acknowledge("s", 2);
  client.close();
  expect(await there.heard("user.ack")).toMatchObject({ session_id: "s", last_seq: 2 });
  expect(states).toEqual(["connecting", "open", "closed"]);
});

test("runs are stopped when it is known that they are still there, and what is said after that is not", async () => {
  const client = started();
  const there = await following(client);
  there.socket.terminate();
  const stopping = client.stopRuns("s", ["r1", "r2"]);
  const saying = client.say("s", "hi");
  const next = await peer();
  const follow = await next.heard("user.reconnect");
  const ended = { session_id: "s", content: "", metadata: { run_id: "r1" } };
  next.say({ ...ended, event: "agent.final_answer", seq: 2 });
  next.reply(follow, { event: "system.notice", session_id: "s", metadata: { action: "replay", run_status: "running" } });
  await next.heard("user.cancel");
  const said = await next.heard("user.message");
  next.say({ ...ended, event: "agent.interrupted", seq: 3, metadata: { run_id: "r2" } });
  await stopping;
  next.reply(said, { event: "system.notice", session_id: "s", metadata: { action: "accepted", run_id: "r3" } });
  expect(await saying).toMatchObject({ run_id: "r3" });
});

test("runs that have ended meanwhile are not stopped, nor is any other", async () => {
  const client = started();
  const there = await following(client);
  there.socket.terminate();
  const stopping = client.stopRuns("s", ["r1"]);
  const next = await peer();
  const follow = await next.heard("user.reconnect");
  next.say({ event: "agent.final_answer", session_id: "s", seq: 2, content: "", metadata: { run_id: "r1" } });
  next.say({ event: "agent.thinking", session_id: "s", seq: 3, content: "", metadata: { run_id: "r2" } });
  next.reply(follow, { event: "system.notice", session_id: "s", metadata: { action: "replay", run_status: "running" } });
  await stopping;
  void client.say("s", "hi").catch(() => {});
  await next.heard("user.message");
});

test("a title that the end of the connection interrupts is sent again", async () => {
  const client = started();
  const there = await following(client);
  const renaming = client.updateSession("s", { title: "new" });
  await there.heard("user.update_session");
  there.socket.terminate();
  const next = await peer();
  await next.heard("user.reconnect");
  expect(await next.heard("user.update_session")).toMatchObject({ content: { title: "new" } });
  next.say({ event: "agent.session_updated", session_id: "s", seq: 2, content: "", metadata: { title: "new" } });
  await renaming;
});

test("what is refused for now is asked once more", async () => {
  const client = started({ acknowledges: false });
  const there = await following(client);
  const asking = client.persist({ event: "user.list_sessions" });
  const busy = { event: "system.error", content: "", metadata: { code: "try_again" } };
  there.reply(await there.heard("user.list_sessions"), busy);
  there.reply(await there.heard("user.list_sessions"), { event: "system.sessions", metadata: { sessions: [] } });
  expect((await asking).event).toBe("system.sessions");
});

test("what answers has to speak this protocol", async () => {
  server.removeAllListeners("connection");
  server.on("connection", (socket) => socket.send("hello"));
  const client = started();
  const lost = await new Promise((resolve) => client.onLink((link) => link.state === "waiting" && resolve(link.lost)));
  expect(lost).toMatchObject({ code: 1006, isFinal: false });
});

test("a socket that says no more than that there was an error is over", async () => {
  class Forbidden {
    readonly readyState = 3;
    onmessage = null;
    onclose = null;
    onerror: (() => void) | null = null;
    constructor() {
      setTimeout(() => this.onerror?.());
    }
    send(): void {}
    close(): void {}
  }
  const client = started({ WebSocket: Forbidden as unknown as SocketClass });
  const lost = await new Promise((resolve) => client.onLink((link) => link.state === "waiting" && resolve(link.lost)));
  expect(lost).toMatchObject({ code: 1006, isFinal: false });
});
