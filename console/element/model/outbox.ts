/** What the user said, answered and stopped, in this order, until the server has it. What comes twice it takes once. */

import type { Request } from "./frame.ts";

export interface Posted {
  id: string;
  request: Request;
  /** Of a stop: the runs that are meant. One that comes when they have ended stops nothing else. */
  runs: Set<string> | null;
  /** The connection it was sent on last. */
  sentOn: number | null;
  tries: number;
  /** Takes back what was shown in advance, when it is refused. */
  undo: () => void;
  size: number;
}

export class Outbox {
  private readonly waiting = new Map<string, Posted>();

  post(id: string, request: Request, { runs = null, undo = () => {} }: Partial<Pick<Posted, "runs" | "undo">> = {}): void {
    this.waiting.set(id, { id, request, runs, undo, sentOn: null, tries: 0, size: 0 });
  }

  get(id: string): Posted | undefined { return this.waiting.get(id); }

  has(id: string): boolean { return this.waiting.has(id); }

  get isEmpty(): boolean { return this.waiting.size === 0; }

  /** Those that were not sent on this connection. */
  due(connection: number): Posted[] {
    return [...this.waiting.values()].filter((posted) => posted.sentOn !== connection);
  }

  sent(posted: Posted, connection: number): void {
    posted.sentOn = connection;
    posted.tries += 1;
  }

  /** To be sent once more on the same connection. */
  again(id: string): void {
    const posted = this.waiting.get(id);
    if (posted) posted.sentOn = null;
  }

  drop(id: string): Posted | undefined {
    const posted = this.waiting.get(id);
    this.waiting.delete(id);
    return posted;
  }

  /** A run has ended; a stop that meant it and no other is done. Returns whether one was. */
  runEnded(runId: string): boolean {
    const stop = this.waiting.get(STOP);
    if (!stop?.runs?.delete(runId) || stop.runs.size > 0) return false;
    return this.waiting.delete(STOP);
  }

  /** The largest of what was sent on a connection: the one that broke it, when it broke for the size of a frame. */
  largest(connection: number): Posted | undefined {
    return [...this.waiting.values()].filter((posted) => posted.sentOn === connection).sort((one, other) => other.size - one.size)[0];
  }

  messages(): Posted[] { return [...this.waiting.values()].filter((posted) => posted.request.event === "user.message"); }
}

export const STOP = "stop";
