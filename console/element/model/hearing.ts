/** What the server says, and what follows from it. */

import type { Chat } from "./chat.ts";
import { familyOf } from "./families.ts";
import type { Frame, Metadata, Row } from "./frame.ts";
import type { OpenSession } from "./open_session.ts";

const STATUS_AFTER: Record<string, string> = {
  "agent.user_confirm": "waiting", "agent.final_answer": "idle", "agent.interrupted": "idle", "agent.error": "idle",
  "agent.thinking": "running", "user.message": "running", "user.response": "running",
};

const READ_AT_ONCE = new Set(["agent.final_answer", "agent.interrupted", "agent.error", "agent.session_updated", "agent.session_end", "user.feedback"]);

/** After that it is tried again to have the log of a session from a server that could not give it. */
const AGAIN_MS = 2_000;

export class Hearing {
  constructor(private readonly chat: Chat) {}

  hear(frame: Frame): void {
    const { chat } = this;
    switch (frame.event) {
      case "system.connected": chat.connected(frame.metadata); return;
      case "system.sessions": return; // the list waits for it
      case "system.heartbeat": chat.list.refresh(); return;
      case "agent.session_deleted": this.deleted(frame.session_id ?? ""); return;
      case "system.error": this.refused(frame); return;
      case "system.notice": this.noticed(frame); return;
    }
    if (frame.event === "agent.error" && !frame.metadata.run_id) { this.refused(frame); return; }
    const session = chat.followed.find((one) => one.id === frame.session_id);
    if (!session && frame.event === "agent.session_created") return; // who asked for it takes it
    if (frame.seq !== undefined) this.mark(frame, session);
    if (session) this.fold(session, frame);
    else if (frame.seq !== undefined) chat.surroundings.happened(frame, false);
  }

  private fold(session: OpenSession, frame: Frame): void {
    const { chat } = this;
    const { conversation } = session;
    if (frame.event === "agent.interrupted" && !frame.metadata.run_id) return; // there was nothing to stop
    conversation.fold(frame);
    if (conversation.isCatchingUp) return;
    chat.surroundings.happened(frame, session === chat.shown);
    if (session === chat.shown && READ_AT_ONCE.has(frame.event)) chat.look();
  }

  /** Keeps the rows of the list true between two answers to it. */
  private mark(frame: Frame, session: OpenSession | undefined): void {
    const { list } = this.chat;
    const id = frame.session_id ?? "";
    if (session?.conversation.isCatchingUp || (!session && !list.find(id))) return;
    const change: Partial<Row> = { last_seq: Math.max(frame.seq ?? 0, list.find(id)?.last_seq ?? 0) };
    const status = STATUS_AFTER[frame.event];
    if (status) Object.assign(change, { run_status: status, active_at: frame.timestamp, failed: frame.event === "agent.error" });
    if (frame.event === "agent.session_updated") change.title = frame.metadata.title ?? "";
    if (session && !session.conversation.title && !list.find(id)?.title) change.title = session === this.chat.shown ? this.chat.title : "";
    list.update(id, change);
  }

  /** Follows what goes on elsewhere, so that a question is seen when it comes. */
  followActive(): void {
    for (const row of this.chat.list.rows) {
      if (!["running", "waiting", "queued"].includes(row.run_status ?? "")) continue;
      this.chat.link.client.listen(row.session_id);
    }
  }

  /** A conversation of this page exists now. */
  began(session: OpenSession, frame: Frame): void {
    const { chat } = this;
    session.created(frame);
    this.row(frame, { title: session === chat.shown ? chat.title : "" });
    if (session === chat.shown) chat.surroundings.shown(session.id);
  }

  /** There is a copy that this page asked for. */
  forked(frame: Frame): void {
    const { chat } = this;
    const { forked_from: origin } = frame.metadata;
    const source = chat.list.find(origin?.session_id ?? "");
    const copy = origin ? { forked_from: origin, family_id: source ? familyOf(source) : origin.session_id } : {};
    const id = this.row(frame, { title: source?.title ?? "", ...copy });
    // Who has gone elsewhere meanwhile finds it in the list.
    if (chat.shown.id === origin?.session_id) chat.open(id);
    chat.list.refresh();
    chat.changed();
  }

