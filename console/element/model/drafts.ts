/** What was begun to be written, for each conversation. Kept until it is said. */

import { lasting } from "./memory.ts";

const MOST = 50;

export interface Edit { id: string; text: string }

export class Drafts {
  private readonly memory;

  constructor(server: string) { this.memory = lasting(`myagent.drafts ${server}`); }

  private all(): Record<string, string> {
    try { return JSON.parse(this.memory.get() ?? "{}") as Record<string, string>; } catch { return {}; }
  }

  get(conversation: string): string { return this.all()[conversation] ?? ""; }

  /** A message that is being written anew, of this conversation. */
  edit(conversation: string): Edit | null {
    try { return JSON.parse(this.get(`edit ${conversation}`) || "null") as Edit | null; } catch { return null; }
  }

  setEdit(conversation: string, edit: Edit | null): void { this.set(`edit ${conversation}`, edit ? JSON.stringify(edit) : ""); }

  set(conversation: string, words: string): void {
    // Read each time: another tab keeps its own there.
    const { [conversation]: before, ...others } = this.all();
    if (before === undefined && !words) return;
    const kept = Object.entries(others).slice(-MOST);
    this.memory.set(JSON.stringify(Object.fromEntries(words ? [...kept, [conversation, words]] : kept)));
  }
}
