/** What a conversation consists of: what was said, and for each run the pieces of its answer. */

import type { Content, MadePicture, Usage } from "./frame.ts";

/** A message of the user. */
export interface Said {
  kind: "said";
  id: string;
  content: Content;
  at: string;
  /** `waiting`: the server has it, and nobody has read it. */
  state: "unsent" | "waiting" | "sent" | "refused";
  /** What becomes of it while a run goes on; "" leaves that to the agent. */
  whenBusy: string;
  /** A message that is to steer a run is in the log when it is read. */
  isLogged: boolean;
  why: string;
  version: number;
}

export interface Text {
  kind: "text";
  key: string;
  step: number;
  text: string;
  isFinished: boolean;
}

export interface Thought {
  kind: "thought";
  key: string;
  step: number;
  text: string;
}

export interface Call {
  kind: "call";
  key: string;
  tool: string;
  args: Record<string, unknown>;
  /** What a person made of the arguments. */
  changed: Record<string, unknown> | null;
  status: string;
  progress: string;
  percent: number | null;
  result: string;
  error: string;
  data: unknown;
  images: MadePicture[];
  isTruncated: boolean;
  durationMs: number | null;
  at: string;
}

export interface Question {
  kind: "question";
  key: string;
  words: string;
  tool: string;
  description: string;
  args: Record<string, unknown>;
  callKey: string;
  at: string;
  timeoutSeconds: number | null;
  /** What was answered; undefined while it is open, null when it closed without an answer. */
  answer: { confirmed: boolean; args: Record<string, unknown> | null; reason: string } | null | undefined;
  isUnsent: boolean;
}

export type Piece = Text | Thought | Call | Question;

export interface Outcome {
  kind: "answer" | "stopped" | "failed";
  words: string;
  code: string;
  at: string;
  steps: number;
  durationMs: number | null;
  usage: Usage | null;
  finish: string;
  /** The value of an agent that has an output. */
  output: Record<string, unknown> | null;
  /** The option of the limit that was reached; empty for none. */
  limit: string;
}

/** What came of one message. */
export interface Turn {
  kind: "turn";
  id: string;
  messageId: string;
  pieces: Piece[];
  state: "queued" | "running" | "ended";
  /** Messages or runs before this one, where it is known. */
  place: number | null;
  /** What the server says of the waiting. */
  notice: string;
  at: string;
  outcome: Outcome | null;
  rating: "up" | "down" | null;
  comment: string;
  version: number;
}

export interface Note {
  kind: "note";
  id: string;
  words: string;
  isBad: boolean;
  version: number;
}

export type Item = Said | Turn | Note;

export function newTurn(id: string, messageId: string, at: string): Turn {
  return {
    kind: "turn", id, messageId, pieces: [], state: "running", place: null, notice: "", at,
    outcome: null, rating: null, comment: "", version: 0,
  };
}

/** The answer as it was written, to be copied. */
export function answerOf(turn: Turn): string {
  return turn.pieces
    .filter((piece) => piece.kind === "text")
    .map((piece) => piece.text.trim())
    .filter(Boolean)
    .join("\n\n");
}

export const openQuestions = (turn: Turn): Question[] =>
  turn.pieces.filter((piece): piece is Question => piece.kind === "question" && piece.answer === undefined);
