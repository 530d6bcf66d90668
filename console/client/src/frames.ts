// What a client receives, as the rules of this package read it.

/** One event of the server; `ServerEvent` tells more of each. */
export interface Frame {
  event: string;
  session_id?: string;
  step_id?: string;
  content?: unknown;
  metadata: Record<string, unknown>;
  /** On logged events only. */
  seq?: number;
  event_id?: string;
  timestamp?: string;
}

/** One event to send. */
export interface Outgoing {
  event: string;
  session_id?: string;
  step_id?: string;
  metadata?: Record<string, unknown>;
  [key: string]: unknown;
}

/** The event in a WebSocket frame. Throws `SyntaxError` for what is no frame of a MyAgent server. */
export function parseFrame(text: unknown): Frame {
  const frame: unknown = typeof text === "string" ? JSON.parse(text) : null;
  if (!isObject(frame) || typeof frame["event"] !== "string") {
    throw new SyntaxError("a frame of the server is a JSON object with an event");
  }
  return { metadata: {}, ...frame } as unknown as Frame;
}

/** The stable word of an error or a refusal. */
export function codeOf(frame: Frame): string | undefined {
  return text(frame.metadata["code"]);
}

/** The run that an event belongs to; none on refusals and whatever else is of no run. */
export function runOf(frame: Frame): string | undefined {
  return text(frame.metadata["run_id"]);
}

/** The value of a final answer, of an agent that has an output. */
export function outputOf(frame: Frame): Record<string, unknown> | undefined {
  const value = frame.event === "agent.final_answer" ? frame.metadata["output"] : undefined;
  return isObject(value) ? value : undefined;
}

const TERMINAL = new Set(["agent.final_answer", "agent.interrupted", "agent.error"]);

/** Whether nothing of its run follows. */
export function endsRun(frame: Frame): boolean {
  return TERMINAL.has(frame.event) && runOf(frame) !== undefined;
}

/** Whether the server says that it does not do what it was asked. */
export function isRefusal(frame: Frame): boolean {
  return frame.event.endsWith(".error") && runOf(frame) === undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
