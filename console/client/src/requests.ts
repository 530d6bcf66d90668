// What can be asked of a server, and what it replies.

import { RequestRefused } from "./errors.ts";
import { endsRun, runOf, type Frame, type Outgoing } from "./frames.ts";
import type { Manner } from "./outbox.ts";

/** What a user says: text, or content parts. */
export type Content = string | ReadonlyArray<Record<string, unknown>>;

/** What became of a message: its run, and how many are before it (0: it is being answered). */
export interface Accepted {
  message_id: string;
  run_id: string;
  position: number;
  duplicate?: boolean;
}

/** One session in a list. Times are ISO 8601 in UTC; later servers tell more of each. */
export interface SessionInfo {
  session_id: string;
  agent: string;
  title: string;
  status: string;
  run_status: string;
  last_seq: number;
  created_at: string;
  active_at: string;
  /** Of a copy: the same for all copies of one session and their copies, the `session_id` of that one. */
  family_id?: string;
  /** In a list of families, of one that has more than this session. */
  family?: { size: number; unread: number; run_status: string };
  [more: string]: unknown;
}

/** Some of the caller's sessions, newest first; `next` is the `before` of the page behind it, missing on the last. */
export interface SessionPage {
  sessions: SessionInfo[];
  next?: string;
}

/** How long a server is left in peace that says `try_again`. */
const PAUSE_SECONDS = 2;

export interface RequestOptions extends Manner {
  /** Takes a frame for the reply, besides the one that bears the request's id. */
  answeredBy?: (frame: Frame) => boolean;
  /** Withdraws the request; it may have been done all the same. */
  signal?: AbortSignal | undefined;
}

/**
 * The requests of the protocol. Each waits for a connection, is sent again on the next one while the reply is missing,
 * and throws `RequestRefused`, `FrameTooLarge`, and `ConnectionLost` when reconnecting is of no use any more.
 */
export abstract class Requests {
  /** Send an event and return the server's reply to it. */
  abstract request(event: Outgoing, options?: RequestOptions): Promise<Frame>;

  /** Send an event until something shows that it arrived; a refusal comes as an event. */
  abstract send(event: Outgoing): void;

