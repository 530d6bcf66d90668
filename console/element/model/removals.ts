/** Conversations that are to be deleted: hidden at once, deleted some seconds later unless that is undone. */

import type { SessionList } from "./session_list.ts";

export const UNDO_MS = 7_000;

export class Removals {
  /** The one that may still be undone. */
  undoable = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly list: SessionList,
    private readonly remove: (id: string) => void,
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

  /** Deletes what could still be undone. */
  settle(): void {
    clearTimeout(this.timer);
    const id = this.undoable;
    this.undoable = "";
    if (id) this.remove(id);
  }
}
