/** The own conversations as the side bar shows them: newest first, more by scrolling, found by words. */

import { RequestRefused, type Client } from "myagent-client";
import { byActivity, families, familyOf, renewed, type Family } from "./families.ts";
import type { Kin, Row } from "./frame.ts";
import { lasting } from "./memory.ts";

export type Mark = "waiting" | "running" | "failed" | "unread" | "";

const PAGE = 30;
const COPIES = 100;
const URGENCY: Mark[] = ["waiting", "running", "failed", "unread", ""];

const isActive = (status: string | undefined): boolean => status === "running" || status === "queued" || status === "waiting";

interface Page { sessions: Row[]; next?: string }

const hasWords = (title: string, query: string): boolean =>
  query.toLowerCase().split(/\s+/).every((word) => title.toLowerCase().includes(word));

const notListed = (error: unknown): void => {
  if (error instanceof RequestRefused) console.info("The conversations are not listed:", error.message);
};

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
  /** What the server said of families when it told them last. */
  private readonly kin = new Map<string, Kin>();
  private readonly unfolded = new Set<string>();
  /** Families of which all are known, and those of which there are more. */
  private readonly complete = new Set<string>();
  private readonly nextOf = new Map<string, string>();
  private readonly sought = new Set<string>();
  /** Rows that the list has no more, as those of copies that are folded away: they still have titles. */
  private readonly past = new Map<string, Row>();

  /** `came`: another part of the list is there. `shown` is the id of the open conversation, whose row stays. */
  constructor(server: string, private readonly client: Client, private readonly came: () => void, private readonly shown: () => string) {
    this.seen = lasting(`myagent.seen ${server}`);
    this.local = lasting(`myagent.conversations ${server}`);
  }

  get visible(): Row[] { return this.rows.filter((row) => !this.hidden.has(row.session_id)); }

  get families(): Family[] { return families(this.rows, this.kin, this.hidden); }

  isUnfolded(family: string): boolean { return this.unfolded.has(family); }

  /** Whether there are more copies than are known. */
  hasMore(family: Family): boolean { return this.nextOf.has(family.id); }

  /** Shows the copies of a conversation, or hides them. */
  toggle(family: string): void {
    if (this.unfolded.delete(family)) return;
    this.unfolded.add(family);
    if (this.kin.has(family)) this.askFor(family);
  }

  moreOf(family: string): void {
    const before = this.nextOf.get(family);
    if (before) this.askFor(family, before);
  }

  /** The most urgent of what the copies that are folded away are doing. */
  markOfOthers({ id, head, others }: Family): Mark {
    const marks: Mark[] = others.map((row) => this.markOf(row)).filter((mark) => mark !== "failed");
    const { unread = 0 } = this.kin.get(id) ?? {};
    if (!this.complete.has(id) && unread > [head, ...others].filter((row) => (row.last_seq ?? 0) > (row.read_seq ?? 0)).length) marks.push("unread");
    return URGENCY.find((mark) => marks.includes(mark)) ?? "";
  }

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
    const wanted = { limit: PAGE, families: true, ...this.searched, ...(before ? { before } : {}) };
    this.client.listSessions(wanted, { signal: awaited.signal }).then(
      (page) => this.take(page as unknown as Page, before !== undefined),
      (error: unknown) => {
        if (awaited.signal.aborted) return;
        this.isLoading = false;
        notListed(error);
      },
    );
  }

  private get searched(): { query?: string } { return this.query.trim() ? { query: this.query.trim() } : {}; }

  private askFor(of: string, before?: string, searched: { query?: string } = this.searched): void {
    const wanted = { family_id: of, limit: COPIES, ...searched, ...(before ? { before } : {}) };
    this.client.listSessions(wanted).then((page) => {
      const { sessions, next } = page as unknown as Page;
      this.takeFamily(before !== undefined, sessions, next);
      this.came();
    }, notListed);
  }

  private takeFamily(isMore: boolean, fresh: Row[], next: string | undefined): void {
    if (!fresh.length) return;
    const id = familyOf(fresh[0]!);
    const others = this.rows.filter((row) => familyOf(row) !== id);
    const known = this.rows.filter((row) => familyOf(row) === id);
    const told = new Set(fresh.map((row) => row.session_id));
    const stays = isMore ? known.filter((row) => !told.has(row.session_id)) : renewed(known, fresh, next !== undefined, (row) => row.session_id === this.shown()).slice(fresh.length);
    this.rows = [...others, ...fresh, ...stays];
    if (next) this.nextOf.set(id, next); else this.nextOf.delete(id);
    if (next) this.complete.delete(id); else this.complete.add(id);
  }

  /** What a page says of its families; those that are unfolded, or in which something goes on, are asked for. */
  private learn(rows: Row[]): void {
    for (const row of rows) {
      const id = familyOf(row);
      if (row.family) this.kin.set(id, row.family); else this.kin.delete(id);
      if (row.family && (this.unfolded.has(id) || isActive(row.family.run_status))) this.askFor(id);
      else { this.complete.delete(id); this.nextOf.delete(id); }
    }
  }

  /** Looks for the row of a conversation that is open and that no page had so far, as that of an old copy. */
  private seek(id: string): void {
    if (!id || this.sought.has(id) || this.listed(id)) return;
    this.sought.add(id);
    if (this.isLoaded) this.askFor(id, undefined, {});
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
      this.learn(rows);
      this.next = next;
      return;
    }
    // What was scrolled to stays, unless something else is looked for.
    const isScrolled = this.next !== undefined && !this.query;
    const last = rows.at(-1)?.active_at ?? "";
    const wasScrolled = isScrolled && this.rows.some((row) => row.active_at < last && !this.isInPages(row, rows));
    for (const row of this.rows) this.past.set(row.session_id, row);
    this.rows = renewed(this.rows, rows, isScrolled, (row) => !this.query && (row.session_id === this.shown() || this.complete.has(familyOf(row))));
    this.learn(rows);
    this.sought.clear();
    if (!this.isAnonymous && !this.query) this.seek(this.shown());
    if (!wasScrolled) this.next = next;
  }

  private isInPages(row: Row, page: Row[]): boolean {
    return row.session_id === this.shown() || page.some((one) => familyOf(one) === familyOf(row));
  }

  find(id: string): Row | undefined { return this.listed(id) ?? this.past.get(id); }

  private listed(id: string): Row | undefined { return this.rows.find((row) => row.session_id === id); }

  /** Changes a row, or puts a new one in front. The server is asked for one that it may have. */
  update(id: string, change: Partial<Row>): void {
    const row = this.listed(id);
    if (row) Object.assign(row, change);
    else if (!this.isAnonymous && change.agent === undefined) { if (!this.query) this.seek(id); }
    else if (!this.query) this.rows = [{ session_id: id, agent: "", title: "", active_at: new Date().toISOString(), ...change }, ...this.rows];
    if (change.active_at) this.rows.sort(byActivity);
  }

  remove(id: string): void {
    const row = this.find(id);
    const kin = row && this.kin.get(familyOf(row));
    if (kin) kin.size -= 1;
    this.rows = this.rows.filter((row) => row.session_id !== id);
    this.past.delete(id);
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
