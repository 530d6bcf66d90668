/** What the server says, and what follows from it. */

import type { Chat } from "./chat.ts";
import type { Asked } from "./asking.ts";
import type { Frame, Metadata, Rating, Row } from "./frame.ts";
import type { OpenSession } from "./open_session.ts";
import { STOP } from "./outbox.ts";
import { TRY_AGAIN_MS } from "./sending.ts";
import { words } from "../words/words.ts";

const STATUS_AFTER: Record<string, string> = {
  "agent.user_confirm": "waiting", "agent.final_answer": "idle", "agent.interrupted": "idle", "agent.error": "idle",
  "agent.thinking": "running", "user.message": "running", "user.response": "running",
};

const READ_AT_ONCE = new Set(["agent.final_answer", "agent.interrupted", "agent.error", "agent.session_updated", "agent.session_end", "user.feedback"]);

/** Under which a rating of a run waits for its delivery. */
export const ratingKey = (run: string): string => `rating ${run}`;

const isUnknown = ({ code }: Metadata): boolean => code === "unknown_event" || code === "not_supported";

export class Hearing {
  constructor(private readonly chat: Chat) {}

  hear(frame: Frame): void {
    const { chat } = this;
    switch (frame.event) {
      case "system.connected": chat.connected(frame.metadata); return;
      case "system.sessions": chat.list.take(frame, chat.isAnonymous); this.follow(); return;
      case "system.heartbeat": chat.list.refresh(); return;
      case "agent.session_created": if (this.created(frame)) return; break;
      case "agent.session_deleted": this.deleted(frame.session_id ?? ""); return;
      case "system.error": this.refused(frame); return;
      case "system.notice": this.noticed(frame); return;
    }
    if (frame.event === "agent.error" && !frame.metadata.run_id) { this.refused(frame); return; }
    if (frame.event === "agent.session_updated") chat.asking.settled(frame);
    const session = chat.followed.find((one) => one.id === frame.session_id);
    if (frame.seq !== undefined) this.mark(frame, session);
    if (session) this.fold(session, frame);
    else if (frame.seq !== undefined) chat.surroundings.happened(frame, false);
  }

  private fold(session: OpenSession, frame: Frame): void {
    const { chat } = this;
    const { conversation } = session;
    if (frame.event === "agent.interrupted" && !frame.metadata.run_id) { session.delivered(STOP); return; }
    if (!conversation.fold(frame)) return;
    const { message_id: messageId, run_id: runId } = frame.metadata;
    if (frame.event === "user.message") session.delivered(messageId);
    if (frame.event === "user.response") session.delivered(frame.step_id);
    if (frame.event === "user.feedback") this.rated(session, frame.content as Rating);
    if (runId && !conversation.active.has(runId)) {
      session.outbox.runEnded(runId);
      for (const turn of conversation.turnList) {
        if (turn.id !== runId) continue;
        for (const piece of turn.pieces) if (piece.kind === "question") { session.delivered(piece.key); piece.isUnsent = false; }
      }
    }
    if (conversation.isCatchingUp) return;
    chat.surroundings.happened(frame, session === chat.shown);
    if (session === chat.shown && READ_AT_ONCE.has(frame.event)) chat.look();
  }