  private row({ session_id: id = "", metadata, timestamp }: Frame, rest: Partial<Row>): string {
    const { list, isAnonymous } = this.chat;
    const row: Row = { session_id: id, agent: metadata.agent_name ?? "", title: "", active_at: timestamp, ...rest };
    if (isAnonymous) list.remember(row);
    list.update(id, row);
    return id;
  }

  private deleted(id: string): void {
    const { chat } = this;
    chat.list.remove(id);
    chat.forget(id);
    const session = chat.followed.find((one) => one.id === id);
    if (!session) return;
    session.withdraw();
    chat.followed = chat.followed.filter((one) => one !== session);
    if (session !== chat.shown) return;
    chat.open("");
    chat.surroundings.gone(id);
  }

  private noticed({ metadata, session_id: id, content, timestamp }: Frame): void {
    const { chat } = this;
    const session = chat.followed.find((one) => one.id === id);
    // Before the beginning of its log was told there is nothing that this could stand behind.
    if (session && session.conversation.seq === 0 && metadata.action !== "replay") return;
    const turn = metadata.run_id ? session?.conversation.turnList.find((one) => one.id === metadata.run_id) : undefined;
    switch (metadata.action) {
      case "accepted":
        session?.conversation.accepted(metadata, timestamp);
        if (session) chat.list.update(session.id, { run_status: "running", active_at: timestamp });
        break;
      case "withdrawn": if (session) chat.saying.withdrawn(session, metadata.message_id ?? ""); break;
      case "replay": if (session) this.caughtUp(session, metadata); break;
      case "queued":
        if (session && metadata.run_id) {
          const waiting = session.conversation.turnOf(metadata.run_id, timestamp);
          Object.assign(waiting, { state: "queued", place: (metadata.position ?? 1) - 1, version: waiting.version + 1 });
        }
        break;
      case "limit":
      case "waiting_for_model":
        if (turn) Object.assign(turn, { notice: String(content ?? ""), version: turn.version + 1 });
        break;
      case "budget": chat.surroundings.told(String(content ?? ""), false); break;
    }
  }

  private caughtUp(session: OpenSession, metadata: Metadata): void {
    const { chat } = this;
    session.conversation.isCatchingUp = false;
    if (metadata.run_status === "idle") session.conversation.active.clear();
    chat.list.update(session.id, { run_status: metadata.run_status ?? "idle" });
    if (session === chat.shown) chat.look();
    for (const { id, content, whenBusy } of session.unsaid.splice(0)) if (!session.conversation.messageOf(id)) chat.say(content, id, session, whenBusy);
  }

  /** What was refused, unless somebody waits for the reply. */
  private refused({ metadata, content, session_id: sessionId }: Frame): void {
    const { chat } = this;
    const said = String(content ?? "");
    const session = chat.followed.find((one) => one.id === sessionId);
    if (metadata.request === "user.reconnect" && session) this.notFollowed(session, metadata, said);
    else if (!metadata.request_id && said) chat.surroundings.told(said, true);
  }

  private notFollowed(session: OpenSession, { code }: Metadata, said: string): void {
    const { chat } = this;
    if (code === "try_again") { setTimeout(() => { if (chat.followed.includes(session) && !(session.id in chat.link.client.cursors)) chat.follow(session); }, AGAIN_MS); return; }
    if (code === "cursor_ahead") { session.restart(); chat.follow(session); return; }
    if (code !== "session_not_found") { chat.surroundings.told(said, true); return; }
    chat.list.remove(session.id);
    // What was said goes on in a new one.
    const unsaid = session.undelivered();
    session.withdraw();
    chat.followed = chat.followed.filter((one) => one !== session);
    if (session === chat.shown) { chat.open(""); chat.surroundings.gone(session.id); }
    for (const { id, content } of unsaid) chat.say(content, id);
  }
}
