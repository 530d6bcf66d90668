// The rules, by the vectors that the Python client is tested with, too.

import { beforeEach, describe, expect, test } from "vitest";
import scenarios from "../../../tests/support/vectors/exchange.json";
import { OutcomeUnknown } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import type { Frame, Outgoing } from "./frames.ts";
import type { Letter } from "./outbox.ts";

type Step = Record<string, unknown> & { do: string };

/** Does what the steps of a scenario say. A text that begins with `$` stands for an id that was given out. */
class Stage {
  #count = 0;
  readonly #ids = new Map<string, string>();
  readonly #letters = new Map<string, Letter>();
  readonly #settled: string[] = [];
  readonly #failed: string[] = [];
  readonly #waiting = new Set<string>();
  readonly exchange = new Exchange(() => `id-${++this.#count}`);

  do(step: Step): void {
    const name = step["name"] as string;
    switch (step.do) {
      case "connect":
        this.exchange.connected();
        return this.#sent([...this.exchange.unsent()], step["sends"] as Outgoing[]);
      case "flush":
        return this.#sent([...this.exchange.unsent()], step["sends"] as Outgoing[]);
      case "follow":
        this.#waiting.add(name);
        return this.exchange.follow(step["session_id"] as string, step["last_seq"] as number, () =>
          this.#settled.push(name),
        );
      case "put":
        return this.#put(name, step);
      case "take": {
        this.#settled.length = 0;
        expect(this.exchange.take(this.#known(step["frame"] as Frame))).toBe(step["taken"]);
        const settles = (step["settles"] as string[]).filter((other) => this.#waiting.has(other));
        return expect(new Set(this.#settled)).toEqual(new Set(settles));
      }
      case "cursors":
        return expect(this.exchange.cursors).toEqual(step["are"]);
      case "leave":
        return this.exchange.leave(step["session_id"] as string);
      case "disown":
        return this.exchange.disown(this.#letters.get(name)!);
      case "drop":
        return this.exchange.drop(this.#letters.get(name)!);
      case "give up largest":
        this.exchange.giveUpLargest();
        return expect(this.#failed).toEqual(step["gives_up"] === null ? [] : [step["gives_up"]]);
      case "acknowledge":
        return this.#sent([...this.exchange.acknowledgements(step["read"] as never)], step["sends"] as Outgoing[]);
      default:
        throw new Error(`nobody knows how to ${step.do}`);
    }
  }

  #put(name: string, step: Step): void {
    const reply = { frame: () => this.#settled.push(name), error: () => this.#failed.push(name) };
    const put = () => this.exchange.put(step["event"] as Outgoing, step["waits"] ? reply : null);
    if (step["refused"]) return expect(put).toThrow("is not followed");
    this.#letters.set(name, put());
    if (step["waits"]) this.#waiting.add(name);
  }

  #sent(frames: Outgoing[], wanted: Outgoing[]): void {
    frames.forEach((frame, at) => {
      const name = wanted[at]?.metadata?.["request_id"] as string | undefined;
      if (name && !this.#ids.has(name)) this.#ids.set(name, frame.metadata?.["request_id"] as string);
    });
    expect(frames).toEqual(wanted.map((frame) => this.#known(frame)));
    expect(new Set(this.#ids.values()).size).toBe(this.#ids.size);
  }

  #known<Kind extends { metadata?: Record<string, unknown> }>(frame: Kind): Kind & { metadata: Record<string, unknown> } {
    const id = frame.metadata?.["request_id"] as string | undefined;
    const metadata = { ...frame.metadata, ...(id === undefined ? {} : { request_id: this.#ids.get(id) }) };
    return frame.metadata ? { ...frame, metadata } : (frame as never);
  }
}

describe("as the Python client", () => {
  test.each(scenarios as Array<{ name: string; steps: Step[] }>)("$name", ({ steps }) => {
    const stage = new Stage();
    for (const step of steps) stage.do(step);
  });
});

const logged = (seq: number): Frame => ({ event: "agent.thinking", session_id: "s", seq, metadata: {} });

describe("a session that is followed again", () => {
  function following(): Exchange {
    const exchange = new Exchange(() => "id");
    exchange.connected();
    exchange.follow("s", 0, () => {});
    expect([...exchange.unsent()]).toHaveLength(1);
    for (const seq of [1, 2, 3]) expect(exchange.take(logged(seq))).toBe("news");
    return exchange;
  }

  test("comes from its beginning, and nothing that was on its way before", () => {
    const exchange = following();
    exchange.follow("s", 0, () => {});
    expect([...exchange.unsent()]).toMatchObject([{ event: "user.reconnect", last_seq: 0 }]);
    expect([4, 1, 2, 3, 4, 5].map((seq) => exchange.take(logged(seq)))).toEqual([
      ...["known", "news", "news", "news", "news", "news"],
    ]);
  });

  test("shows one's own messages, because who asks for the log wants all of it", () => {
    const exchange = following();
    const said = { event: "user.message", session_id: "s", content: "hi", metadata: { message_id: "m" } };
    exchange.put(said, null);
    exchange.follow("s", 0, () => {});
    exchange.take(logged(1));
    expect(exchange.take({ ...said, seq: 4 })).toBe("news");
  });

  test("cannot be had from the middle on the same connection", () => {
    const exchange = following();
    expect(() => exchange.follow("s", 2, () => {})).toThrow(RangeError);
    exchange.connected();
    exchange.follow("s", 2, () => {});
    expect([...exchange.unsent()]).toMatchObject([{ event: "user.reconnect", last_seq: 2 }]);
  });

  test("tells both who wait for it", () => {
    const exchange = new Exchange(() => "id");
    const told: string[] = [];
    exchange.follow("s", 0, () => told.push("first"));
    exchange.follow("s", 0, () => told.push("second"));
    exchange.connected();
    expect([...exchange.unsent()]).toHaveLength(1);
    exchange.take({ event: "system.notice", session_id: "s", metadata: { action: "replay", request_id: "id" } });
    expect(told).toEqual(["first", "second"]);
  });

  test("is not told of when it was left, and not followed on the next connection", () => {
    const exchange = following();
    exchange.leave("s");
    expect(exchange.take(logged(4))).toBe("known");
    expect(exchange.cursors).toEqual({});
    exchange.follow("s", 0, () => {});
    expect([...exchange.unsent()]).toHaveLength(1);
    expect([5, 1, 2].map((seq) => exchange.take(logged(seq)))).toEqual(["known", "news", "news"]);
    exchange.leave("s");
    exchange.connected();
    expect([...exchange.unsent()]).toEqual([]);
  });
});

const message = (id: string): Outgoing => ({
  event: "user.message",
  session_id: "s",
  content: "hi",
  metadata: { message_id: id },
});
const events = (frames: Iterable<Outgoing>): string[] => [...frames].map(({ event }) => event);

describe("what waits for the replay", () => {
  const reply = { frame: () => {}, error: () => {} };
  let exchange: Exchange;

  beforeEach(() => {
    let count = 0;
    exchange = new Exchange(() => `id-${++count}`);
    exchange.follow("s", 0, () => {});
    exchange.put({ event: "user.cancel", session_id: "s" }, reply, undefined, { afterReplay: true });
    exchange.put(message("m"), reply);
    exchange.put({ event: "user.list_sessions" }, reply);
  });

  test("is sent when it is over, and what was put behind it for the same session waits with it", () => {
    exchange.connected();
    const sent = [...exchange.unsent()];
    expect(events(sent)).toEqual(["user.reconnect", "user.list_sessions"]);
    expect(events(exchange.unsent())).toEqual([]);
    const metadata = { action: "replay", run_status: "running", request_id: sent[0]?.metadata?.["request_id"] };
    exchange.take({ event: "system.notice", session_id: "s", metadata });
    expect(events(exchange.unsent())).toEqual(["user.cancel", "user.message"]);
  });

  test("is not sent when its session is refused meanwhile, and is then sent to be refused itself", () => {
    exchange.connected();
    const [follow] = [...exchange.unsent()];
    const metadata = { code: "session_not_found", request_id: follow?.metadata?.["request_id"] };
    exchange.take({ event: "agent.error", session_id: "s", metadata });
    expect(events(exchange.unsent())).toEqual(["user.cancel", "user.message"]);
  });
});

test("what is sent once is not sent on the next connection, and its outcome is unknown", () => {
  const exchange = new Exchange(() => "id");
  const errors: Error[] = [];
  const reply = { frame: () => {}, error: (error: Error) => errors.push(error) };
  exchange.put({ event: "user.fork", session_id: "s" }, reply, undefined, { once: true });
  exchange.connected();
  expect(events(exchange.unsent())).toEqual(["user.fork"]);
  expect(errors).toEqual([]);
  exchange.connected();
  expect(events(exchange.unsent())).toEqual([]);
  expect(errors).toEqual([expect.any(OutcomeUnknown)]);
});

test("one's own message comes back to who wants it", () => {
  const exchange = new Exchange(() => "id", true);
  exchange.connected();
  exchange.take({ event: "agent.session_created", session_id: "s", seq: 1, metadata: {} });
  exchange.put(message("m"), null);
  const stored = { ...message("m"), seq: 2, metadata: { message_id: "m" } };
  expect([exchange.take(stored), exchange.take(stored)]).toEqual(["news", "known"]);
});

test("a session is heard of without being followed, once on each connection", () => {
  const exchange = new Exchange(() => "id");
  exchange.connected();
  const ask = { event: "user.ack", session_id: "s", last_seq: 0 };
  expect([...exchange.listen("s"), ...exchange.listen("s")]).toEqual([ask]);
  expect(exchange.take(logged(7))).toBe("news");
  expect(exchange.cursors).toEqual({});
  exchange.connected();
  expect([...exchange.listen("s")]).toEqual([ask]);
  exchange.follow("t", 0, () => {});
  expect([...exchange.listen("t")]).toEqual([]);
});
