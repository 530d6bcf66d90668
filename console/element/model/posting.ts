/** What is said, answered, rated and stopped in a conversation. How it gets to the server is the client's business. */

import { ConnectionLost, FrameTooLarge, RequestRefused, Withdrawn, type Client, type Outgoing } from "myagent-client";
import type { Frame } from "./frame.ts";
import type { OpenSession } from "./open_session.ts";
import { words } from "../words/words.ts";

export interface Post {
  /** What is posted later under the same key replaces it. */
  key: string;
  /** Without its session, which may have to be created first. */
  event: Outgoing;
  /** Takes a frame of that session for the sign that it arrived, or that it is of no use any more. */
  arrived: (frame: Frame) => boolean;
  /** It was refused, with words about it: what was shown in advance is taken back. */
  undone: (why: string, code: string) => void;
}

export class Posting {
  /** The largest frame that the server takes; null where it does not say. */
  maxFrameBytes: number | null = null;

  constructor(
    private readonly client: Client,
    private readonly create: (session: OpenSession) => Promise<string>,
    private readonly follow: (session: OpenSession) => void,
    private readonly changed: () => void,
  ) {}

  post(session: OpenSession, { key, event, arrived, undone }: Post): void {
    const answeredBy = (frame: object): boolean => (frame as Frame).session_id === session.id && arrived(frame as Frame);
    this.settle(session, key, undone, (id, signal) => this.client.persist({ ...event, session_id: id }, { answeredBy, afterReplay: true, signal }));
  }

  /** Stops the runs that are active now, and none of what is said after that. */
  stop(session: OpenSession, key: string, undone: Post["undone"]): void {
    const runs = [...session.conversation.active];
    this.settle(session, key, undone, (id, signal) => this.client.stopRuns(id, runs, { signal }));
  }

  private settle(session: OpenSession, key: string, undone: Post["undone"], ask: (id: string, signal: AbortSignal) => Promise<unknown>): void {
    session.posts.get(key)?.abort();
    const controller = new AbortController();
    session.posts.set(key, controller);
    if (session.id && !(session.id in this.client.cursors)) this.follow(session);
    // At once, if that is possible: the page may end right after this.
    const asked = session.id ? ask(session.id, controller.signal) : this.create(session).then((id) => ask(id, controller.signal));
    void asked
      .catch((error: unknown) => { if (!controller.signal.aborted) this.failed(error, undone); })
      .finally(() => {
        if (session.posts.get(key) === controller) session.posts.delete(key);
        this.changed();
      });
  }

  private failed(error: unknown, undone: Post["undone"]): void {
    // The line is shut: the page keeps what was said, and says it again when it has another one.
    if (error instanceof ConnectionLost || error instanceof Withdrawn) return;
    const { why, code } = this.reasonOf(error);
    undone(why, code);
  }

  /** The words for what the server, or the client, does not do. Throws what is neither. */
  reasonOf(error: unknown): { why: string; code: string } {
    if (error instanceof RequestRefused) return { why: error.message, code: error.code };
    if (!(error instanceof FrameTooLarge)) throw error;
    const limit = error.limit ?? this.maxFrameBytes;
    return { why: words().tooLong(limit ? Math.round((limit / 2 ** 20) * 100) / 100 : null), code: "too_large" };
  }
}
