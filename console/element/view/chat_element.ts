/** `<myagent-chat>`: a chat with the agents of a server, as a page, as a panel of a page, or as a bubble in its corner. */

import { LitElement, html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { Chat, type Surroundings } from "../model/chat.ts";
import { exportAs } from "../model/exporting.ts";
import type { Frame } from "../model/frame.ts";
import { notify, notifyOf } from "../model/notifying.ts";
import { UNDO_MS } from "../model/removals.ts";
import { FragmentRoute, TabRoute, type Route } from "../model/route.ts";
import { addressMemory, enter, Server } from "../model/server.ts";
import type { Said, Turn } from "../model/turn.ts";
import { prepareTimes } from "../words/times.ts";
import { choose, speak, wanted, words, type Language } from "../words/words.ts";
import { sheets } from "../style/sheets.ts";
import { announce } from "./announcing.ts";
import { FocusKeeper, goHome, hasKeys } from "./focus_keeper.ts";
import { Dropping, shortcut } from "./gestures.ts";
import { hostEvent } from "./host_events.ts";
import { icon } from "./icons.ts";
import { followKeyboard } from "./keyboard_cover.ts";
import { chooseTheme, chosenTheme, settingsOf, type Acts, type Theme } from "./settings.ts";
import type { Answered } from "./question_view.ts";
import type { Composer } from "./composer.ts";
import type { Entry } from "./door.ts";
import type { Log } from "./log.ts";
import type { Rated } from "./feedback.ts";
import type { RenameDialog, Renamed } from "./rename_dialog.ts";
import type { Toasts } from "./toasts.ts";
import { troubleLine } from "./trouble_line.ts";
import "./composer.ts";
import "./door.ts";
import "./log.ts";
import "./rename_dialog.ts";
import "./sidebar.ts";
import "./toasts.ts";
import "./top_bar.ts";

/** Where the server is whose script this is; the entry tells it. */
export const origin = { address: "" };

const WIDE = "(min-width: 56rem)";

export class ChatElement extends LitElement {
  static override styles = sheets;

  /** The address of the server; without one it is where this script came from. */
  @property() declare server: string;
  @property() declare agent: string;
  @property() declare token: string;
  @property() declare mode: "page" | "panel" | "bubble";
  @property() declare heading: string;
  @property() declare logo: string;
  @property() declare theme: string;
  /** The page is the server's own: cookies count, and its other pages are linked to. */
  @property({ type: Boolean }) declare own: boolean;
  /** A reader may enter another address. */
  @property({ type: Boolean }) declare movable: boolean;
  @state() declare version: number;
  @state() declare isSidebarOpen: boolean;
  @state() declare isDoorOpen: boolean;
  @state() declare isBubbleOpen: boolean;
  @state() declare isDropping: boolean;
  chat: Chat | null = null;
  private route: Route | null = null;
  private ends = new AbortController();
  private language: Language = "en";
  private frame = 0;
  private hasEntered = false;
  private wrongAddress = false;
  private exportWhenThere: { id: string; kind: string } | null = null;

  constructor() {
    super();
    Object.assign(this, { version: 0, mode: "panel", agent: "", heading: "", logo: "", server: "", theme: "", token: "" });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.ends = new AbortController();
    const { signal } = this.ends;
    this.isSidebarOpen = this.mode === "page" && matchMedia(WIDE).matches;
    matchMedia(WIDE).addEventListener("change", ({ matches }) => { this.isSidebarOpen = matches && this.mode === "page"; }, { signal });
    document.addEventListener("visibilitychange", () => { this.chat?.look(); if (!document.hidden && this.chat?.link.isOpen) this.chat.list.refresh(); }, { signal });
    addEventListener("pagehide", () => this.chat?.leave(), { signal });
    addEventListener("pageshow", ({ persisted }) => { if (persisted) this.chat?.returned(); }, { signal });
    (this.mode === "page" ? window : this).addEventListener("keydown", (press) => this.pressed(press as KeyboardEvent), { signal });
    followKeyboard(this, signal);
    new FocusKeeper(this.renderRoot as ShadowRoot, () => this.toWriting(), signal);
    this.begin();
    this.route?.changed(() => this.chat?.open(this.route?.get() ?? ""), signal);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.ends.abort();
    this.chat?.end();
    this.chat = null;
  }

  /** Begins with the server that is named now; called again when another one, or another token, is wanted. */
  private begin(): void {
    this.chat?.end();
    const server = new Server((this.movable && addressMemory().get()) || this.server || origin.address, this.own);
    if (this.token) { server.token = this.token; this.token = ""; }
    this.language = wanted(this.lang);
    speak(this.language);
    this.route ??= this.mode === "page" ? new FragmentRoute() : new TabRoute(server.socketBase, this.agent);
    this.chat = new Chat({ server, language: this.language, agent: this.agent, surroundings: this.surroundings() });
    this.look();
    const id = this.route.get();
    if (id) this.chat.open(id);
    this.chat.saying.resume();
    this.chat.link.connect();
    setTimeout(prepareTimes); // the server has to answer first
  }

  private look(): void {
    const theme = chosenTheme(this.theme);
    this.dataset["theme"] = theme;
    this.setAttribute("lang", this.language === "en" ? "en" : "zh-Hans");
    if (this.mode !== "page") return;
    document.documentElement.dataset["theme"] = theme;
    document.documentElement.lang = this.language === "en" ? "en" : "zh-Hans";
  }

  private surroundings(): Surroundings {
    return {
      changed: () => this.redraw(),
      shown: (id) => this.showed(id),
      happened: (frame, isShown) => this.happened(frame, isShown),
      gone: (id) => this.gone(id),
      withdrawn: (message) => this.composer?.takeBack(message),
      told: (said, isBad) => this.toasts?.show({ key: said, words: said, isBad }),
    };
  }

  /** However much comes before the next frame of the screen, it is drawn once. */
  private redraw(): void {
    if (this.frame) return;
    const draw = (): void => { this.frame = 0; this.version += 1; };
    this.frame = document.hidden ? window.setTimeout(draw, 200) : requestAnimationFrame(draw);
    const link = this.chat?.link;
    // Opened by itself it closes by itself.
    if (link?.state === "shut" && this.isDoorOpen === undefined) this.isDoorOpen = this.hasEntered = true;
  }

  private showed(id: string): void {
    const isSame = Boolean(id) && this.route?.get() === "" && (this.chat?.shown.conversation.items.length ?? 0) > 0;
    this.route?.set(id, isSame);
    hostEvent(this, "session", { session_id: id });
    this.redraw();
  }

  private happened(frame: Frame, isShown: boolean): void {
    hostEvent(this, "event", frame);
    if (frame.event === "agent.session_deleted" || frame.event !== "agent.user_confirm") return;
    const id = frame.session_id ?? "";
    const title = this.chat?.list.find(id)?.title || words().untitled;
    const open = (): void => this.open(id);
    if (!isShown) this.toasts?.show({ key: id, words: words().questionElsewhere(title), act: { label: words().goThere, does: open } }, 20_000);
    else this.announce(`${words().question}${words().colon}${String(frame.content)}`);
    if (!isShown || document.hidden) notifyOf(title, String(frame.content ?? ""), frame.step_id ?? "", open);
  }

  private gone(id: string): void {
    const { chat, route } = this;
    if (!chat?.isAnonymous || !this.own) { this.toasts?.show({ key: "gone", words: words().gone }); return; }
    route?.lost(id);
    const login = (): void => { route?.left(); location.assign(chat.server.loginPage); };
    this.toasts?.show({ key: "gone", words: words().goneUnlessLogin, act: { label: words().login, does: login } }, 60_000);
  }

  // --- what is shown ------------------------------------------------------------------------------------------------

  protected override render(): TemplateResult | typeof nothing {
    const { chat, version } = this;
    if (!chat) return nothing;
    const isPage = this.mode === "page";
    const heading = this.heading || chat.agent?.title || "MyAgent";
    if (this.mode === "bubble" && !this.isBubbleOpen) {
      return html`<button type="button" class="bubble-button" aria-label=${this.heading || words().bubble} aria-expanded="false" @click=${() => { this.isBubbleOpen = true; }}>${icon("chat")}</button>`;
    }
    return html`<div class="shell ${this.mode} ${this.isSidebarOpen ? "with-sidebar" : ""}" @click=${(click: Event) => { this.route?.leaving(click, chat.server); }} @dragover=${this.dropping.over} @dragleave=${this.dropping.left} @drop=${this.dropping.dropped}
        @toggle-sidebar=${this.toggle} @fresh=${this.fresh} @open-conversation=${(event: CustomEvent<string>) => this.open(event.detail)}
        @open-door=${() => { this.isDoorOpen = true; }} @door-closed=${() => { this.isDoorOpen = false; }} @entered=${this.entered} @close-bubble=${() => { this.isBubbleOpen = false; }}
        @choose-agent=${this.choseAgent} @example=${(event: CustomEvent<string>) => this.composer?.write(event.detail, true)} @stop=${() => chat.stop()} @said=${() => this.log?.toEnd()}
        @answered=${this.answered} @repeat=${(event: CustomEvent<Turn>) => chat.asking.fork(event.detail.messageId)} @edit-message=${(event: CustomEvent<Said>) => this.composer?.edit(event.detail)}
        @say-again=${(event: CustomEvent<string>) => chat.saying.again(event.detail)} @withdraw=${(event: CustomEvent<string>) => chat.saying.withdraw(event.detail)} @unsay=${(event: CustomEvent<string>) => { chat.shown.conversation.unsay(event.detail); this.redraw(); }}
        @rated=${(event: CustomEvent<Rated>) => chat.rate(event.detail.turn, event.detail.rating, event.detail.comment)} @rename=${(event: CustomEvent<Renamed>) => this.dialog?.open(event.detail)}
        @renamed=${(event: CustomEvent<Renamed>) => chat.asking.rename(event.detail.id, event.detail.title)} @remove=${this.removed} @export=${this.exported} @block-finished=${(event: CustomEvent<string>) => this.announce(event.detail)}>
      ${isPage ? html`<a class="skip" href="#" @click=${(click: Event) => { click.preventDefault(); this.composer?.querySelector("textarea")?.focus(); }}>${words().skip}</a>
        <nav class="sidebar" aria-label=${words().conversations} ?inert=${!this.isSidebarOpen}><myagent-sidebar .chat=${chat} .heading=${this.heading || "MyAgent"} .logo=${this.logo} .settings=${settingsOf(chat, { theme: chosenTheme(this.theme), language: this.language }, this.acts)} .version=${version}></myagent-sidebar></nav>
        <div class="shade" @click=${() => { this.isSidebarOpen = false; }}></div>` : nothing}
      <main>
        <header><myagent-top-bar .chat=${chat} .heading=${heading} .hasSidebar=${isPage} .isSidebarOpen=${this.isSidebarOpen} .isFixedAgent=${Boolean(this.agent) && !isPage} .canClose=${this.mode === "bubble"} .version=${version}></myagent-top-bar></header>
        <myagent-log .chat=${chat} .version=${version}></myagent-log>
        <footer>${troubleLine(chat.link, Boolean(chat.welcome.server))}<myagent-composer .chat=${chat} .version=${version}></myagent-composer></footer>
      </main>
      ${this.isDoorOpen ? html`<myagent-door .server=${chat.server} .reason=${this.wrongAddress ? "bad_address" : chat.link.trouble} .login=${this.own ? chat.server.loginPage : ""} .canMove=${this.movable}></myagent-door>` : nothing}
      <myagent-rename-dialog></myagent-rename-dialog><myagent-toasts></myagent-toasts>
      ${this.isDropping ? html`<div class="drop">${words().dropHere}</div>` : nothing}
      <div class="unseen live" aria-live="polite" role="log"></div>
    </div>`;
  }

  private get composer(): Composer | null { return this.renderRoot.querySelector<Composer>("myagent-composer"); }
  private get log(): Log | null { return this.renderRoot.querySelector<Log>("myagent-log"); }
  private get toasts(): Toasts | null { return this.renderRoot.querySelector<Toasts>("myagent-toasts"); }
  private get dialog(): RenameDialog | null { return this.renderRoot.querySelector<RenameDialog>("myagent-rename-dialog"); }

  private announce(said: string): void { announce(this.renderRoot.querySelector(".live"), said); }

  protected override firstUpdated(): void {
    if (this.mode !== "page" || !hasKeys()) return;
    void this.composer?.updateComplete.then(() => { if (!this.isDoorOpen && document.activeElement === document.body) this.toWriting(); });
  }

  protected override updated(changed: PropertyValues): void {
    const { chat, exportWhenThere: due } = this;
    if (!chat) return;
    if (this.mode === "page") document.title = [chat.shown.id && chat.title, this.heading || "MyAgent"].filter(Boolean).join(" · ");
    if (chat.link.state === "open" && changed.has("version") && this.isDoorOpen && this.hasEntered) { this.isDoorOpen = false; this.hasEntered = false; }
    if (due && chat.shown.id === due.id && !chat.shown.conversation.isCatchingUp) { this.exportWhenThere = null; exportAs(due.kind, chat.shown.conversation, chat.title); }
  }

  // --- what the reader does -----------------------------------------------------------------------------------------

  private readonly acts: Acts = {
    theme: (theme: Theme) => { chooseTheme(theme); this.look(); this.redraw(); },
    language: (language: Language) => { choose(language); this.begin(); this.redraw(); },
    notify: (isWanted: boolean) => { void notify(isWanted).then((isDone) => { if (!isDone) this.toasts?.show({ key: "notify", words: words().notifyDenied, isBad: true }); this.redraw(); }); },
    door: () => { this.isDoorOpen = true; },
  };

  private open(id: string): void {
    this.chat?.open(id);
    if (!matchMedia(WIDE).matches) this.isSidebarOpen = false;
    this.toWriting();
  }

  private toWriting(): void { goHome(this.renderRoot as ShadowRoot); }

  private readonly fresh = (): void => this.open("");

  /** Opens or closes the side bar, and hands the focus on to what does the opposite. */
  private readonly toggle = (): void => {
    this.isSidebarOpen = !this.isSidebarOpen;
    const next = this.isSidebarOpen ? ".brand button" : ".toggle";
    void this.updateComplete.then(() => requestAnimationFrame(() => this.renderRoot.querySelector<HTMLElement>(next)?.focus()));
  };

  private readonly choseAgent = ({ detail }: CustomEvent<string>): void => {
    this.chat!.agentName = detail;
    this.open("");
    this.redraw();
  };

  private readonly entered = (event: CustomEvent<Entry>): void => {
    this.wrongAddress = enter(this.chat!.server, event.detail, this.movable) === null;
    this.redraw();
    if (this.wrongAddress) return;
    this.hasEntered = true;
    this.begin();
  };

  private readonly answered = (event: CustomEvent<Answered>): void => {
    const { turn, question, given } = event.detail;
    this.chat?.answer(turn, question, given);
    this.toWriting();
  };

  private readonly removed = (event: CustomEvent<string>): void => {
    this.chat?.remove(event.detail);
    this.toasts?.show({ key: "removed", words: words().removed, act: { label: words().undo, does: () => { this.chat?.removals.undo(); this.open(event.detail); } } }, UNDO_MS, true);
  };

  private readonly exported = (event: CustomEvent<{ id: string; kind: string }>): void => {
    this.exportWhenThere = event.detail;
    this.open(event.detail.id);
    this.redraw();
  };

  private pressed(press: KeyboardEvent): void {
    const act = shortcut(press);
    if (!act || (act !== "stop" && this.mode !== "page") || this.renderRoot.querySelector("dialog[open]")) return;
    if (act === "stop") {
      if (this.isSidebarOpen && !matchMedia(WIDE).matches) this.toggle();
      else this.chat?.stop();
      return;
    }
    press.preventDefault();
    if (act === "fresh") { this.fresh(); return; }
    this.isSidebarOpen = true;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(".search input")?.focus());
  }

  private readonly dropping = new Dropping((isOver) => { this.isDropping = isOver; }, (files) => this.composer?.take(files));
}
