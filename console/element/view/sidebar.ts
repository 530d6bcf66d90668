/** The own conversations, found by scrolling and by words, and who one is. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Chat } from "../model/chat.ts";
import { familyOf, type Family } from "../model/families.ts";
import type { Row } from "../model/frame.ts";
import type { Mark } from "../model/session_list.ts";
import { age, clock } from "../words/times.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./menu.ts";
import type { Choice } from "./menu.ts";

const SEARCH_PAUSE_MS = 250;

export class Sidebar extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property() declare heading: string;
  @property() declare logo: string;
  @property({ attribute: false }) declare settings: Choice[];
  @property({ type: Number }) declare version: number;
  private timer: ReturnType<typeof setTimeout> | undefined;

  protected override render(): TemplateResult {
    const { chat } = this;
    return html`<div class="side">
      <div class="brand">
        ${this.logo ? html`<img src=${this.logo} alt="">` : nothing}<h1>${this.heading}</h1>
        <button type="button" class="plain" aria-label=${words().closeSidebar} title=${words().closeSidebar} @click=${() => this.tell("toggle-sidebar")}>${icon("sidebar")}</button>
      </div>
      <button type="button" class="fresh" @click=${() => this.tell("fresh")}>${icon("compose")} ${words().newChat}</button>
      <label class="search">${icon("search")}<input type="search" placeholder=${words().search} aria-label=${words().search} @input=${this.searched}></label>
      <div class="rows" tabindex="-1" @scroll=${this.scrolled}>${this.rows()}</div>
      <div class="person">${this.person(chat)}<myagent-menu class="settings" .name=${"gear"} .label=${words().settings} .choices=${this.settings}></myagent-menu></div>
    </div>`;
  }

  private rows(): TemplateResult {
    const { list } = this.chat;
    const { families } = list;
    if (!families.length && list.isLoaded) return html`<p class="about empty">${list.query ? words().nothingFound : words().noConversations}</p>`;
    const groups = new Map<string, Family[]>();
    for (const family of families) {
      const name = age(family.head.active_at);
      groups.set(name, [...(groups.get(name) ?? []), family]);
    }
    return html`${[...groups].map(([name, members]) => html`<h2>${name}</h2>
      <ul>${repeat(members, (family) => family.id, (family) => (family.size > 1 ? this.family(family) : html`<li>${this.row(family.head)}</li>`))}</ul>`)}
      ${list.next ? html`<p class="about more">${words().loadingMore}</p>` : nothing}`;
  }

  /** The newest of a conversation and its copies, and the others beneath it: all of them, or the one that is shown. */
  private family(family: Family): TemplateResult {
    const { list, shown } = this.chat;
    const isUnfolded = list.isUnfolded(family.id);
    const others = isUnfolded ? family.others : family.others.filter((row) => row.session_id === shown.id);
    const mark = isUnfolded ? "" : list.markOfOthers({ ...family, others: family.others.filter((row) => row.session_id !== shown.id) });
    const count = family.size - 1;
    const label = [words().copies(count, family.head.title || words().untitled), mark && markWords(mark)].filter(Boolean).join(", ");
    const id = `copies-${family.id}`;
    return html`<li class="family">
      ${this.row(family.head, html`<button type="button" class="plain fold ${mark}" aria-expanded=${isUnfolded} aria-controls=${id} aria-label=${label} title=${label} @click=${() => this.toggled(family.id)}>${icon("chevron")}<span aria-hidden="true">${count}</span>${mark ? html`<span class="mark" aria-hidden="true"></span>` : nothing}</button>`)}
      <ul class="copies" id=${id} aria-label=${words().copiesOf(family.head.title || words().untitled)}>
        ${repeat(others, (row) => row.session_id, (row) => html`<li>${this.row(row, undefined, true)}</li>`)}
        ${isUnfolded && list.hasMore(family) ? html`<li><button type="button" class="plain link" @click=${() => list.moreOf(family.id)}>${words().moreCopies}</button></li>` : nothing}
      </ul>
    </li>`;
  }

  private toggled(family: string): void {
    this.chat.list.toggle(family);
    this.requestUpdate();
  }

  private row(row: Row, fold?: TemplateResult, isCopy = false): TemplateResult {
    const { chat } = this;
    const isShown = row.session_id === chat.shown.id;
    const mark = isShown && ["unread", "failed"].includes(chat.list.markOf(row)) ? "" : chat.list.markOf(row);
    const title = (isShown && chat.title) || row.title || words().untitled;
    const origin = row.forked_from && words().forkedFrom(chat.list.find(row.forked_from.session_id)?.title ?? "");
    const isOneOfMany = chat.agents.length > 1;
    return html`<div class="conversation ${isShown ? "shown" : ""} ${mark}">
      <a href="#${row.session_id}" aria-current=${isShown ? "page" : nothing} title=${[title, `${row.agent} · ${clock(row.active_at)}`, origin].filter(Boolean).join("\n")} @click=${(click: MouseEvent) => this.open(click, row)}>
        ${origin ? html`<span class="fork" role="img" aria-label=${origin}>${icon("branch")}</span>` : nothing}<span class="names"><span class="title" dir="auto">${title}</span>${isOneOfMany && !isCopy ? html`<span class="about agent-name">${row.agent}</span>` : nothing}</span>
        ${isCopy ? html`<span class="about when">${[familyOf(row) === row.session_id ? words().original : "", clock(row.active_at)].filter(Boolean).join(" · ")}</span>` : nothing}
        ${mark ? html`<span class="mark" role="img" aria-label=${markWords(mark)} title=${markWords(mark)}></span>` : nothing}
      </a>
      ${fold ?? nothing}<myagent-menu .label=${words().actions(title)} .choices=${this.choices(row, title)}></myagent-menu>
    </div>`;
  }

  private choices(row: Row, title: string): Choice[] {
    const id = row.session_id;
    return [
      { label: words().rename, icon: "edit", does: () => this.tell("rename", { id, title }) },
      { label: words().exportMarkdown, icon: "file", does: () => this.tell("export", { id, kind: "markdown" }) },
      { label: words().exportJson, icon: "file", does: () => this.tell("export", { id, kind: "json" }) },
      { label: words().remove, icon: "cross", isBad: true, does: () => this.tell("remove", id) },
    ];
  }

  private person(chat: Chat): TemplateResult {
    const { user = "", credential } = chat.welcome;
    const { isOwn } = chat.server;
    if (!user) return html`<span class="who about">${chat.link.state === "open" ? words().anonymous : ""}</span>`;
    return isOwn && credential === "cookie"
      ? html`<a class="who" href=${chat.server.page("account/")} title=${words().account}>${user}</a>`
      : html`<span class="who" title=${words().asWhom(user)}>${user}</span>`;
  }

  private open(click: MouseEvent, row: Row): void {
    if (click.ctrlKey || click.metaKey || click.shiftKey) return; // another tab
    click.preventDefault();
    this.tell("open-conversation", row.session_id);
  }

  private readonly searched = (event: InputEvent): void => {
    clearTimeout(this.timer);
    const { value } = event.target as HTMLInputElement;
    this.timer = setTimeout(() => this.chat.list.search(value), SEARCH_PAUSE_MS);
  };

  private readonly scrolled = (event: Event): void => {
    const { scrollHeight, scrollTop, clientHeight } = event.target as HTMLElement;
    if (scrollHeight - scrollTop - clientHeight < 300) this.chat.list.more();
  };

  protected override updated(): void {
    // A list that does not fill its place cannot be scrolled.
    const rows = this.find(".rows");
    if (rows && rows.clientHeight > 0 && rows.scrollHeight <= rows.clientHeight) this.chat.list.more();
  }
}
defined("myagent-sidebar")(Sidebar);

const markWords = (mark: Mark): string =>
  ({ waiting: words().markWaiting, running: words().markRunning, unread: words().markUnread, failed: words().markFailed, "": "" })[mark];
