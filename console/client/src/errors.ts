// What can go wrong between a client and its server.

import { CloseCode } from "./events.ts";
import { codeOf, type Frame } from "./frames.ts";

/** Why there is no connection. `code` is the WebSocket's close code: 1006 when there was no close frame. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";

  constructor(
    readonly code: number,
    readonly reason: string = "",
  ) {
    super(`The connection was closed with code ${code} (${reason || "no reason given"}).`);
  }

  /** Whether coming back in the same way would end in the same way. */
  get isFinal(): boolean {
    return FINAL.has(this.code) || (this.code === CloseCode.OVER_LIMIT && this.reason === "too_many_attempts");
  }
}

const FINAL = new Set<number>([
  CloseCode.NOT_OUR_PROTOCOL,
  CloseCode.UNAUTHENTICATED,
  CloseCode.FORBIDDEN,
  CloseCode.NO_SUCH_AGENT,
]);

/** The server refused a request; `code` is the refusal's, `frame` all of it, the message a sentence for people. */
export class RequestRefused extends Error {
  override readonly name = "RequestRefused";
  readonly code: string;

  constructor(readonly frame: Frame) {
    super(String(frame.content ?? ""));
    this.code = codeOf(frame) ?? "error";
  }
}

/** A request has `size` bytes, which is more than the server takes; it was not done, and nothing else was lost. */
export class FrameTooLarge extends Error {
  override readonly name = "FrameTooLarge";

  constructor(
    readonly size: number,
    readonly limit?: number,
  ) {
    super(`The request has ${size} bytes, and the server takes ${limit === undefined ? "less" : `at most ${limit}`}.`);
  }
}

/** The connection broke before the reply to a request that is sent once only: it was done, or it was not. */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";

  constructor() {
    super("The connection broke before there was a reply, and the request is not sent again: look whether it was done.");
  }
}

/** The client was closed, or the request withdrawn, before there was a reply. */
export class Withdrawn extends Error {
  override readonly name = "Withdrawn";

  constructor() {
    super("There is no reply: the request was withdrawn, or the client closed.");
  }
}
