/** One page's chat with a server: the conversation that is shown, those that go on beside it, and what was asked for. */

import { fetchAgents, merged, type Agent } from "./agents.ts";
import { answer } from "./calls.ts";
import { Asking, UNKNOWN } from "./asking.ts";
import { ENDS } from "./conversation.ts";
import { Drafts } from "./drafts.ts";
import { FileDrafts } from "./file_drafts.ts";
import { wordsOf, type Content, type Frame, type Metadata, type Rating } from "./frame.ts";
import { Hearing } from "./hearing.ts";
import { Link, type Listener } from "./link.ts";
import { OpenSession, STOP } from "./open_session.ts";
import { Posting } from "./posting.ts";
import { Removals } from "./removals.ts";
import type { Server } from "./server.ts";
import { newId, Saying } from "./saying.ts";
import { SessionList } from "./session_list.ts";
import type { Question, Said, Turn } from "./turn.ts";
import { WhenBusy } from "./when_busy.ts";

/** What the page around a chat does about it. */
export interface Surroundings {
  /** Something that is shown has changed. */
  changed(): void;
  /** Another conversation is shown; "" is a new one. */
  shown(id: string): void;
  /** A live event of any followed session, for the host page and for notifications. */
  happened(frame: Frame, isShown: boolean): void;
  /** The conversation that was shown is not there, for whoever asks now. */
  gone(id: string): void;
  /** A message of what is shown was taken back: its words can be used for another one. */
  withdrawn(message: Said): void;
  /** Words for the reader about something that was refused. */
  told(words: string, isBad: boolean): void;
}

export interface ChatOptions {
  server: Server;
  language: string;
  agent: string;
  surroundings: Surroundings;
}

const isSame = (one: Rating, other: Rating): boolean =>
  one.run_id === other.run_id && one.rating === other.rating && (one.comment ?? "") === (other.comment ?? "");

/** Sessions that are followed beside the one that is shown. */
const MOST_FOLLOWED = 6;

export class Chat implements Listener {
  readonly link: Link;
  readonly list: SessionList;
  readonly drafts: Drafts;
  readonly fileDrafts: FileDrafts;
  readonly posting: Posting;
  readonly asking: Asking;
  readonly saying: Saying;
  readonly whenBusy: WhenBusy;
  readonly removals: Removals;
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
  readonly hearing: Hearing;
  /** Until then it is not known what agents accept. */
  learned: Promise<void> = Promise.resolve();
  private facts: Agent[] = [];

