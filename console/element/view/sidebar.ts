/** The own conversations, found by scrolling and by words, and who one is. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Chat } from "../model/chat.ts";
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
    const rows = list.visible;
    if (!rows.length && list.isLoaded) return html`<p class="about empty">${list.query ? words().nothingFound : words().noConversations}</p>`;
    const groups = new Map<string, Row[]>();
    for (const row of rows) groups.set(age(row.active_at), [...(groups.get(age(row.active_at)) ?? []), row]);
    return html`${[...groups].map(([name, members]) => html`<h2>${name}</h2>
      <ul>${repeat(members, (row) => row.session_id, (row) => this.row(row))}</ul>`)}
      ${list.next ? html`<p class="about more">${words().loadingMore}</p>` : nothing}`;
  }

  private row(row: Row): TemplateResult {
    const { chat } = this;
    const isShown = row.session_id === chat.shown.id;
    const mark = isShown && ["unread", "failed"].includes(chat.list.markOf(row)) ? "" : chat.list.markOf(row);
    const title = (isShown && chat.title) || row.title || words().untitled;
    const origin = row.forked_from && words().forkedFrom(chat.list.find(row.forked_from.session_id)?.title ?? "");
    const isOneOfMany = chat.agents.length > 1;
    return html`<li class="conversation ${isShown ? "shown" : ""} ${mark}">
      <a href="#${row.session_id}" aria-current=${isShown ? "page" : nothing} title=${[title, `${row.agent} · ${clock(row.active_at)}`, origin].filter(Boolean).join("\n")} @click=${(click: MouseEvent) => this.open(click, row)}>
        ${origin ? html`<span class="fork" role="img" aria-label=${origin}>${icon("branch")}</span>` : nothing}<span class="title" dir="auto">${title}</span>
        ${isOneOfMany ? html`<span class="about agent-name">${row.agent}</span>` : nothing}
        ${mark ? html`<span class="mark" role="img" aria-label=${markWords(mark)} title=${markWords(mark)}></span>` : nothing}
      </a>
      <myagent-menu .label=${words().actions(title)} .choices=${this.choices(row, title)}></myagent-menu>
    </li>`;
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
