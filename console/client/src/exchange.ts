// What a client and its server have told each other, over all connections: nothing is lost or shown twice. Needs no
// socket and no clock. `tests/support/vectors/exchange.json` says what it does; the Python client has the same rules.

import { Cursors } from "./cursors.ts";
import { isRefusal, type Frame, type Outgoing } from "./frames.ts";
import { Letter, Outbox, showsArrival, type Manner, type Reply } from "./outbox.ts";

const FOLLOWED_ONLY = new Set(["user.message", "user.response", "user.cancel"]);

/** What became of a frame of the server: something new, nothing new, or the connection has to be done again. */
export type Taken = "news" | "known" | "lags";

export class Exchange {
  readonly #cursors: Cursors;
  readonly #outbox = new Outbox();
  readonly #newId: () => string;
  /** The ids of own messages, and of the steps of own answers, for each session. */
  readonly #own = new Map<string, Set<string>>();
  readonly #acknowledged = new Map<string, number>();
  #connection = 0;
  #maxBytes: number | undefined;
  /** The sessions that a connection was made to hear of without following them, and which connection that was. */
  readonly #heard = new Map<string, number>();
  readonly #echoes: boolean;

  /** `echoes`: what was put here and comes back from the log is news as well. */
  constructor(newId: () => string, echoes = false) {
    this.#newId = newId;
    this.#echoes = echoes;
    this.#cursors = new Cursors(newId);
  }

  get cursors(): Record<string, number> {
    return this.#cursors.positions();
  }

  follows(sessionId: string): boolean {
    return this.#cursors.has(sessionId);
  }

  /** A new connection is there; `maxBytes` is the largest frame that its server takes. */
  connected(maxBytes?: number): void {
    this.#connection += 1;
    this.#maxBytes = maxBytes;
    this.#outbox.giveUpOnce();
  }

  /** Follow a session from behind an event; `ended` is told the notice that ends the replay, or the refusal. */
  follow(sessionId: string, lastSeq: number, ended: (frame: Frame) => void): void {
    this.#cursors.add(sessionId, lastSeq, ended, this.#connection);
    this.#acknowledged.set(sessionId, lastSeq);
    this.#own.delete(sessionId); // who asks for the log wants all of it
  }

  leave(sessionId: string): void {
    this.#cursors.leave(sessionId);
  }

  /** Have an event sent, on each connection, until something shows that it arrived. */
  put(event: Outgoing, reply: Reply | null, settles?: (frame: Frame) => boolean, manner?: Manner): Letter {
    if (FOLLOWED_ONLY.has(event.event) && !this.#cursors.has(event.session_id)) {
      throw new RangeError(`${event.session_id} is not followed: create it with this client, or follow it first`);
    }
    const arrival = settles ?? (reply === null ? showsArrival(event) : undefined);
    const letter = new Letter(event, this.#newId(), arrival, reply, this.#maxBytes, manner);
    if (letter.ownId) this.#ownOf(event.session_id).add(letter.ownId);
    this.#outbox.put(letter);
    return letter;
  }

  drop(letter: Letter): void {
    this.#outbox.drop(letter);
  }

  /** It was not taken: the same id may be another's, or one's own later. */
  disown(letter: Letter): void {
    this.#ownOf(letter.frame.session_id).delete(letter.ownId);
  }

  /** What makes this connection hear of a session that is not followed, once on each; it moves no cursor. */
  *listen(sessionId: string): Generator<Outgoing> {
    if (this.#heard.get(sessionId) === this.#connection || this.#cursors.has(sessionId)) return;
    this.#heard.set(sessionId, this.#connection);
    yield { event: "user.ack", session_id: sessionId, last_seq: 0 };
  }

  /** Everything that this connection has to be sent and was not yet; each is taken as sent. */
  *unsent(): Generator<Outgoing> {
    // A session must be followed from its cursor before anything else on the connection names it.
    yield* this.#cursors.unsent(this.#connection);
    yield* this.#outbox.unsent(this.#connection, (sessionId) => this.#cursors.isReplaying(sessionId));
  }

  take(frame: Frame): Taken {
    const isOwn = !this.#echoes && this.#isOwn(frame);
    const isNews = this.#cursors.take(frame, this.#connection);
    const settled = this.#outbox.take(frame);
    if (this.#cursors.lags(frame.session_id, this.#connection)) return "lags";
    const isStale = isRefusal(frame) && settled.some((letter) => letter.isRepeated);
    return isNews && !isOwn && !isStale ? "news" : "known";
  }

  /** What the server may be told of how far `read` says that each session was read; each is taken as sent. */
  *acknowledgements(read: Record<string, number>): Generator<Outgoing> {
    const received = this.cursors;
    for (const [sessionId, seq] of Object.entries(read)) {
      const last = Math.min(seq, received[sessionId] ?? 0);
      if (last <= (this.#acknowledged.get(sessionId) ?? 0)) continue;
      this.#acknowledged.set(sessionId, last);
      yield { event: "user.ack", session_id: sessionId, last_seq: last };
    }
  }

  giveUpLargest(): void {
    this.#outbox.giveUpLargest(this.#connection);
  }

  giveUp(error: Error): void {
    this.#outbox.giveUp(error);
  }

  #ownOf(sessionId: string | undefined): Set<string> {
    const own = this.#own.get(sessionId ?? "") ?? new Set<string>();
    this.#own.set(sessionId ?? "", own);
    return own;
  }

  #isOwn(frame: Frame): boolean {
    const own = this.#own.get(frame.session_id ?? "");
    if (!own) return false;
    if (frame.event === "user.message") return own.has(String(frame.metadata["message_id"]));
    // A live answer is somebody else's, who was quicker.
    const isOld = frame.event === "user.response" && this.#cursors.isReplaying(frame.session_id);
    return isOld && own.has(String(frame.step_id));
  }
}
