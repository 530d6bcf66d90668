/** A session that this tab follows: its log as far as it was told, and what waits to be sent to it. */

import { Conversation } from "./conversation.ts";
import type { Frame } from "./frame.ts";
import { Outbox, type Posted } from "./outbox.ts";
import type { Kept } from "./unsent.ts";

export class NotCreated extends Error {}

export class OpenSession {
  conversation: Conversation;
  readonly outbox = new Outbox();
  /** The connection on which everything that is past was told. Until then nothing is sent again. */
  caughtUpOn: number | null = null;
  /** The connection on which it was asked to be created. */
  creatingOn: number | null = null;
  acknowledged = 0;
  /** What was said before the page was loaded again, until the log is known. */
  unsaid: Kept[] = [];
  /** Those who need its id before a first message: files are stored with a session. */
  private expecting: { resolve: (id: string) => void; reject: (error: Error) => void }[] = [];

  constructor(id: string) { this.conversation = new Conversation(id); }

  /** Its id, once it exists; fails with the words of the server that does not create it. */
  whenCreated(): Promise<string> {
    return this.id ? Promise.resolve(this.id) : new Promise((resolve, reject) => this.expecting.push({ resolve, reject }));
  }

  get isExpected(): boolean { return this.expecting.length > 0; }

  notCreated(why: string): void {
    this.creatingOn = null;
    for (const { reject } of this.expecting.splice(0)) reject(new NotCreated(why));
  }

  get id(): string { return this.conversation.id; }

  get isStopping(): boolean { return this.outbox.has("stop"); }

  /** Whether it has to be followed although it is not shown. */
  get isBusy(): boolean { return !this.outbox.isEmpty || this.unsaid.length > 0 || this.isExpected || this.conversation.active.size > 0; }

  /** It exists now. */
  created(frame: Frame, connection: number): void {
    this.conversation.id = frame.session_id ?? "";
    this.conversation.fold(frame);
    this.conversation.isCatchingUp = false;
    this.caughtUpOn = connection;
    this.creatingOn = null;
    for (const { resolve } of this.expecting.splice(0)) resolve(this.id);
  }

  /** The log begins anew: what was known of it counts no more. */
  restart(): void { this.conversation = new Conversation(this.id); }

  delivered(id: string | undefined): Posted | undefined {
    return id === undefined ? undefined : this.outbox.drop(id);
  }
}
