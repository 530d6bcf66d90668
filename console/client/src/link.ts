// Decides when to connect, when to wait and when to give up. It is fed with what happens and at which second; sockets
// and timers are somebody else's.

import { Backoff } from "./backoff.ts";
import { ConnectionLost } from "./errors.ts";

/** The server says something every 25 s; whoever is silent for longer than this is not there any more. */
const SILENT_SECONDS = 60;
/** What a page that slept, or whose network was away, takes for too long a silence. */
const DOUBTFUL_SECONDS = 30;
/** How long a connection may take until the server has greeted. */
const OPEN_SECONDS = 30;

/** What happened. */
export type Happening =
  /** Connect: at the beginning, or at once instead of later. */
  | { type: "start" }
  /** Connect no more. */
  | { type: "stop" }
  /** The server has greeted. */
  | { type: "greeted" }
  /** The server has said something. */
  | { type: "heard" }
  | { type: "closed"; code: number; reason: string }
  /** This client cannot use the connection any longer. */
  | { type: "unusable"; reason: string }
  /** The network is back, or away, as far as the device knows. */
  | { type: "online" }
  | { type: "offline" }
  /** The page is seen again, or the device has woken up. */
  | { type: "awake" }
  /** The second that `dueAt` named has come. */
  | { type: "due" };

/** What to do: open a new socket, or give up the one that is there. */
export type Act = "open" | "drop";

/** How the connection is. */
export interface LinkStatus {
  state: "closed" | "connecting" | "open" | "waiting";
  /** Why there is no connection, or was none before; `isFinal` when trying again is of no use. */
  lost: ConnectionLost | null;
  /** The second at which it is tried again; while waiting. */
  retryAt: number | null;
  /** Whether the device says that it has no network. */
  isOffline: boolean;
}

export class Link {
  #status: LinkStatus = { state: "closed", lost: null, retryAt: null, isOffline: false };
  #backoff: Backoff;
  #since = 0;
  #heardAt = 0;
  /** Whether the network was away since this connection opened. */
  #isDoubtful = false;

  /** `spread` gives a number from 0 to 1, by which pauses differ between clients. */
  constructor(spread: () => number) {
    this.#backoff = new Backoff(spread);
  }

  get status(): LinkStatus {
    return this.#status;
  }

  /** The second at which to feed `due`. */
  get dueAt(): number | null {
    const { state, retryAt } = this.#status;
    const ends = { closed: null, waiting: retryAt, connecting: this.#since + OPEN_SECONDS };
    return state === "open" ? this.#heardAt + SILENT_SECONDS : ends[state];
  }

  feed(happening: Happening, now: number): Act[] {
    const { state } = this.#status;
    const isUp = state === "open" || state === "connecting";
    switch (happening.type) {
      case "start":
        this.#backoff.reset();
        this.#become({ lost: isUp ? this.#status.lost : null });
        return isUp ? [] : this.#connect(now);
      case "stop":
        this.#become({ state: "closed", retryAt: null });
        return isUp ? ["drop"] : [];
      case "greeted":
        this.#since = this.#heardAt = now;
        this.#become({ state: "open", lost: null });
        return [];
      case "heard":
        this.#heardAt = now;
        return [];
      case "closed":
        return isUp ? this.#lose(new ConnectionLost(happening.code, happening.reason), now) : [];
      case "unusable":
        return isUp ? ["drop", ...this.#lose(new ConnectionLost(1006, happening.reason), now)] : [];
      case "offline":
        this.#isDoubtful = true;
        this.#become({ isOffline: true });
        return [];
      case "online":
        this.#become({ isOffline: false });
        return this.#revive(now, isUp && this.#isDoubtful);
      case "awake":
        return this.#revive(now, state === "open" && now - this.#heardAt >= DOUBTFUL_SECONDS);
      case "due":
        return this.#due(now);
    }
  }

  /** The world may be another one: wait no longer, and trust no connection that is of before. */
  #revive(now: number, isDoubtful: boolean): Act[] {
    if (!isDoubtful && this.#status.state !== "waiting") return [];
    this.#backoff.reset();
    return isDoubtful ? ["drop", ...this.#connect(now)] : this.#connect(now);
  }

  #due(now: number): Act[] {
    if (this.dueAt === null || now < this.dueAt) return [];
    if (this.#status.state === "waiting") return this.#connect(now);
    return ["drop", ...this.#lose(new ConnectionLost(1006, "silence"), now)];
  }

  #connect(now: number): Act[] {
    this.#since = now;
    this.#isDoubtful = false;
    this.#become({ state: "connecting", retryAt: null });
    return ["open"];
  }

  #lose(lost: ConnectionLost, now: number): Act[] {
    const lived = this.#status.state === "open" ? now - this.#since : 0;
    if (lost.isFinal) this.#become({ state: "closed", lost, retryAt: null });
    else this.#become({ state: "waiting", lost, retryAt: now + this.#backoff.pause(lost, lived) });
    return [];
  }

  #become(changes: Partial<LinkStatus>): void {
    this.#status = { ...this.#status, ...changes };
  }
}
