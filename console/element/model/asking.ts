/** What was asked for beside messages, until it is known how that ended: nothing of it is forgotten without a word. */

import type { Frame, Request } from "./frame.ts";
import type { Link } from "./link.ts";

/** What follows from an answer. */
export interface Outcomes {
  /** It was refused, or nobody can know: what was done in advance is taken back. */
  undone: () => void;
  done?: () => void;
  /** What is done instead with a server that does not know the request. */
  instead?: () => void;
}

export interface Asked extends Outcomes {
  request: Request;
  isSent: boolean;
}

/** Done twice it would be two. */
const FORK = "user.fork";

export class Asking {
  private readonly asked = new Map<string, Asked>();
  private count = 0;

  /** `lost`: a request was sent and the line broke before an answer; it is not sent again. */
  constructor(private readonly link: Link, private readonly lost: (asked: Asked) => void) {}

  ask(request: Request, outcomes: Outcomes): void {
    this.count += 1;
    const id = `ask-${this.count}`;
    const asked = { ...outcomes, request: { ...request, metadata: { request_id: id } }, isSent: false };
    this.asked.set(id, asked);
    asked.isSent = this.link.send(asked.request);
  }

  /** Asks once more on a new connection, as far as that does no harm. */
  reconnected(): void {
    for (const [id, asked] of this.asked) {
      if (!asked.isSent || asked.request.event !== FORK) { asked.isSent = this.link.send(asked.request); continue; }
      this.asked.delete(id);
      this.lost(asked);
    }
  }

  /** The request that this answers; it is answered then. */
  take(id: string): Asked | undefined {
    const asked = this.asked.get(id);
    this.asked.delete(id);
    return asked;
  }

  /** A title is changed, by whomever. */
  settled({ session_id: session }: Frame): void {
    for (const [id, { request }] of this.asked) if (request.event !== FORK && request.session_id === session) this.asked.delete(id);
  }
}
