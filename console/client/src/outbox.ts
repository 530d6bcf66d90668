// What a client has told a server and does not know yet that it arrived. Needs no socket.

import { FrameTooLarge, OutcomeUnknown } from "./errors.ts";
import { endsRun, type Frame, type Outgoing } from "./frames.ts";

/** Is given the frame that settles a request, or the error that ends it. */
export interface Reply {
  frame(frame: Frame): void;
  error(error: Error): void;
}

/** How a frame is sent. */
export interface Manner {
  /**
   * Not before everything behind the cursor of its session was sent on the connection: that may settle it. What is put
   * behind it for the same session waits with it.
   */
  afterReplay?: boolean | undefined;
  /** On one connection and no other: done twice it would be two. */
  once?: boolean | undefined;
}

/** One frame to send, over as many connections as it takes until a frame of the server settles it. */
export class Letter {
  readonly frame: Outgoing;
  /** Bytes of the frame. */
  readonly size: number;
  attempts = 0;
  /** The number of the connection on which it was sent last, from 1. */
  sentOn = 0;
  readonly #settles: (frame: Frame) => boolean;

  /**
   * Throws `FrameTooLarge`, and `TypeError` for what is no JSON, here and not at each connection. `settles` takes
   * frames for the reply besides the one that bears its `request_id`; without a `reply` nobody waits for it.
   */
  constructor(
    event: Outgoing,
    requestId: string,
    settles: ((frame: Frame) => boolean) | undefined,
    readonly reply: Reply | null,
    maxBytes?: number,
    readonly manner: Manner = {},
  ) {
    this.frame = { ...event, metadata: { ...event.metadata, request_id: requestId } };
    this.size = new TextEncoder().encode(JSON.stringify(this.frame)).length;
    if (maxBytes !== undefined && this.size > maxBytes) throw new FrameTooLarge(this.size, maxBytes);
    this.#settles = (frame) => frame.metadata["request_id"] === requestId || Boolean(settles?.(frame));
  }

  /** By what the log names it: the id of a message, the step of an answer; empty for all else. */
  get ownId(): string {
    const own = { "user.message": this.frame.metadata?.["message_id"], "user.response": this.frame.step_id };
    return String(own[this.frame.event as keyof typeof own] ?? "");
  }

  /** Whether nobody waits for it and it was sent before, so that a refusal says no more than that it arrived. */
  get isRepeated(): boolean {
    return this.reply === null && this.attempts > 1;
  }

  isSettledBy(frame: Frame): boolean {
    return this.#settles(frame);
  }
}

/** Tells the frames, besides a reply, that show that an event arrived or is of no use any more. */
export function showsArrival(event: Outgoing): ((frame: Frame) => boolean) | undefined {
  const { session_id: sessionId, step_id: stepId } = event;
  if (event.event === "user.response") {
    return (frame) =>
      (frame.event === "user.response" && frame.step_id === stepId) ||
      (endsRun(frame) && frame.session_id === sessionId);
  }
  if (event.event === "user.cancel") {
    return (frame) => {
      const isIdle = frame.metadata["action"] === "replay" && frame.metadata["run_status"] === "idle";
      return frame.session_id === sessionId && (frame.event === "agent.interrupted" || isIdle);
    };
  }
  return undefined;
}

/** Keeps what was sent, in order, until it is settled. */
export class Outbox {
  #letters: Letter[] = [];

  /**
   * Have something sent. A cancel is for what was said before it: behind a message it is sent no more, unless it keeps
   * its place before that message.
   */
  put(letter: Letter): void {
    if (letter.frame.event === "user.message") {
      const sessionId = letter.frame.session_id;
      this.#letters = this.#letters.filter(
        ({ frame, manner }) => frame.event !== "user.cancel" || frame.session_id !== sessionId || manner.afterReplay,
      );
    }
    this.#letters.push(letter);
  }

  /** Send it no more. */
  drop(letter: Letter): void {
    this.#letters = this.#letters.filter((other) => other !== letter);
  }

  /**
   * What was not sent on this connection yet, oldest first; each is taken as sent when it is handed out. `isReplaying`
   * tells of which sessions the log is still being sent.
   */
  *unsent(connection: number, isReplaying: (sessionId?: string) => boolean = () => false): Generator<Outgoing> {
    const held = new Set<string | undefined>();
    for (const letter of [...this.#letters]) {
      if (letter.sentOn === connection || !this.#letters.includes(letter)) continue;
      const { session_id: sessionId } = letter.frame;
      if (held.has(sessionId) || (letter.manner.afterReplay && isReplaying(sessionId))) {
        if (sessionId !== undefined) held.add(sessionId);
        continue;
      }
      letter.sentOn = connection;
      letter.attempts += 1;
      yield letter.frame;
    }
  }

  /** Let go of what this frame settles, and return it. */
  take(frame: Frame): Letter[] {
    const settled = this.#letters.filter((letter) => letter.isSettledBy(frame));
    for (const letter of settled) {
      this.drop(letter);
      letter.reply?.frame(frame);
    }
    return settled;
  }

  /** A connection is gone: nobody knows whether what is sent on one only was done. */
  giveUpOnce(): void {
    for (const letter of this.#letters.filter(({ manner, attempts }) => manner.once && attempts > 0)) {
      this.drop(letter);
      letter.reply?.error(new OutcomeUnknown());
    }
  }

  /** Send no more what is the largest of all that was sent on this connection, and tell whoever waits for it. */
  giveUpLargest(connection: number): void {
    const sent = this.#letters.filter((letter) => letter.sentOn === connection);
    const [largest] = sent.sort((one, other) => other.size - one.size);
    if (!largest) return;
    this.drop(largest);
    largest.reply?.error(new FrameTooLarge(largest.size));
  }

  /** Send nothing more, and tell whoever waits why. */
  giveUp(error: Error): void {
    const letters = this.#letters;
    this.#letters = [];
    for (const letter of letters) letter.reply?.error(error);
  }
}
