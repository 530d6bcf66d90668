/** What was said and not delivered when its page ended, kept in the tab: said again under the same id it is one message. */

import type { Content } from "./frame.ts";
import { ofThisTab } from "./memory.ts";
import type { OpenSession } from "./open_session.ts";

export interface Kept { session: string; id: string; content: Content; whenBusy?: string }

export class Unsent {
  private readonly memory;

  constructor(server: string) { this.memory = ofThisTab(`myagent.unsent ${server}`); }

  keep(sessions: OpenSession[]): void {
    const kept = sessions.flatMap((session) => session.undelivered());
    this.memory.set(kept.length ? JSON.stringify(kept) : "");
  }

  /** What was kept; from now on the caller keeps it. */
  take(): Kept[] {
    const kept = this.memory.get();
    this.memory.set("");
    try { return JSON.parse(kept ?? "[]") as Kept[]; } catch { return []; }
  }
}
