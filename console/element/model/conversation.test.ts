import { expect, test } from "vitest";
import { Conversation } from "./conversation.ts";
import type { Frame } from "./frame.ts";

const frame = (seq: number, event: string, rest: Partial<Frame> = {}): Frame => ({ event, seq, timestamp: "2026-01-31T12:00:00.000Z", metadata: {}, ...rest });
const LOG = [
  frame(1, "agent.session_created", { metadata: { agent_name: "a", forked_from: { session_id: "b", message_id: "m" } } }),
  frame(2, "user.message", { content: "first", metadata: { run_id: "r1", message_id: "m1" } }),
  frame(4, "agent.final_answer", { content: "red", metadata: { run_id: "r1" } }),
  frame(5, "user.message", { content: "second", metadata: { run_id: "r2", message_id: "m2" } }),
  frame(6, "agent.partial_answer", { content: "gre", metadata: { run_id: "r2" } }),
];

test("a log becomes what was said, and an answer for each", () => {
  const conversation = new Conversation("id");
  for (const one of LOG) conversation.fold(one);
  expect(conversation.items.map(({ kind, id }) => [kind, id])).toEqual([["said", "m1"], ["turn", "r1"], ["said", "m2"], ["turn", "r2"]]);
  expect(conversation.forkedFrom?.session_id).toBe("b");
  expect([...conversation.active]).toEqual(["r2"]);
});

test("the newest rating counts, and null takes it back", () => {
  const conversation = new Conversation("id");
  for (const one of LOG) conversation.fold(one);
  const turn = conversation.turnList[0]!;
  conversation.fold(frame(7, "user.feedback", { content: { run_id: "r1", rating: "down", comment: "why" } }));
  expect([turn.rating, turn.comment]).toEqual(["down", "why"]);
  conversation.fold(frame(8, "user.feedback", { content: { run_id: "r1", rating: null } }));
  expect([turn.rating, turn.comment]).toEqual([null, ""]);
});

test("a question about no call is over when the run moves on, one about a call is not", () => {
  const conversation = new Conversation("id");
  for (const one of LOG) conversation.fold(one);
  const ask = (seq: number, step_id: string, call_step_id: string): void =>
    conversation.fold(frame(seq, "agent.user_confirm", { step_id, content: "May I?", metadata: { run_id: "r2", call_step_id } }));
  ask(7, "q1", "");
  ask(8, "q2", "call");
  const asked = () => conversation.turnList[1]!.pieces.flatMap((piece) => (piece.kind === "question" ? [piece.answer] : []));
  expect(asked()).toEqual([undefined, undefined]);
  conversation.fold(frame(9, "agent.thinking", { content: "…", metadata: { run_id: "r2", step: 2 } }));
  expect(asked()).toEqual([null, undefined]);
});

test("a place in the queue may be told before the message is accepted", () => {
  const conversation = new Conversation("id");
  for (const one of LOG.slice(0, 1)) conversation.fold(one);
  conversation.say("m1", "first", LOG[0]!.timestamp);
  Object.assign(conversation.turnOf("r1", LOG[0]!.timestamp), { state: "queued", place: 2 });
  conversation.accepted({ message_id: "m1", run_id: "r1", position: 1 }, LOG[0]!.timestamp);
  expect(conversation.turnList.map(({ messageId, place, state }) => [messageId, place, state])).toEqual([["m1", 2, "queued"]]);
});
