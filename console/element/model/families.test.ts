import { expect, test } from "vitest";
import type { Client } from "myagent-client";
import { families, renewed } from "./families.ts";
import type { Row } from "./frame.ts";
import { SessionList } from "./session_list.ts";

const row = (id: string, minute: number, more: Partial<Row> = {}): Row => ({ session_id: id, agent: "a", title: id, active_at: `2026-01-31T12:${String(minute).padStart(2, "0")}:00.000Z`, last_seq: 2, read_seq: 2, run_status: "idle", ...more });
const copy = (id: string, minute: number, more: Partial<Row> = {}): Row => row(id, minute, { family_id: "root", forked_from: { session_id: "root" }, ...more });
const ids = (rows: Row[]): string[] => rows.map((one) => one.session_id);

test("the newest stands for its family, at the place of its activity", () => {
  const [first, second, third] = families([row("other", 5), copy("c2", 9), row("root", 1), copy("c1", 3), row("new", 10)], new Map());
  expect([first!.id, second!.id, third!.id]).toEqual(["new", "root", "other"]);
  expect(second!.head.session_id).toBe("c2");
  expect(ids(second!.others)).toEqual(["c1", "root"]);
  expect([second!.size, third!.size]).toEqual([3, 1]);
});

test("a family is as large as the server says, without what is being deleted, and needs no original", () => {
  const kin = new Map([["root", { size: 7, unread: 0, run_status: "idle" }]]);
  const [family] = families([copy("c2", 9), copy("c1", 3)], kin, new Set(["c2"]));
  expect([family!.id, family!.head.session_id, family!.size]).toEqual(["root", "c1", 6]);
});

test("what a new first page would have to name is gone, what comes behind it stays", () => {
  const known = [copy("deleted", 9), copy("c1", 3), row("gone", 8), row("old", 1)];
  expect(ids(renewed(known, [copy("c2", 7), row("last", 5)], true, () => false))).toEqual(["c2", "last", "c1", "old"]);
  expect(ids(renewed(known, [copy("c2", 7), row("last", 5)], false, (one) => one.session_id === "c1"))).toEqual(["c2", "last", "c1"]);
});

interface Asked { content: Record<string, unknown>; answer: (page: unknown) => void }

class Server {
  readonly asked: Asked[] = [];
  shown = "";
  private readonly client = {
    listSessions: (content: Record<string, unknown>) => new Promise((answer) => { this.asked.push({ content, answer }); }),
  };
  readonly list = new SessionList("ws://x/", this.client as unknown as Client, () => {}, () => this.shown);

  get last(): Record<string, unknown> { return this.asked.at(-1)!.content; }

  async answers(sessions: Row[], next?: string): Promise<void> {
    this.asked.at(-1)!.answer({ sessions, ...(next ? { next } : {}) });
    await Promise.resolve();
  }
}

test("a family is unfolded by asking for it, page by page", async () => {
  const server = new Server();
  const { list } = server;
  list.refresh();
  expect(server.last).toEqual({ limit: 30, families: true });
  await server.answers([copy("c3", 9, { family: { size: 4, unread: 1, run_status: "idle" } })]);
  expect(list.families[0]).toMatchObject({ id: "root", size: 4, others: [] });
  expect(list.markOfOthers(list.families[0]!)).toBe("unread");
  list.toggle("root");
  expect(server.last).toEqual({ family_id: "root", limit: 100 });
  await server.answers([copy("c3", 9), copy("c2", 8)], "mark");
  expect(list.hasMore(list.families[0]!)).toBe(true);
  list.moreOf("root");
  expect(server.last).toEqual({ family_id: "root", limit: 100, before: "mark" });
  await server.answers([copy("c1", 7), row("root", 1)]);
  expect(list.hasMore(list.families[0]!)).toBe(false);
  expect(ids(list.families[0]!.others)).toEqual(["c2", "c1", "root"]);
  // All are known: what is unread is counted here.
  expect(list.markOfOthers(list.families[0]!)).toBe("");
  list.update("root", { active_at: "2026-01-31T13:00:00.000Z" });
  expect(list.families[0]!.head.session_id).toBe("root");
});

test("what goes on in a copy that is folded away is seen", async () => {
  const server = new Server();
  server.list.refresh();
  await server.answers([copy("c2", 9, { family: { size: 2, unread: 0, run_status: "waiting" } }), row("other", 3)]);
  expect(server.last).toEqual({ family_id: "root", limit: 100 });
  await server.answers([copy("c2", 9), row("root", 1, { run_status: "waiting" })]);
  expect(server.list.markOfOthers(server.list.families[0]!)).toBe("waiting");
});

test("an open conversation that no page has is asked for, and stays", async () => {
  const server = new Server();
  server.shown = "old";
  server.list.refresh();
  const page = [row("new", 9)];
  await server.answers(page, "mark");
  expect(server.last).toEqual({ family_id: "old", limit: 100 });
  await server.answers([row("old", 1)]);
  expect(ids(server.list.rows)).toEqual(["new", "old"]);
  server.list.update("old", { run_status: "running" });
  server.list.refresh();
  await server.answers(page, "mark");
  expect(ids(server.list.rows)).toEqual(["new", "old"]);
  expect(server.asked.length).toBe(3);
});

test("a search asks for families of what it finds, and for copies with the same words", async () => {
  const server = new Server();
  server.list.refresh();
  await server.answers([row("other", 3)]);
  server.list.search(" oslo ");
  expect(server.last).toEqual({ limit: 30, families: true, query: "oslo" });
  await server.answers([copy("c2", 9, { family: { size: 2, unread: 0, run_status: "idle" } })]);
  server.list.toggle("root");
  expect(server.last).toEqual({ family_id: "root", limit: 100, query: "oslo" });
});
