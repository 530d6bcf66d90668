/** Which conversation is shown, kept where it belongs: in the page's own address, or in the tab for a part of a page. */

import { ofThisTab } from "./memory.ts";
import type { Server } from "./server.ts";

const ID = /^[\w-]{8,100}$/;

export interface Route {
  get(): string;
  /** `isSame`: a new conversation that got its id. */
  set(id: string, isSame: boolean): void;
  changed(act: () => void, signal: AbortSignal): void;
  /** A conversation is not there for whoever asks now; a login may bring it back. */
  lost(id: string): void;
  /** A click, perhaps on the way to the login. */
  leaving(click: Event, server: Server): void;
  /** The page is left for the login: what follows it knows no fragments. */
  left(): void;
}

/** In the fragment, which is sent to nobody: an anonymous conversation's id is a key. */
export class FragmentRoute implements Route {
  /** In the tab: the id is sent to nobody, and not part of an address. */
  private readonly memory = ofThisTab("myagent.left");
  private lostId = "";

  constructor() {
    const id = this.memory.get() ?? "";
    this.memory.set("");
    if (id && !this.get()) this.set(id, true);
  }

  get(): string {
    const id = decodeURIComponent(location.hash.slice(1));
    return ID.test(id) ? id : "";
  }

  leaving(click: Event, server: Server): void {
    const link = click.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement);
    if (link?.href === server.loginPage) this.left();
  }

  left(): void { this.memory.set(this.lostId || this.get()); }

  lost(id: string): void { this.lostId = id; }

  set(id: string, isSame: boolean): void {
    if (id === this.get()) return;
    // Who goes to another conversation wants that one.
    if (id && !isSame) this.lostId = "";
    const url = `${location.pathname}${location.search}${id ? `#${id}` : ""}`;
    if (isSame) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  changed(act: () => void, signal: AbortSignal): void {
    addEventListener("popstate", act, { signal });
    addEventListener("hashchange", act, { signal });
  }
}

export class TabRoute implements Route {
  private readonly memory;

  constructor(server: string, agent: string) { this.memory = ofThisTab(`myagent.session ${server} ${agent}`); }

  get(): string { return this.memory.get() ?? ""; }
  set(id: string): void { this.memory.set(id); }
  changed(): void { /* nobody else writes there */ }
  lost(): void { /* nobody logs in from a part of a page */ }
  leaving(): void { /* the tab keeps it */ }
  left(): void { /* the same */ }
}
