/** Above the conversation: its agent, its title, and how the connection is, in words. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Chat } from "../model/chat.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./agent_picker.ts";

export class TopBar extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Boolean }) declare hasSidebar: boolean;
  @property({ type: Boolean }) declare isSidebarOpen: boolean;
  @property({ type: Boolean }) declare canClose: boolean;
  @property({ type: Boolean }) declare isFixedAgent: boolean;
  @property() declare heading: string;
  @property({ type: Number }) declare version: number;

  protected override render(): TemplateResult {
    const { chat } = this;
    const count = chat.list.visible.filter((row) => chat.list.markOf(row) === "waiting" && row.session_id !== chat.shown.id).length;
    return html`<div class="bar">
      ${this.hasSidebar && !this.isSidebarOpen ? html`<button type="button" class="plain toggle" aria-label=${words().openSidebar} title=${words().openSidebar} aria-expanded="false" @click=${() => this.tell("toggle-sidebar")}>${icon("sidebar")}${count ? html`<span class="badge" role="img" aria-label=${words().markWaiting}>${count}</span>` : nothing}</button>` : nothing}
      ${this.isFixedAgent ? html`<strong class="heading">${this.heading}</strong>` : html`<myagent-agent-picker .chat=${chat} .version=${this.version}></myagent-agent-picker>`}
      <span class="grow title" dir="auto">${chat.shown.id ? chat.title : ""}</span>
      ${this.state()}
      ${this.hasSidebar && this.isSidebarOpen ? nothing : html`<button type="button" class="plain fresh-small" aria-label=${words().newChat} title=${words().newChat} @click=${() => this.tell("fresh")}>${icon("compose")}</button>`}
      ${this.canClose ? html`<button type="button" class="plain" aria-label=${words().close} title=${words().close} @click=${() => this.tell("close-bubble")}>${icon("cross")}</button>` : nothing}
    </div>`;
  }

  private state(): TemplateResult {
    const { state: found, attempts, isOffline } = this.chat.link;
    // A socket without a network is still open for a while.
    const state = isOffline ? "offline" : found;
    const label = isOffline ? words().away : found === "opening" && attempts > 1 ? words().lost : words()[found];
    return html`<button type="button" class="plain link-state" data-link=${state} title=${words().connection} @click=${() => this.tell("open-door")}><span>${label}</span></button>`;
  }
}
defined("myagent-top-bar")(TopBar);
