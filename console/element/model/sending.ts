/** Sends what waits, when and where it may be sent. */

import type { Link } from "./link.ts";
import type { OpenSession } from "./open_session.ts";

export const TRY_AGAIN_MS = 2_000;

const bytes = new TextEncoder();

export class Sending {
  /** Where the server states no limit there is none to keep. */
  maxFrameBytes = Infinity;

  constructor(
    private readonly link: Link,
    private readonly agentFor: (session: OpenSession) => string,
    private readonly tooLong: (session: OpenSession, id: string) => void,
  ) {}

  flush(session: OpenSession): void {
    const { link } = this;
    if ((session.outbox.isEmpty && !session.isExpected) || !link.isOpen || link.state !== "open") return;
    if (!session.id) {
      this.create(session);
      return;
    }
    if (session.caughtUpOn !== link.number) return; // what happened meanwhile may have settled it
    for (const posted of session.outbox.due(link.number)) {
      const text = JSON.stringify({ ...posted.request, session_id: session.id });
      posted.size = bytes.encode(text).length;
      if (posted.size > this.maxFrameBytes) {
        this.tooLong(session, posted.id);
        continue;
      }
      session.outbox.sent(posted, link.number);
      link.send(text);
    }
  }

  private create(session: OpenSession): void {
    if (session.creatingOn === this.link.number) return;
    const agent = this.agentFor(session);
    const isSent = this.link.send({ event: "user.create_session", content: agent ? { agent } : {}, metadata: { request_id: "create" } });
    if (isSent) session.creatingOn = this.link.number;
  }

  /** Asks for what happened since the cursor. */
  attach(session: OpenSession): void {
    session.caughtUpOn = null;
    session.conversation.isCatchingUp = true;
    this.link.send({ event: "user.reconnect", session_id: session.id, last_seq: session.conversation.seq });
  }

  acknowledge(session: OpenSession): void {
    const { seq } = session.conversation;
    if (!session.id || seq <= session.acknowledged) return;
    if (this.link.send({ event: "user.ack", session_id: session.id, last_seq: seq })) session.acknowledged = seq;
  }
}