  /** The same as `request`, again after a pause while the server says `try_again`. */
  async persist(event: Outgoing, options: RequestOptions = {}): Promise<Frame> {
    for (;;) {
      try {
        return await this.request(event, options);
      } catch (error) {
        if (!(error instanceof RequestRefused) || error.code !== "try_again") throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_SECONDS * 1000));
    }
  }

  /** Begin a conversation and return its id; the client follows it. */
  async createSession(content: { agent?: string; title?: string; metadata?: Record<string, unknown> } = {}) {
    return (await this.request({ event: "user.create_session", content })).session_id as string;
  }

  /**
   * Say something; returns once the server has stored it. The same `messageId` is taken once, however often said.
   * `outputSchema` is the JSON schema of what the answer has to be, for agents that accept that; see `outputOf`.
   */
  async say(
    sessionId: string,
    content: Content,
    options: { messageId?: string; signal?: AbortSignal; outputSchema?: Record<string, unknown> } = {},
  ): Promise<Accepted> {
    const metadata = { message_id: options.messageId ?? newId() };
    const said = options.outputSchema === undefined ? content : { content, output_schema: options.outputSchema };
    const event = { event: "user.message", session_id: sessionId, content: said, metadata };
    return (await this.request(event, { signal: options.signal })).metadata as unknown as Accepted;
  }

  /** Answer an `agent.user_confirm`; `args` replaces the arguments of the call. */
  respond(
    sessionId: string,
    stepId: string,
    confirmed: boolean,
    more: { args?: Record<string, unknown>; reason?: string } = {},
  ): void {
    this.send({ event: "user.response", session_id: sessionId, step_id: stepId, content: { confirmed, ...more } });
  }

  /** Stop the active run of a session and those that wait; `agent.interrupted` follows. */
  cancel(sessionId: string): void {
    this.send({ event: "user.cancel", session_id: sessionId });
  }

  /**
   * Stop these runs of a session that is followed, and no others: not what is said after it, nor what others say when
   * these have ended. Returns when they have, whoever ended them.
   */
  async stopRuns(sessionId: string, runs: Iterable<string>, options: RequestOptions = {}): Promise<void> {
    const left = new Set(runs);
    const answeredBy = (frame: Frame): boolean => {
      if (frame.session_id !== sessionId) return false;
      if (endsRun(frame)) left.delete(String(runOf(frame)));
      const isIdle = frame.metadata["action"] === "replay" && frame.metadata["run_status"] === "idle";
      return left.size === 0 || isIdle || (frame.event === "agent.interrupted" && runOf(frame) === undefined);
    };
    const event = { event: "user.cancel", session_id: sessionId };
    await this.request(event, { afterReplay: true, answeredBy, ...options });
  }

  /**
   * One's own sessions, the most recently active first; `query` is words of their titles or messages. `families` lists
   * the newest session of each family alone, which is a session with its copies and theirs; `family_id` those of one.
   */
  async listSessions(
    wanted: { agent?: string; query?: string; families?: boolean; family_id?: string; before?: string; limit?: number } = {},
    options: RequestOptions = {},
  ): Promise<SessionPage> {
    return (await this.request({ event: "user.list_sessions", content: wanted }, options))
      .metadata as unknown as SessionPage;
  }

  /** Change the title, the metadata or both; what is given replaces what was there. */
  async updateSession(
    sessionId: string,
    content: { title?: string; metadata?: Record<string, unknown> },
  ): Promise<void> {
    const event = { event: "user.update_session", session_id: sessionId, content };
    await this.request(event, { answeredBy: is("agent.session_updated", sessionId) });
  }

  /** End a conversation: nothing more can be said in it, everything stays readable. */
  async closeSession(sessionId: string): Promise<void> {
    const event = { event: "user.close_session", session_id: sessionId };
    await this.request(event, { answeredBy: is("agent.session_end", sessionId) });
  }

  /** Delete a conversation and all that is stored of it. */
  async deleteSession(sessionId: string): Promise<void> {
    const event = { event: "user.delete_session", session_id: sessionId };
    await this.request(event, { answeredBy: is("agent.session_deleted", sessionId) });
  }

  /**
   * Begin a new session with all that came before a message, and say that message, or `content`, in it; or with all
   * finished steps up to `at`, and say nothing. Returns its id; `follow` it from 0 to be sent all of it.
   */
  async fork(
    sessionId: string,
    point: { before: string; content?: Content; messageId?: string } | { at: number },
  ): Promise<string> {
    const { messageId, ...fields } = { messageId: undefined, ...point };
    const metadata = messageId === undefined ? {} : { message_id: messageId };
    return (await this.request({ event: "user.fork", session_id: sessionId, ...fields, metadata })).session_id as string;
  }

  /** Say what one thinks of the answer of a run; null takes it back. */
  async giveFeedback(sessionId: string, runId: string, rating: "up" | "down" | null, comment?: string): Promise<void> {
    const content = { run_id: runId, rating, ...(comment === undefined ? {} : { comment }) };
    const event = { event: "user.feedback", session_id: sessionId, content };
    const ofRun = (frame: Frame): boolean => (frame.content as { run_id?: unknown } | undefined)?.run_id === runId;
    await this.request(event, { answeredBy: (frame) => is("user.feedback", sessionId)(frame) && ofRun(frame) });
  }

  /** The session in a form to keep, for `restore` within 7 days. */
  async exportState(sessionId: string): Promise<Record<string, string>> {
    const { metadata } = await this.request({ event: "user.request_state", session_id: sessionId });
    return metadata["signed_state"] as Record<string, string>;
  }

  /** Go on from an exported state; returns the id of the session, which may be a new one. */
  async restore(signedState: Record<string, string>, lastSeq = 0): Promise<string> {
    const content = { signed_state: signedState, last_seq: lastSeq };
    return (await this.request({ event: "user.reconnect_with_state", content })).session_id as string;
  }
}

/** An id that nobody else gives out. */
export function newId(): string {
  // randomUUID is there on secure origins only, and servers of one's own are reached by plain HTTP.
  const bytes = new Uint8Array(16);
  if (globalThis.crypto) crypto.getRandomValues(bytes);
  else bytes.forEach((_, at) => (bytes[at] = Math.random() * 256)); // Node 18; it has to be unique, and is no secret
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function is(event: string, sessionId: string): (frame: Frame) => boolean {
  return (frame) => frame.event === event && frame.session_id === sessionId;
}
