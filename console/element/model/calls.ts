/** What events say about calls of tools and questions about them. */

import type { Frame } from "./frame.ts";
import type { Call, Question, Turn } from "./turn.ts";

const callOf = (turn: Turn, key: string | undefined): Call | undefined =>
  turn.pieces.find((piece): piece is Call => piece.kind === "call" && piece.key === key);

export function foldCall(turn: Turn, { step_id: key = "", metadata, timestamp }: Frame): void {
  if (callOf(turn, key)) return;
  turn.pieces.push({
    kind: "call", key, tool: metadata.tool ?? "", args: metadata.args ?? {}, changed: null, status: "running", progress: "",
    percent: null, result: "", error: "", data: undefined, images: [], isTruncated: false, durationMs: null, at: timestamp,
  });
}

export function foldProgress(turn: Turn, { step_id: key, content, metadata }: Frame): void {
  const call = callOf(turn, key);
  if (!call) return;
  call.progress = String(content ?? "");
  call.percent = metadata.percent ?? null;
}

export function foldResult(turn: Turn, { step_id: key, content, metadata }: Frame): void {
  const call = callOf(turn, key);
  if (!call) return;
  call.status = metadata.status ?? "unknown";
  call.result = String(content ?? "");
  call.error = metadata.error ?? "";
  call.data = metadata.data;
  call.images = Array.isArray(metadata.images) ? metadata.images : [];
  call.isTruncated = metadata.truncated ?? false;
  call.durationMs = metadata.duration_ms ?? null;
  call.progress = "";
  for (const piece of turn.pieces) {
    if (piece.kind !== "question" || piece.callKey !== key || piece.answer !== undefined) continue;
    piece.answer = metadata.status === "declined" ? { confirmed: false, args: null, reason: "" } : null;
  }
}

export function foldQuestion(turn: Turn, { step_id: key = "", content, metadata, timestamp }: Frame): void {
  turn.pieces.push({
    kind: "question", key, words: String(content ?? ""), tool: metadata.tool_name ?? "", description: metadata.tool_description ?? "",
    args: metadata.tool_args ?? {}, callKey: metadata.call_step_id ?? "", at: timestamp,
    timeoutSeconds: metadata.timeout_seconds ?? null, answer: undefined, isUnsent: false,
  });
}

/** The run has moved on, so no hook waits: a question that is about no call was not answered in time. */
export function leaveHookQuestions(turn: Turn): void {
  for (const piece of turn.pieces) {
    if (piece.kind === "question" && piece.callKey === "" && piece.answer === undefined) piece.answer = null;
  }
}

/** What the server says of a question rules, whatever was clicked here; false if it is none of this turn. */
export function foldResponse(turn: Turn, { step_id: key, content }: Frame): boolean {
  const question = turn.pieces.find((piece): piece is Question => piece.kind === "question" && piece.key === key);
  if (!question) return false;
  const said = content as { confirmed?: boolean; args?: Record<string, unknown>; reason?: string } | boolean;
  const { confirmed, args = null, reason = "" } = typeof said === "boolean" ? { confirmed: said } : (said ?? {});
  answer(turn, question, { confirmed: Boolean(confirmed), args, reason });
  question.isUnsent = false;
  return true;
}

export function answer(turn: Turn, question: Question, given: NonNullable<Question["answer"]>): void {
  question.answer = given;
  const call = callOf(turn, question.callKey);
  if (!call) return;
  const isChanged = given.confirmed && given.args !== null && JSON.stringify(given.args) !== JSON.stringify(question.args);
  call.changed = isChanged ? given.args : null;
}
