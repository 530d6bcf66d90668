/** What the reader says: sent, sent again, kept for the next page, and taken back while nobody has read it. */

import type { Chat } from "./chat.ts";
import type { Content } from "./frame.ts";
import { OpenSession } from "./open_session.ts";
import { Unsent } from "./unsent.ts";

export const newId = (): string =>
  "randomUUID" in crypto ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;

export class Saying {
  private readonly unsent: Unsent;

  constructor(private readonly chat: Chat) { this.unsent = new Unsent(chat.server.socketBase); }

  /** `whenBusy` says what becomes of it while a run goes on; "" leaves that to the agent. */
  say(content: Content, id = newId(), session = this.chat.shown, whenBusy = ""): void {
    const { chat } = this;
    session.conversation.say(id, content, new Date().toISOString(), whenBusy);
    chat.posting.post(session, {
      key: id,
      event: { event: "user.message", content, metadata: { message_id: id, ...(whenBusy ? { when_busy: whenBusy } : {}) } },
      arrived: ({ event, metadata }) => event === "user.message" && metadata.message_id === id,
      undone: (why) => session.conversation.refused(id, why),
    });
    chat.changed();
  }

  /** Says once more what was refused. */
  again(id: string): void {
    const { shown } = this.chat;
    const message = shown.conversation.messageOf(id);
    if (!message) return;
    shown.conversation.unsay(id);
    this.say(message.content, id, shown, message.whenBusy);
  }

  /** Has a message back that nobody has read. */
  withdraw(id: string): void {
    const { chat } = this;
    const { shown } = chat;
    chat.posting.post(shown, {
      key: `withdraw ${id}`,
      event: { event: "user.withdraw", message_id: id },
      arrived: () => false,
      // Of one that was to steer nothing is left, so that a reply that was lost cannot be had again.
      undone: (why, code) => { if (code === "message_not_found") this.withdrawn(shown, id); else chat.surroundings.told(why, true); },
    });
    chat.changed();
  }

  withdrawn(session: OpenSession, id: string): void {
    const { chat } = this;
    const message = session.conversation.messageOf(id);
    if (!message) return;
    if (!message.isLogged) session.conversation.unsay(id);
    if (session === chat.shown) chat.surroundings.withdrawn(message);
    chat.changed();
  }

  /** Keeps for the next page what nobody may have read yet. */
  keep(): void { this.unsent.keep(this.chat.followed); }

  /** The page did not end after all. */
  returned(): void { this.unsent.take(); }

  /** Says again what an earlier page of this tab could not deliver. */
  resume(): void {
    const { chat } = this;
    for (const kept of this.unsent.take()) {
      let session = chat.followed.find((one) => one.id === kept.session);
      if (!session) {
        chat.followed.push((session = new OpenSession(kept.session)));
        if (session.id) chat.follow(session);
      }
      if (session.id) session.unsaid.push(kept);
      else this.say(kept.content, kept.id, session, kept.whenBusy);
    }
  }
}
