/** Where a server is, and with which token it is asked. A token is for one server: no other is ever sent it. */

import { lasting, ofThisTab, type Memory } from "./memory.ts";

/** An address as people write it with all that belongs to one; "" where it cannot be one. */
export function completed(text: string): string {
  const isSafe = location.protocol === "https:";
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(text) ? text.replace(/^http/i, "ws") : `${isSafe ? "wss" : "ws"}://${text}`);
    url.hash = "";
    url.search = "";
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return /^wss?:$/.test(url.protocol) ? url.href : "";
  } catch { return ""; }
}

export class Server {
  /** `ws://…/`, where its paths begin; may be what cannot be one, as it was given. */
  readonly socketBase: string;

  /** `isOwn`: this page is the server's, so that cookies count and its other pages can be linked to. */
  constructor(address: string, readonly isOwn: boolean) {
    this.socketBase = completed(address) || address;
  }

  get isAddress(): boolean { return completed(this.socketBase) !== ""; }

  /** `http://…/` of the same. */
  get base(): string { return this.socketBase.replace(/^ws/, "http"); }

  get tokenMemory(): Memory { return ofThisTab(`myagent.token ${this.socketBase}`); }

  get token(): string { return this.tokenMemory.get() ?? ""; }

  set token(value: string) { this.tokenMemory.set(value); }

  /** A page of this server, of its own page only. */
  page(path: string): string { return new URL(path, this.base).href; }

  /** Where one logs in; afterwards this page is shown again. */
  get loginPage(): string { return `${this.page("login/")}?next=${encodeURIComponent(location.pathname + location.search)}`; }

  /** What says who asks: the token, else, beside the cookie of a login, that it is this server's own page. */
  headers(): Record<string, string> {
    if (this.token) return { Authorization: `Bearer ${this.token}` };
    const csrf = this.isOwn && /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1];
    return csrf ? { "X-CSRFToken": csrf } : {};
  }

  async fetch(path: string, options: RequestInit = {}): Promise<Response> {
    return fetch(new URL(path, this.base), {
      ...options,
      credentials: this.isOwn ? "same-origin" : "omit",
      headers: { ...this.headers(), ...(options.headers as Record<string, string> | undefined) },
      referrerPolicy: "no-referrer",
    });
  }
}

export const addressMemory = (): Memory => lasting("myagent.address");

/**
 * The server that is named at the door, which is remembered with its token; null for an address that leads nowhere, which
 * is remembered by nobody.
 */
export function enter(before: Server, { address, token }: { address: string; token: string }, isMovable: boolean): Server | null {
  const isOther = isMovable && address !== before.socketBase;
  if (isOther && !completed(address)) return null;
  const server = isOther ? new Server(address, false) : before;
  if (isOther) addressMemory().set(server.socketBase);
  // What stood there was for the server before, unless it was changed, too.
  if (!isOther || token !== before.token) server.token = token;
  return server;
}
