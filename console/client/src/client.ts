// The client of the protocol: a socket and timers around the rules of `Exchange` and `Link`.

import { socketAddress } from "./address.ts";
import { FrameTooLarge, RequestRefused, Withdrawn } from "./errors.ts";
import { CloseCode, type ServerEvent } from "./events.ts";
import { Exchange } from "./exchange.ts";
import { isRefusal, parseFrame, type Frame, type Outgoing } from "./frames.ts";
import { Link, type Act, type Happening, type LinkStatus } from "./link.ts";
import { call, Listeners } from "./listeners.ts";
import type { ClientOptions, Socket, SocketClass } from "./options.ts";
import { newId, Requests, type RequestOptions } from "./requests.ts";
import { watchWorld } from "./world.ts";

const ACK_SECONDS = 1;
/** No event bears this name. */
const LINK = "link";

/** What a reconnect brought: how many events were sent again, where the log ends, what goes on in the session. */
export interface Replayed {
  replayed: number;
  last_seq: number;
  run_status: string;
}

type EventName = ServerEvent["event"];
type EventOf<Name> = Name extends "*" ? ServerEvent : Extract<ServerEvent, { event: Name }>;

/**
 * Stays connected from `start` to `close`. Logged events of the sessions that it follows come in order, each exactly
 * once, over all connections; direct events come as well. What this client itself says does not come back, unless it
 * `echoes` or `follow` reads it from the log. Requests without a reply are sent again on the next connection.
 */
export class Client extends Requests {
  readonly #exchange: Exchange;
  readonly #link = new Link(Math.random);
  readonly #listeners = new Listeners();
  readonly #follows = new Set<(error: Error) => void>();
  readonly #read = new Map<string, number>();
  #options: ClientOptions;
  #socket: Socket | null = null;
  #attempt = 0;
  #isGreeted = false;
  #greeting: Frame | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #world: AbortController | null = null;

  /** Throws `TypeError` when `url` is none. */
  constructor(options: ClientOptions) {
    super();
    socketAddress(options.url);
    this.#options = options;
    this.#exchange = new Exchange(newId, options.echoes);
  }

  // --- what is there ---

  /** How the connection is. */
  get link(): LinkStatus {
    return this.#link.status;
  }

  /** What the server said of itself and of this client at the newest connection, as `system.connected` has it. */
  get greeting(): Record<string, unknown> {
    return this.#greeting?.metadata ?? {};
  }

  /** The `seq` of the last event that was received, for each session that is followed. */
  get cursors(): Record<string, number> {
    return this.#exchange.cursors;
  }

  // --- the connection ---

  /** Connect and stay connected; at once, if it waits for another attempt. `changes` are other options from now on. */
  start(changes: Partial<ClientOptions> = {}): this {
    this.#options = { ...this.#options, ...changes };
    this.#world ??= watchWorld((happening) => this.#feed(happening));
    this.#feed({ type: "start" });
    return this;
  }

  /** Disconnect for good; runs stay active without it. What waits for a reply gets `Withdrawn`. */
  close(): void {
    this.#world?.abort();
    this.#world = null;
    this.sendAcknowledgements();
    this.#feed({ type: "stop" });
    this.#giveUp(new Withdrawn());
  }

  // --- events ---

  /** Call `handler` for each event of that name, or for all (`*`); returns what ends that. */
  on<Name extends EventName | "*">(name: Name, handler: (event: EventOf<Name>) => void): () => void {
    return this.#listeners.add(name, handler);
  }

  /** Call `handler` at each change of the connection, and now; returns what ends that. */
  onLink(handler: (status: LinkStatus) => void): () => void {
    call(handler, this.link);
    return this.#listeners.add(LINK, handler);
  }

  // --- sessions ---

  /**
   * Have everything of a session sent that lies behind `lastSeq`, and from then on what is new; returns when it has
   * come. A session that is followed can be had again from 0.
   */
  follow(sessionId: string, lastSeq = 0): Promise<Replayed> {
    const outcome = new Promise<Replayed>((resolve, reject) => {
      this.#throwIfOver();
      const ended = (frame: Frame): void => {
        this.#follows.delete(reject);
        if (isRefusal(frame) || frame.event === "agent.session_deleted") reject(new RequestRefused(frame));
        else resolve(frame.metadata as unknown as Replayed);
      };
      this.#exchange.follow(sessionId, lastSeq, ended);
      this.#follows.add(reject);
    });
    this.#flush();
    return outcome;
  }