  /** Of two ratings that cross, that of another tab settles nothing. */
  private rated(session: OpenSession, { run_id: runId, rating, comment = "" }: Rating): void {
    const key = ratingKey(runId);
    const posted = session.outbox.get(key)?.request["content"] as Rating | undefined;
    if (posted?.rating === rating && (posted.comment ?? "") === comment) session.delivered(key);
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
  private follow(): void {
    for (const row of this.chat.list.rows) {
      if (!["running", "waiting", "queued"].includes(row.run_status ?? "")) continue;
      if (this.attached.get(row.session_id) === this.chat.link.number) continue;
      this.attached.set(row.session_id, this.chat.link.number);
      // It names the session, which attaches this connection, and acknowledges nothing.
      this.chat.link.send({ event: "user.ack", session_id: row.session_id, last_seq: 0 });
    }
  }

  private readonly attached = new Map<string, number>();

  private created(frame: Frame): boolean {
    const { chat } = this;
    const id = frame.metadata.request_id ?? "";
    const session = id === "create" ? chat.followed.find((one) => !one.id && one.creatingOn === chat.link.number) : undefined;
    if (session) {
      session.created(frame, chat.link.number);
      const { agent_name: agent = "" } = frame.metadata;
      const row: Row = { session_id: session.id, agent, title: session === chat.shown ? chat.title : "", active_at: frame.timestamp };
      chat.list.update(session.id, row);
      if (chat.isAnonymous) chat.list.remember(row);
      if (session === chat.shown) chat.surroundings.shown(session.id);
      chat.sending.flush(session);
      return true;
    }
    const asked = chat.asking.take(id);
    if (!asked) return false;
    asked.done?.();
    const { agent_name: agent = "", forked_from: origin } = frame.metadata;
    const title = chat.list.find(origin?.session_id ?? "")?.title ?? "";
    const row: Row = { session_id: frame.session_id ?? "", agent, title, active_at: frame.timestamp, ...(origin ? { forked_from: origin } : {}) };
    if (chat.isAnonymous) chat.list.remember(row);
    chat.list.update(row.session_id, row);
    // Who has gone elsewhere meanwhile finds it in the list.
    if (chat.shown.id === origin?.session_id) chat.open(row.session_id);
    chat.list.refresh();
    return true;
  }

  private deleted(id: string): void {
    const { chat } = this;
    chat.removals.deleted(id);
    chat.list.remove(id);
    const session = chat.followed.find((one) => one.id === id);
    if (!session) return;
    chat.followed = chat.followed.filter((one) => one !== session);
    if (session !== chat.shown) return;
    chat.open("");
    chat.surroundings.told(words().gone, false);
  }

  private noticed({ metadata, session_id: id, content, timestamp }: Frame): void {
    const { chat } = this;
    const session = chat.followed.find((one) => one.id === id);
    // Before the beginning of its log was told there is nothing that this could stand behind.
    if (session && session.conversation.seq === 0 && metadata.action !== "replay") return;
    const turn = metadata.run_id ? session?.conversation.turnList.find((one) => one.id === metadata.run_id) : undefined;
    switch (metadata.action) {
      case "accepted":
        session?.delivered(metadata.message_id);
        session?.conversation.accepted(metadata.message_id ?? "", metadata.run_id ?? "", metadata.position ?? 0, timestamp);
        if (session) chat.list.update(session.id, { run_status: "running", active_at: timestamp });
        break;
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
    if (metadata.run_status === "idle") { session.conversation.active.clear(); session.delivered(STOP); }
    session.caughtUpOn = chat.link.number;
    chat.list.update(session.id, { run_status: metadata.run_status ?? "idle" });
    if (session === chat.shown) chat.look();
    for (const { id, content } of session.unsaid.splice(0)) chat.say(content, id, session);
    chat.sending.flush(session);
  }

  private refused(frame: Frame): void {
    const { chat } = this;
    const { metadata, content, session_id: sessionId } = frame;
    const said = String(content ?? "");
    const id = metadata.request_id ?? "";
    if (metadata.request === "user.list_sessions") { chat.list.isLoading = false; return; }
    const asked = chat.asking.take(id);
    if (asked) { this.unasked(asked, metadata, said); return; }
    const session = chat.followed.find((one) => (id && one.outbox.has(id)) || (sessionId && one.id === sessionId)) ?? (id === "create" ? chat.followed.find((one) => !one.id) : undefined);
    if (metadata.request === "user.reconnect" && session) { this.notAttached(session, metadata, said); return; }
    if (metadata.request === "user.delete_session") return;
    if (!session) { if (said) chat.surroundings.told(said, true); return; }
    this.notTaken(session, id, metadata, said);
  }

  private unasked(asked: Asked, metadata: Metadata, said: string): void {
    if (isUnknown(metadata)) this.chat.unknown.add(asked.request.event);
    // What is done instead is as good; of everything else one has to know.
    if (isUnknown(metadata) && asked.instead) { asked.done?.(); asked.instead(); return; }
    asked.undone();
    this.chat.surroundings.told(isUnknown(metadata) ? words().notKnown : said, true);
  }

  private notAttached(session: OpenSession, { code }: Metadata, said: string): void {
    const { chat } = this;
    if (code === "try_again") { setTimeout(() => chat.sending.attach(session), TRY_AGAIN_MS); return; }
    if (code === "cursor_ahead") { session.restart(); chat.sending.attach(session); return; }
    if (code !== "session_not_found") { chat.surroundings.told(said, true); return; }
    chat.list.remove(session.id);
    chat.followed = chat.followed.filter((one) => one !== session);
    if (session === chat.shown) { chat.open(""); chat.surroundings.told(words().gone, false); }
    for (const { request, id } of session.outbox.messages()) chat.say(request["content"] as string, id);
  }

  private notTaken(session: OpenSession, id: string, metadata: Metadata, why: string): void {
    const { chat } = this;
    const { code } = metadata;
    const posted = session.outbox.get(id);
    if (posted?.request.event === "user.feedback" && isUnknown(metadata)) chat.unknown.add("user.feedback");
    if (code === "try_again" && (posted || id === "create")) {
      if (posted) session.outbox.again(id);
      session.creatingOn = null;
      setTimeout(() => chat.sending.flush(session), TRY_AGAIN_MS);
      return;
    }
    if (code === "no_pending_confirmation" && posted && posted.tries > 1) { session.delivered(id); return; } // it had arrived before the line broke
    if (id === "create") {
      session.notCreated(why);
      for (const message of session.outbox.messages()) this.undelivered(session, message.id, why);
      return;
    }
    if (posted) this.undelivered(session, id, why);
    else if (why) chat.surroundings.told(why, true);
  }

  private undelivered(session: OpenSession, id: string, why: string): void {
    const posted = session.outbox.drop(id);
    posted?.undo();
    if (posted?.request.event === "user.message") { session.conversation.refused(id, why); return; }
    for (const turn of session.conversation.turnList) {
      for (const piece of turn.pieces) {
        if (piece.kind !== "question" || piece.key !== id) continue;
        Object.assign(piece, { answer: undefined, isUnsent: false });
        turn.version += 1;
      }
    }
    this.chat.surroundings.told(why, true);
  }

  tooLong(session: OpenSession, id: string): void {
    const { max_frame_bytes: limit } = this.chat.welcome;
    this.undelivered(session, id, words().tooLong(limit ? Math.round((limit / 2 ** 20) * 100) / 100 : null));
  }

  /** Sent again it would end the next connection, too. */
  tooLarge(connection: number): void {
    const largest = this.chat.followed
      .flatMap((session) => { const posted = session.outbox.largest(connection); return posted ? [{ session, posted }] : []; })
      .sort((one, other) => other.posted.size - one.posted.size)[0];
    if (largest) this.tooLong(largest.session, largest.posted.id);
  }
}
