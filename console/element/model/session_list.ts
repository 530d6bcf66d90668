/** The own conversations as the side bar shows them: newest first, more by scrolling, found by words. */

import { RequestRefused, type Client } from "myagent-client";
import type { Row } from "./frame.ts";
import { lasting } from "./memory.ts";

export type Mark = "waiting" | "running" | "failed" | "unread" | "";

const PAGE = 30;

interface Page { sessions: Row[]; next?: string }

const hasWords = (title: string, query: string): boolean =>
  query.toLowerCase().split(/\s+/).every((word) => title.toLowerCase().includes(word));

export class SessionList {
  rows: Row[] = [];
  query = "";
  next: string | undefined;
  isLoading = false;
  isLoaded = false;
  /** Who asks has no name. */
  isAnonymous = false;
  /** Rows that are gone for the eye, until they are deleted or that is undone. */
  readonly hidden = new Set<string>();
  private readonly seen;
  private readonly local;
  private seenNow: Record<string, number> | null = null;
  private awaited: AbortController | null = null;

  /** `came`: another part of the list is there. */
  constructor(server: string, private readonly client: Client, private readonly came: () => void) {
    this.seen = lasting(`myagent.seen ${server}`);
    this.local = lasting(`myagent.conversations ${server}`);
  }

  get visible(): Row[] { return this.rows.filter((row) => !this.hidden.has(row.session_id)); }

  /** Asks for the first page. What is shown stays until it comes. */
  refresh(): void { this.ask(undefined); }

  more(): void { if (this.next && !this.isLoading) this.ask(this.next); }

  search(words: string): void {
    this.query = words;
    this.ask(undefined);
  }

  private ask(before: string | undefined): void {
    this.seenNow = null;
    // Only the newest answer counts.
    this.awaited?.abort();
    const awaited = (this.awaited = new AbortController());
    this.isLoading = true;
    const words = this.query.trim();
    const wanted = { limit: PAGE, ...(words ? { query: words } : {}), ...(before ? { before } : {}) };
    this.client.listSessions(wanted, { signal: awaited.signal }).then(
      (page) => this.take(page as unknown as Page, before !== undefined),
      (error: unknown) => {
        if (awaited.signal.aborted) return;
        this.isLoading = false;
        if (error instanceof RequestRefused) console.info("The conversations are not listed:", error.message);
      },
    );
  }

  private take({ sessions: rows, next }: Page, isMore: boolean): void {
    this.isLoading = false;
    this.isLoaded = true;
    this.merge(rows, next, isMore);
    this.came();
  }

  private merge(listed: Row[], next: string | undefined, isMore: boolean): void {
    let rows = listed;
    // The server lists nothing to those without a name; this browser remembers what it was shown.
    if (this.isAnonymous && !rows.length) rows = this.remembered().filter((row) => hasWords(row.title, this.query));
    if (isMore) {
      const known = new Set(this.rows.map((row) => row.session_id));
      this.rows = [...this.rows, ...rows.filter((row) => !known.has(row.session_id))];
    } else {
      // What was scrolled to stays, unless something else is looked for.
      const fresh = new Set(rows.map((row) => row.session_id));
      const last = rows.at(-1)?.active_at ?? "";
      const older = this.next && !this.query ? this.rows.filter((row) => !fresh.has(row.session_id) && row.active_at < last) : [];
      this.rows = [...rows, ...older];
      if (older.length) return;
    }
    this.next = next;
  }

  find(id: string): Row | undefined { return this.rows.find((row) => row.session_id === id); }

  /** Changes a row, or puts a new one in front. */
  update(id: string, change: Partial<Row>): void {
    const row = this.find(id);
    if (row) Object.assign(row, change);
    else if (!this.query) this.rows = [{ session_id: id, agent: "", title: "", active_at: new Date().toISOString(), ...change }, ...this.rows];
    if (change.active_at) this.rows.sort((one, other) => other.active_at.localeCompare(one.active_at));
  }

  remove(id: string): void {
    this.rows = this.rows.filter((row) => row.session_id !== id);
    this.hidden.delete(id);
    this.local.set(JSON.stringify(this.remembered().filter((row) => row.session_id !== id)));
  }

  markOf(row: Row): Mark {
    if (row.run_status === "waiting") return "waiting";
    if (row.run_status === "running" || row.run_status === "queued") return "running";
    if ((row.last_seq ?? 0) > Math.max(row.read_seq ?? 0, this.seenOf(row.session_id))) {
      if (row.failed || row.status === "failed") return "failed";
      // Nothing is unread where neither the server nor this browser remembers that anything was read.
      if (row.read_seq !== undefined || this.seenOf(row.session_id) > 0) return "unread";
    }
    return row.failed ? "failed" : "";
  }

  private allSeen(): Record<string, number> {
    try { return JSON.parse(this.seen.get() ?? "{}") as Record<string, number>; } catch { return {}; }
  }

  private seenOf(id: string): number { return (this.seenNow ??= this.allSeen())[id] ?? 0; }

  see(id: string, seq: number): void {
    if (this.seenOf(id) >= seq) return;
    // Read each time: another tab keeps its own there.
    const all = this.allSeen();
    this.seenNow = { ...all, [id]: seq };
    const { [id]: _before, ...others } = all;
    this.seen.set(JSON.stringify(Object.fromEntries([...Object.entries(others).slice(-500), [id, seq]])));
  }

  private remembered(): Row[] {
    try { return JSON.parse(this.local.get() ?? "[]") as Row[]; } catch { return []; }
  }

  /** Keeps a conversation of somebody without a name in this browser. */
  remember(row: Row): void {
    const others = this.remembered().filter((one) => one.session_id !== row.session_id);
    this.local.set(JSON.stringify([row, ...others].slice(0, 100)));
  }
}
