/** A session that this tab follows: its log as far as it was told, and what the server was asked for it. */

import { Conversation } from "./conversation.ts";
import type { Frame } from "./frame.ts";
import type { Item, Said } from "./turn.ts";
import type { Kept } from "./unsent.ts";

/** Under which the stop of a session is posted. */
export const STOP = "stop";

export class OpenSession {
  conversation: Conversation;
  /** What was said, answered, rated and stopped, and is not known to have arrived; each can be withdrawn. */
  readonly posts = new Map<string, AbortController>();
  /** What was said before the page was loaded again, until the log is known. */
  unsaid: Kept[] = [];
  /** Its id, once it exists; fails with the refusal of a server that does not create it. */
  creating: Promise<string> | null = null;

  constructor(id: string) { this.conversation = new Conversation(id); }

  get id(): string { return this.conversation.id; }

  get isStopping(): boolean { return this.posts.has(STOP); }

  /** Whether it has to be followed although it is not shown. */
  get isBusy(): boolean { return this.posts.size > 0 || this.unsaid.length > 0 || this.creating !== null || this.conversation.active.size > 0; }

  /** It exists now. */
  created(frame: Frame): void {
    this.conversation.id = frame.session_id ?? "";
    this.conversation.fold(frame);
    this.conversation.isCatchingUp = false;
  }

  /** The log begins anew: what was known of it counts no more. */
  restart(): void { this.conversation = new Conversation(this.id); }

  /** What was said and is in no log: it did not arrive, or waits to steer a run. Sent again it is no second message. */
  undelivered(): Kept[] {
    const isOut = (item: Item): item is Said => item.kind === "said" && !item.isLogged && ["unsent", "waiting"].includes(item.state);
    const said = this.conversation.items.filter(isOut).map(({ id, content, whenBusy }) => ({ session: this.id, id, content, whenBusy }));
    return [...this.unsaid, ...said];
  }

  /** It is gone, or this page forgets it: nothing is sent to it any more. */
  withdraw(): void {
    for (const post of this.posts.values()) post.abort();
    this.posts.clear();
    this.unsaid = [];
  }
}
