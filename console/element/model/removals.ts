/** Conversations that are to be deleted: hidden at once, deleted some seconds later unless that is undone. */

import type { Request } from "./frame.ts";
import type { SessionList } from "./session_list.ts";

export const UNDO_MS = 7_000;

export class Removals {
  /** The one that may still be undone. */
  undoable = "";
  private readonly due = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly list: SessionList,
    private readonly send: (request: Request) => boolean,
    private readonly changed: () => void,
  ) {}

  hide(id: string): void {
    this.settle();
    this.list.hidden.add(id);
    this.undoable = id;
    this.timer = setTimeout(() => { this.settle(); this.changed(); }, UNDO_MS);
  }

  undo(): void {
    clearTimeout(this.timer);
    this.list.hidden.delete(this.undoable);
    this.undoable = "";
    this.changed();
  }

  private settle(): void {
    clearTimeout(this.timer);
    if (!this.undoable) return;
    this.due.add(this.undoable);
    this.undoable = "";
    this.flush();
  }

  /** Deletes what is due; `all`: what could still be undone, too, because the page ends. */
  flush(all = false): void {
    if (all) this.settle();
    for (const id of this.due) this.send({ event: "user.delete_session", session_id: id });
  }

  deleted(id: string): void { this.due.delete(id); }
}
