/** What is asked for beside what is said: copies, titles and deletions. How that ended is never left unsaid. */

import { ConnectionLost, OutcomeUnknown, RequestRefused, Withdrawn } from "myagent-client";
import type { Chat } from "./chat.ts";
import type { Content, Frame } from "./frame.ts";
import { words } from "../words/words.ts";

/** The codes of servers that do not know a request. */
export const UNKNOWN = new Set(["unknown_event", "not_supported"]);

export class Asking {
  constructor(private readonly chat: Chat) {}

  /**
   * A new conversation from before a message on, with the same words or with others. `undone`: there is none, or nobody
   * can know; done twice it would be two.
   */
  fork(messageId: string, content?: Content, { done = () => {}, undone = () => {} }: { done?: () => void; undone?: () => void } = {}): void {
    const { chat } = this;
    const { shown } = chat;
    const instead = (): void => {
      done();
      const message = shown.conversation.messageOf(messageId);
      if (message) chat.say(content ?? message.content, undefined, shown);
    };
    // A server that forks nothing is told the same once more.
    if (chat.unknown.has("user.fork")) { instead(); return; }
    const event = { event: "user.fork", session_id: shown.id, before: messageId, ...(content === undefined ? {} : { content }) };
    chat.link.client.request(event, { once: true }).then(
      (frame) => { done(); chat.hearing.forked(frame as unknown as Frame); },
      (error: unknown) => {
        const isUnknown = error instanceof RequestRefused && UNKNOWN.has(error.code);
        if (isUnknown) { chat.unknown.add("user.fork"); instead(); return; }
        undone();
        this.failed(error);
      },
    );
  }

  rename(id: string, title: string): void {
    const { chat } = this;
    chat.list.update(id, { title });
    chat.link.client.updateSession(id, { title }).catch((error: unknown) => { chat.list.refresh(); this.failed(error); });
    chat.changed();
  }

  remove(id: string): void {
    const { chat } = this;
    // Now, since the page may end before the server says anything.
    chat.forget(id);
    chat.link.client.deleteSession(id).catch((error: unknown) => {
      if (error instanceof RequestRefused && error.code === "session_not_found") { chat.list.remove(id); return; }
      chat.list.hidden.delete(id);
      this.failed(error);
    });
  }

  private failed(error: unknown): void {
    const { chat } = this;
    // That the line is shut the page tells already.
    if (error instanceof ConnectionLost || error instanceof Withdrawn) return;
    if (error instanceof OutcomeUnknown) { chat.surroundings.told(words().forkLost, true); return; }
    const { why, code } = chat.posting.reasonOf(error);
    chat.surroundings.told(UNKNOWN.has(code) ? words().notKnown : why, true);
    chat.changed();
  }
}
