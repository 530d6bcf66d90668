/** One page's chat with a server: the conversation that is shown, those that go on beside it, and what was asked for. */

import { fetchAgents, merged, type Agent } from "./agents.ts";
import { answer } from "./calls.ts";
import { Asking } from "./asking.ts";
import { Drafts } from "./drafts.ts";
import { wordsOf, type Content, type Frame, type Metadata } from "./frame.ts";
import { Hearing, ratingKey } from "./hearing.ts";
import { Link, type Listener } from "./link.ts";
import { OpenSession } from "./open_session.ts";
import { STOP } from "./outbox.ts";
import { Removals } from "./removals.ts";
import { Sending } from "./sending.ts";
import type { Server } from "./server.ts";
import { SessionList } from "./session_list.ts";
import type { Question, Turn } from "./turn.ts";
import { Unsent } from "./unsent.ts";
import { words } from "../words/words.ts";

/** What the page around a chat does about it. */
export interface Surroundings {
  /** Something that is shown has changed. */
  changed(): void;
  /** Another conversation is shown; "" is a new one. */
  shown(id: string): void;
  /** A live event of any followed session, for the host page and for notifications. */
  happened(frame: Frame, isShown: boolean): void;
  /** Words for the reader about something that was refused. */
  told(words: string, isBad: boolean): void;
}

export interface ChatOptions {
  server: Server;
  language: string;
  agent: string;
  surroundings: Surroundings;
}

/** Sessions that are followed beside the one that is shown. */
const MOST_FOLLOWED = 6;

export const newId = (): string =>
  "randomUUID" in crypto ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;

export class Chat implements Listener {
  readonly link: Link;
  readonly list: SessionList;
  readonly drafts: Drafts;
  readonly sending: Sending;
  readonly removals: Removals;
  readonly asking: Asking;
  readonly surroundings: Surroundings;
  readonly server: Server;
  welcome: Metadata = {};
  agents: Agent[] = [];
  /** Whom a new conversation is with. */
  agentName: string;
  shown: OpenSession;
  followed: OpenSession[];
  /** What this server was found not to know. */
  readonly unknown = new Set<string>();
  private readonly hearing: Hearing;
  /** Until then it is not known what agents accept. */
  learned: Promise<void> = Promise.resolve();
  private facts: Agent[] = [];
  private readonly unsent: Unsent;

  constructor(private readonly options: ChatOptions) {
    const { server } = options;
    this.server = server;
    this.surroundings = options.surroundings;
    this.agentName = options.agent;
    this.link = new Link(server, options.language, this);
    this.list = new SessionList(server.socketBase, (request) => this.link.send(request), () => this.shown.id);
    this.drafts = new Drafts(server.socketBase);
    this.sending = new Sending(this.link, () => this.agentName, (session, id) => this.hearing.tooLong(session, id));
    this.removals = new Removals(this.list, (request) => this.link.send(request), () => this.changed());
    this.unsent = new Unsent(server.socketBase);
    this.asking = new Asking(this.link, ({ undone }) => { undone(); this.surroundings.told(words().forkLost, true); });
    this.hearing = new Hearing(this);
    this.shown = new OpenSession("");
    this.followed = [this.shown];
  }

  get isAnonymous(): boolean { return !this.welcome.user; }

  get agent(): Agent | undefined {
    const name = this.shown.conversation.agent || this.agentName;
    return this.agents.find((agent) => agent.name === name) ?? this.agents[0];
  }

  get title(): string {
    const { conversation } = this.shown;
    const first = conversation.items.find((item) => item.kind === "said");
    return conversation.title || this.list.find(this.shown.id)?.title || (first ? wordsOf(first.content).slice(0, 80) : "");
  }

  changed(): void { this.surroundings.changed(); }

  stateChanged(): void { this.changed(); }

  heard(frame: Frame): void {
    this.hearing.hear(frame);
    this.changed();
  }

  tooLarge(connection: number): void { this.hearing.tooLarge(connection); }

  connected(welcome: Metadata): void {
    this.welcome = welcome;
    this.sending.maxFrameBytes = welcome.max_frame_bytes ?? Infinity;
    this.agents = merged(welcome.agents ?? [], this.facts, welcome.accepts);
    if (!this.agents.some((agent) => agent.name === this.agentName)) this.agentName = this.options.agent || this.agents[0]?.name || "";
    this.followed = this.followed.filter((session) => session === this.shown || session.isBusy);
    for (const session of this.followed) {
      if (session.id) this.sending.attach(session);
      else this.sending.flush(session);
    }
    this.asking.reconnected();
    this.removals.flush();
    this.list.refresh();
    this.learned = this.learn();
  }

  private async learn(): Promise<void> {
    try {
      this.facts = await fetchAgents(this.server, this.options.language);
    } catch (error) {
      // A page of another origin may be refused that; names come over the socket.
      console.info("The agents' descriptions cannot be read:", error);
      return;
    }
    this.agents = merged(this.welcome.agents ?? [], this.facts, this.welcome.accepts);
    this.changed();
  }