  constructor(private readonly options: ChatOptions) {
    const { server } = options;
    this.server = server;
    this.surroundings = options.surroundings;
    this.agentName = options.agent;
    this.link = new Link(server, options.language);
    const { client } = this.link;
    this.list = new SessionList(server.socketBase, client, () => { this.hearing.followActive(); this.changed(); }, () => this.shown.id);
    this.drafts = new Drafts(server.socketBase);
    this.fileDrafts = new FileDrafts(server.socketBase);
    this.posting = new Posting(client, (session) => this.create(session), (session) => this.follow(session), () => this.changed());
    this.asking = new Asking(this);
    this.removals = new Removals(this.list, (id) => this.asking.remove(id), () => this.changed());
    this.saying = new Saying(this);
    this.whenBusy = new WhenBusy(server.socketBase);
    this.hearing = new Hearing(this);
    this.shown = new OpenSession("");
    this.followed = [this.shown];
    this.link.listen(this);
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

  connected(welcome: Metadata): void {
    this.welcome = welcome;
    this.list.isAnonymous = this.isAnonymous;
    this.posting.maxFrameBytes = welcome.max_frame_bytes ?? null;
    this.agents = merged(welcome.agents ?? [], this.facts, welcome.accepts);
    if (!this.agents.some((agent) => agent.name === this.agentName)) this.agentName = this.options.agent || this.agents[0]?.name || "";
    this.followed = this.followed.filter((session) => session === this.shown || session.isBusy);
    const { client } = this.link;
    const kept = new Set(this.followed.map(({ id }) => id));
    for (const id of Object.keys(client.cursors)) if (!kept.has(id)) client.leave(id);
    for (const { id, conversation } of this.followed) if (id) conversation.isCatchingUp = true;
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
      if (id) this.follow(session);
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
    const { client } = this.link;
    client.acknowledge(this.shown.id, conversation.seq);
    client.sendAcknowledgements();
    this.list.see(this.shown.id, Math.max(conversation.seq, this.list.find(this.shown.id)?.last_seq ?? 0));
  }

  /** Has the log of a session sent, from its beginning; refusals and the end of it come as events. */
  follow(session: OpenSession): void {
    session.conversation.isCatchingUp = true;
    this.link.client.follow(session.id).catch((error: unknown) => console.info("It is not followed:", error));
  }

  /** The id of a session; where it does not exist yet it begins now. */
  create(session: OpenSession): Promise<string> {
    if (session.id) return Promise.resolve(session.id);
    const content = this.agentName ? { agent: this.agentName } : {};
    session.creating ??= this.link.client.persist({ event: "user.create_session", content })
      .then((frame) => { this.hearing.began(session, frame as unknown as Frame); return session.id; })
      .finally(() => { session.creating = null; this.changed(); });
    return session.creating;
  }

  // --- what the user does -------------------------------------------------------------------------------------------

  say(content: Content, id = newId(), session = this.shown, whenBusy = ""): void { this.saying.say(content, id, session, whenBusy); }

  /** Stops the runs that are shown; whatever is said after that is not stopped with them. */
  stop(): void {
    const { shown } = this;
    if (!shown.conversation.active.size || shown.isStopping) return;
    this.posting.stop(shown, STOP, (why) => this.surroundings.told(why, true));
    this.changed();
  }

  answer(turn: Turn, question: Question, given: { confirmed: boolean; args: Record<string, unknown> | null; reason: string }): void {
    const { key } = question;
    answer(turn, question, given);
    question.isUnsent = true;
    turn.version += 1;
    const content = {
      confirmed: given.confirmed,
      ...(given.confirmed && given.args ? { args: given.args } : {}),
      ...(!given.confirmed && given.reason ? { reason: given.reason } : {}),
    };
    this.posting.post(this.shown, {
      key,
      event: { event: "user.response", step_id: key, content },
      arrived: (frame) => (frame.event === "user.response" && frame.step_id === key) || (ENDS.has(frame.event) && frame.metadata.run_id === turn.id),
      undone: (why) => {
        Object.assign(question, { answer: undefined, isUnsent: false });
        turn.version += 1;
        this.surroundings.told(why, true);
      },
    });
    this.changed();
  }

  rate(turn: Turn, rating: "up" | "down" | null, comment = ""): void {
    const before = { rating: turn.rating, comment: turn.comment };
    const show = (shown: typeof before): void => { Object.assign(turn, shown); turn.version += 1; };
    show({ rating, comment });
    this.posting.post(this.shown, {
      key: `rating ${turn.id}`,
      event: { event: "user.feedback", content: { run_id: turn.id, rating, ...(comment ? { comment } : {}) } },
      // Of two ratings that cross, that of another tab settles nothing.
      arrived: ({ event, content }) => event === "user.feedback" && isSame(content as Rating, { run_id: turn.id, rating, comment }),
      undone: (why, code) => {
        show(before);
        if (UNKNOWN.has(code)) this.unknown.add("user.feedback");
        this.surroundings.told(why, true);
      },
    });
    this.changed();
  }

  /** Nothing that was begun for a conversation is kept: it is not there any more. */
  forget(id: string): void {
    this.drafts.set(id, "");
    this.drafts.setEdit(id, null);
    this.fileDrafts.forget(id);
  }

  remove(id: string): void {
    this.removals.hide(id);
    if (id === this.shown.id) this.open("");
    this.changed();
  }

  /** The page ends, or may: what was begun is done, or kept for the next one. */
  leave(): void {
    this.removals.settle();
    this.link.client.sendAcknowledgements();
    this.saying.keep();
  }

  /** The page did not end after all: it has itself what was kept for the next one. */
  returned(): void { this.saying.returned(); }

  end(): void {
    this.leave();
    this.link.end();
  }
}
