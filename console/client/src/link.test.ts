// When the client connects, waits and gives up: fed with what happens, without a socket or a clock.

import { describe, expect, test } from "vitest";
import { closings, pauses } from "../../../tests/support/vectors/reconnecting.json";
import { Backoff } from "./backoff.ts";
import { ConnectionLost } from "./errors.ts";
import { Link } from "./link.ts";

const closed = (code: number, reason = "") => ({ type: "closed", code, reason }) as const;

function connected(): Link {
  const link = new Link(() => 0);
  expect(link.feed({ type: "start" }, 0)).toEqual(["open"]);
  link.feed({ type: "greeted" }, 1);
  expect(link.status).toMatchObject({ state: "open", lost: null });
  return link;
}

describe("as the Python client", () => {
  test.each(pauses)("$name", ({ spread, steps }) => {
    const backoff = new Backoff(() => spread);
    for (const step of steps as Array<{ code: number; reason?: string; lived: number; pause: number }>) {
      expect(backoff.pause(new ConnectionLost(step.code, step.reason), step.lived)).toBe(step.pause);
    }
  });

  test.each(closings)("$code $reason is final: $is_final", ({ code, reason, is_final }) => {
    expect(new ConnectionLost(code, reason).isFinal).toBe(is_final);
    const link = connected();
    expect(link.feed(closed(code, reason), 2)).toEqual([]);
    expect(link.status.state).toBe(is_final ? "closed" : "waiting");
    expect(link.status.lost?.code).toBe(code);
  });
});

test("it comes back after a pause, and tells when", () => {
  const link = connected();
  link.feed(closed(1012), 10);
  expect(link.status.retryAt).toBe(10.25);
  expect(link.dueAt).toBe(10.25);
  expect(link.feed({ type: "due" }, 10.2)).toEqual([]);
  expect(link.feed({ type: "due" }, 10.25)).toEqual(["open"]);
  link.feed({ type: "greeted" }, 10.3);
  expect(link.status).toMatchObject({ state: "open", lost: null, retryAt: null });
});

test("a server that says nothing for a minute is not there any more", () => {
  const link = connected();
  link.feed({ type: "heard" }, 26);
  expect(link.dueAt).toBe(86);
  expect(link.feed({ type: "due" }, 61)).toEqual([]);
  expect(link.feed({ type: "due" }, 86)).toEqual(["drop"]);
  expect(link.status).toMatchObject({ state: "waiting", retryAt: 86.25 });
});

test("a server that does not greet is tried again", () => {
  const link = new Link(() => 0);
  link.feed({ type: "start" }, 0);
  expect(link.feed({ type: "due" }, 30)).toEqual(["drop"]);
  expect(link.status.state).toBe("waiting");
});

test("what cannot be used is dropped", () => {
  const link = connected();
  expect(link.feed({ type: "unusable", reason: "no frame" }, 2)).toEqual(["drop"]);
  expect(link.status).toMatchObject({ state: "waiting", lost: { code: 1006, reason: "no frame" } });
});

test("when the network is back it waits no longer, and trusts no connection of before", () => {
  const link = connected();
  link.feed({ type: "offline" }, 2);
  expect(link.status).toMatchObject({ state: "open", isOffline: true });
  expect(link.feed({ type: "online" }, 3)).toEqual(["drop", "open"]);
  link.feed(closed(1006), 4);
  link.feed({ type: "due" }, 4.25);
  link.feed(closed(1006), 5);
  expect(link.status).toMatchObject({ state: "waiting", isOffline: false, retryAt: 5.5 });
  expect(link.feed({ type: "online" }, 5.1)).toEqual(["open"]);
  link.feed(closed(1006), 6);
  expect(link.status.retryAt).toBe(6.25);
});

test("a page that is seen again does not wait, and doubts a connection that was silent for long", () => {
  const link = connected();
  link.feed({ type: "heard" }, 10);
  expect(link.feed({ type: "awake" }, 30)).toEqual([]);
  expect(link.feed({ type: "awake" }, 40)).toEqual(["drop", "open"]);
  expect(link.feed({ type: "awake" }, 41)).toEqual([]);
  link.feed(closed(1006), 42);
  expect(link.feed({ type: "awake" }, 42.1)).toEqual(["open"]);
});

test("it is over when it is stopped or of no use, until it is started again", () => {
  const link = connected();
  expect(link.feed({ type: "stop" }, 2)).toEqual(["drop"]);
  expect([link.status.state, link.dueAt]).toEqual(["closed", null]);
  for (const type of ["online", "awake", "due"] as const) expect(link.feed({ type }, 3)).toEqual([]);
  expect(link.feed({ type: "start" }, 4)).toEqual(["open"]);
  link.feed(closed(4401), 5);
  expect(link.status).toMatchObject({ state: "closed", lost: { code: 4401 } });
  for (const type of ["online", "awake", "due"] as const) expect(link.feed({ type }, 6)).toEqual([]);
  expect(link.feed({ type: "start" }, 7)).toEqual(["open"]);
  expect(link.status.lost).toBeNull();
});