  /** Shows a conversation; "" begins a new one. */
  open(id: string): void {
    if (id === this.shown.id && (id || !this.shown.conversation.items.length)) return;
    this.look();
    let session = id ? this.followed.find((one) => one.id === id) : undefined;
    if (!session) {
      session = new OpenSession(id);
      session.conversation.isCatchingUp = id !== "";
      this.followed.push(session);
      if (id && this.link.state === "open") this.sending.attach(session);
    }
    this.shown = session;
    const idle = this.followed.filter((one) => one !== session && !one.isBusy);
    const dropped = idle.slice(0, Math.max(0, this.followed.length - MOST_FOLLOWED));
    this.followed = this.followed.filter((one) => !dropped.includes(one));
    this.surroundings.shown(id);
    this.look();
    this.changed();
  }

  /** What is shown is read. */
  look(): void {
    const { conversation } = this.shown;
    if (document.hidden || !this.shown.id || conversation.isCatchingUp) return;
    this.sending.acknowledge(this.shown);
    this.list.see(this.shown.id, Math.max(conversation.seq, this.list.find(this.shown.id)?.last_seq ?? 0));
  }

  // --- what the user does -------------------------------------------------------------------------------------------

  say(content: Content, id = newId(), session = this.shown): void {
    session.conversation.say(id, content, new Date().toISOString());
    session.outbox.post(id, { event: "user.message", content, metadata: { message_id: id, request_id: id } });
    this.sending.flush(session);
    this.changed();
  }

  /** Says once more what was refused. */
  sayAgain(id: string): void {
    const message = this.shown.conversation.items.find((item) => item.kind === "said" && item.id === id);
    if (message?.kind !== "said") return;
    this.shown.conversation.unsay(id);
    this.say(message.content, id);
  }

  /** Stops the runs that are shown; whatever is said after that is not stopped with them. */
  stop(): void {
    const { conversation, outbox } = this.shown;
    if (!conversation.active.size || outbox.has(STOP)) return;
    outbox.post(STOP, { event: "user.cancel", metadata: { request_id: STOP } }, { runs: new Set(conversation.active) });
    this.sending.flush(this.shown);
    this.changed();
  }

  answer(turn: Turn, question: Question, given: { confirmed: boolean; args: Record<string, unknown> | null; reason: string }): void {
    answer(turn, question, given);
    question.isUnsent = true;
    turn.version += 1;
    const content = {
      confirmed: given.confirmed,
      ...(given.confirmed && given.args ? { args: given.args } : {}),
      ...(!given.confirmed && given.reason ? { reason: given.reason } : {}),
    };
    this.shown.outbox.post(question.key, { event: "user.response", step_id: question.key, content, metadata: { request_id: question.key } });
    this.sending.flush(this.shown);
    this.changed();
  }

  /** A new conversation from before a message on, with the same words or with others. */
  fork(messageId: string, content?: Content, outcomes: { done?: () => void; undone?: () => void } = {}): void {
    const { done = () => {}, undone = () => {} } = outcomes;
    const instead = (): void => {
      const message = this.shown.conversation.items.find((item) => item.kind === "said" && item.id === messageId);
      if (message?.kind === "said") this.say(content ?? message.content);
    };
    // A server that forks nothing is told the same once more.
    if (this.unknown.has("user.fork")) { done(); instead(); return; }
    const request = { event: "user.fork", session_id: this.shown.id, before: messageId, ...(content === undefined ? {} : { content }) };
    this.asking.ask(request, { instead, done, undone });
  }

  rate(turn: Turn, rating: "up" | "down" | null, comment = ""): void {
    const before = { rating: turn.rating, comment: turn.comment };
    const show = (shown: typeof before): void => { Object.assign(turn, shown); turn.version += 1; };
    show({ rating, comment });
    const key = ratingKey(turn.id);
    const content = { run_id: turn.id, rating, ...(comment ? { comment } : {}) };
    this.shown.outbox.post(key, { event: "user.feedback", content, metadata: { request_id: key } }, { undo: () => show(before) });
    this.sending.flush(this.shown);
    this.changed();
  }

  rename(id: string, title: string): void {
    this.list.update(id, { title });
    this.asking.ask({ event: "user.update_session", session_id: id, content: { title } }, { undone: () => this.list.refresh() });
    this.changed();
  }

  remove(id: string): void {
    this.removals.hide(id);
    if (id === this.shown.id) this.open("");
    this.changed();
  }

  /** Says again what an earlier page of this tab could not deliver. */
  sayKept(): void {
    for (const kept of this.unsent.take()) {
      let session = this.followed.find((one) => one.id === kept.session);
      if (!session) this.followed.push((session = new OpenSession(kept.session)));
      if (session.id) session.unsaid.push(kept);
      else this.say(kept.content, kept.id, session);
    }
  }

  /** The page ends, or may: what was begun is done, or kept for the next one. */
  leave(): void {
    this.removals.flush(true);
    this.unsent.keep(this.followed);
  }

  /** The page did not end after all: it has itself what was kept for the next one. */
  returned(): void { this.unsent.take(); }

  end(): void {
    this.leave();
    this.link.end();
  }
}
