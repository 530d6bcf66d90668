// Which sessions a client follows, and up to where it was sent them. Needs no socket.

import { codeOf, isRefusal, type Frame, type Outgoing } from "./frames.ts";

interface Followed {
  lastSeq: number;
  /** The number of the connection that follows it, from 1. */
  sentOn: number;
  /** There while everything behind `lastSeq` is being sent. */
  requestId: string;
  /** Is told the notice that ends the replay, or a refusal. */
  ended: ((frame: Frame) => void) | null;
  isStalled: boolean;
  /** Whether all that is not the first event is of before the log was asked for from its beginning. */
  awaitsFirst: boolean;
  /** Nobody wants it any more; this connection is sent it all the same. */
  isLeft: boolean;
}

/** A cursor for each session, over all connections. */
export class Cursors {
  readonly #sessions = new Map<string, Followed>();
  readonly #newId: () => string;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  has(sessionId: string | undefined): boolean {
    const followed = this.#sessions.get(sessionId ?? "");
    return followed !== undefined && !followed.isLeft;
  }

  /** The `seq` of the last event that was received, for each session. */
  positions(): Record<string, number> {
    const kept = [...this.#sessions].filter(([, followed]) => !followed.isLeft);
    return Object.fromEntries(kept.map(([sessionId, followed]) => [sessionId, followed.lastSeq]));
  }

  /** Whether what comes of a session may be old. */
  isReplaying(sessionId: string | undefined): boolean {
    return Boolean(this.#sessions.get(sessionId ?? "")?.requestId);
  }

  /** Whether the server could not let this connection follow a session that an earlier one has followed. */
  lags(sessionId: string | undefined, connection: number): boolean {
    const followed = this.#sessions.get(sessionId ?? "");
    return followed !== undefined && followed.isStalled && followed.sentOn === connection;
  }

  /**
   * Follow a session from behind an event. One that this connection is sent already can be had from its beginning
   * only: what comes until the server has read the request could not be told from what it sends again.
   */
  add(sessionId: string, lastSeq: number, ended: (frame: Frame) => void, connection: number): void {
    const before = this.#sessions.get(sessionId);
    if (lastSeq > 0 && connection > 0 && before?.sentOn === connection) {
      throw new RangeError(`${sessionId} is followed on this connection: its log comes from 0 only`);
    }
    const all = (frame: Frame): void => {
      before?.ended?.(frame);
      ended(frame);
    };
    const begun = { lastSeq, sentOn: 0, requestId: "", isStalled: false, isLeft: false };
    this.#sessions.set(sessionId, { ...begun, ended: all, awaitsFirst: lastSeq === 0 });
  }

  /** Follow a session no more. */
  leave(sessionId: string): void {
    const followed = this.#sessions.get(sessionId);
    if (followed) followed.isLeft = true;
  }

  /** The frames that let this connection follow what it does not yet; each is taken as sent. */
  *unsent(connection: number): Generator<Outgoing> {
    for (const [sessionId, followed] of [...this.#sessions]) {
      if (followed.sentOn === connection) continue;
      if (followed.isLeft) {
        this.#sessions.delete(sessionId);
        continue;
      }
      Object.assign(followed, { sentOn: connection, requestId: this.#newId(), isStalled: false });
      const metadata = { request_id: followed.requestId };
      yield { event: "user.reconnect", session_id: sessionId, last_seq: followed.lastSeq, metadata };
    }
  }

  /** Move a cursor on; tells whether the frame is news. Sessions that this connection begins are followed. */
  take(frame: Frame, connection: number): boolean {
    const sessionId = frame.session_id;
    if (sessionId === undefined) return true;
    const begins = frame.event === "agent.session_created" || frame.event === "agent.state_restored";
    if (begins && !this.#sessions.has(sessionId)) {
      const begun = { lastSeq: 0, requestId: "", ended: null, isStalled: false, awaitsFirst: false, isLeft: false };
      this.#sessions.set(sessionId, { ...begun, sentOn: connection });
    }
    const followed = this.#sessions.get(sessionId);
    if (!followed) return true;
    if (frame.seq !== undefined) {
      if (frame.seq <= followed.lastSeq || (followed.awaitsFirst && frame.seq !== 1)) return false;
      followed.lastSeq = frame.seq;
      followed.awaitsFirst = false;
    } else if (frame.event === "agent.session_deleted") {
      this.#end(sessionId, followed, frame, true);
    } else if (followed.requestId && frame.metadata["request_id"] === followed.requestId) {
      const code = codeOf(frame);
      followed.isStalled = code === "try_again" && followed.ended === null;
      this.#end(sessionId, followed, frame, isRefusal(frame) && code !== "cursor_ahead" && !followed.isStalled);
    }
    return !followed.isLeft;
  }

  #end(sessionId: string, followed: Followed, frame: Frame, forget: boolean): void {
    followed.requestId = "";
    if (codeOf(frame) === "cursor_ahead") {
      // The server was taken back to an earlier state; from its end on everything is new.
      followed.lastSeq = Number(frame.metadata["last_seq"]);
    }
    if (forget) this.#sessions.delete(sessionId);
    const { ended } = followed;
    followed.ended = null;
    ended?.(frame);
  }
}