  /** Have what is new in a session sent on this connection, without its log; it comes as events, and is not followed. */
  listen(sessionId: string): void {
    if (this.link.state !== "open") return;
    for (const frame of this.#exchange.listen(sessionId)) this.#socket?.send(JSON.stringify(frame));
  }

  /** Follow a session no more. */
  leave(sessionId: string): void {
    this.#exchange.leave(sessionId);
  }

  /** Tell the server that a session was read up to `seq`, or as far as it was received. */
  acknowledge(sessionId: string, seq: number = this.cursors[sessionId] ?? 0): void {
    this.#read.set(sessionId, Math.max(seq, this.#read.get(sessionId) ?? 0));
    this.#ackTimer ??= setTimeout(() => this.sendAcknowledgements(), ACK_SECONDS * 1000);
  }

  /** Tell the server now what was acknowledged, and not within a second. */
  sendAcknowledgements(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#link.status.state !== "open") return;
    const due = this.#exchange.acknowledgements(Object.fromEntries(this.#read));
    for (const frame of due) this.#socket?.send(JSON.stringify(frame));
  }

  send(event: Outgoing): void {
    this.#throwIfOver();
    this.#exchange.put(event, null);
    this.#flush();
  }

  request(event: Outgoing, options: RequestOptions = {}): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this.#throwIfOver();
      options.signal?.throwIfAborted();
      const fail = (error: Error): void => {
        if (error instanceof RequestRefused || error instanceof FrameTooLarge) this.#exchange.disown(letter);
        reject(error);
      };
      const take = (frame: Frame): void => (isRefusal(frame) ? fail(new RequestRefused(frame)) : resolve(frame));
      const letter = this.#exchange.put(event, { frame: take, error: fail }, options.answeredBy, options);
      const withdraw = (): void => {
        this.#exchange.drop(letter);
        reject(options.signal?.reason);
      };
      options.signal?.addEventListener("abort", withdraw, { once: true });
      this.#flush();
    });
  }

  // --- the shell ---

  #feed(happening: Happening): void {
    const before = this.#link.status;
    const acts = this.#link.feed(happening, seconds());
    for (const act of acts) this.#act(act);
    this.#setTimer();
    const { status } = this.#link;
    if (status === before) return;
    if (status.state === "closed" && status.lost) this.#giveUp(status.lost);
    this.#listeners.tell(LINK, status);
  }

  #act(act: Act): void {
    if (act === "drop") this.#drop();
    else void this.#open();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt += 1;
    if (!socket) return;
    socket.onmessage = socket.onclose = null; // what it says from now on is of no interest; errors still need an ear
    socket.close();
  }

  async #open(): Promise<void> {
    const attempt = ++this.#attempt;
    try {
      await this.#connect(attempt);
    } catch (error) {
      // No token could be had, say, or this page may not connect to that address: the status tells it.
      if (attempt === this.#attempt) this.#feed({ type: "closed", code: 1006, reason: String(error) });
    }
  }

  async #connect(attempt: number): Promise<void> {
    const { url, lang, token, WebSocket = globalThis.WebSocket as unknown as SocketClass } = this.#options;
    const credential = typeof token === "function" ? await token() : token;
    if (attempt !== this.#attempt) return; // it took so long that something else has happened
    const { href, protocols } = socketAddress(url, lang, credential);
    const socket = new WebSocket(href, protocols);
    this.#socket = socket;
    this.#isGreeted = false;
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      if (code === CloseCode.TOO_BIG) this.#exchange.giveUpLargest();
      this.#feed({ type: "closed", code, reason });
    };
    // A close follows at once, but not in Chromium where the page's policy forbids the address.
    const over = (): void => socket.onclose?.({ code: 1006, reason: "" });
    socket.onerror = () => void (socket.readyState === 3 && setTimeout(over));
  }

  #hear(data: unknown): void {
    let frame: Frame;
    try {
      frame = parseFrame(data);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return this.#feed({ type: "unusable", reason: error.message });
    }
    if (!this.#isGreeted) return this.#greet(frame);
    this.#link.feed({ type: "heard" }, seconds());
    const taken = this.#exchange.take(frame);
    if (taken === "lags") return this.#feed({ type: "unusable", reason: "try_again" });
    if (taken === "news") this.#emit(frame);
    if (frame.metadata["request_id"] !== undefined) this.#flush(); // the end of a replay lets go what waited for it
  }

  #greet(frame: Frame): void {
    if (frame.event !== "system.connected") {
      return this.#feed({ type: "unusable", reason: "what answers does not speak this protocol" });
    }
    this.#isGreeted = true;
    this.#greeting = frame;
    const limit = frame.metadata["max_frame_bytes"];
    this.#exchange.connected(typeof limit === "number" ? limit : undefined);
    this.#feed({ type: "greeted" });
    this.#emit(frame);
    this.#flush();
  }

  #emit(frame: Frame): void {
    if (frame.seq !== undefined && frame.session_id !== undefined && this.#options.acknowledges !== false) {
      this.acknowledge(frame.session_id, frame.seq);
    }
    for (const name of [frame.event, "*"]) this.#listeners.tell(name, frame);
  }

  #flush(): void {
    if (this.#link.status.state !== "open") return;
    for (const frame of this.#exchange.unsent()) this.#socket?.send(JSON.stringify(frame));
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const { dueAt } = this.#link;
    if (dueAt === null) return;
    // What was heard meanwhile has moved the second on: then nothing is due, and the timer is set again.
    this.#timer = setTimeout(() => this.#feed({ type: "due" }), Math.max(0, dueAt - seconds()) * 1000);
  }

  /** Nothing waits for a connection that will not come. */
  #throwIfOver(): void {
    const { state, lost } = this.link;
    if (state === "closed" && lost) throw lost;
  }

  #giveUp(error: Error): void {
    this.#exchange.giveUp(error);
    for (const reject of this.#follows) reject(error);
    this.#follows.clear();
  }
}

function seconds(): number {
  // Not the time of day, which can be set.
  return performance.now() / 1000;
}

