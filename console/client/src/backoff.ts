// When a lost connection is tried again. Needs no socket and no clock.

import { ConnectionLost } from "./errors.ts";
import { CloseCode } from "./events.ts";

const FIRST_SECONDS = 0.25;
const MOST_SECONDS = 15;
/** A connection that lived so long was a success: the next pause is a short one again. */
const SETTLED_SECONDS = 3;
/** The shortest pause before a server is asked again that has as many connections as it takes. */
const LIMIT_SECONDS = 2;

/** Pauses that double from attempt to attempt, each cut by up to half so that clients do not come all at once. */
export class Backoff {
  #next = 0;

  /** `spread` gives a number from 0 to 1. */
  constructor(private readonly spread: () => number) {}

  /** Seconds until the next attempt, after a connection that lived for so many seconds, 0 if there was none. */
  pause(lost: ConnectionLost, lived: number): number {
    if (lived >= SETTLED_SECONDS) this.reset();
    const atLeast = lost.code === CloseCode.OVER_LIMIT ? LIMIT_SECONDS : 0;
    const seconds = Math.max(this.#next || FIRST_SECONDS, atLeast);
    this.#next = Math.min(seconds * 2, MOST_SECONDS);
    return seconds * (1 - this.spread() / 2);
  }

  /** Begin again: the last attempt was a success, or the network is back. */
  reset(): void {
    this.#next = 0;
  }
}
