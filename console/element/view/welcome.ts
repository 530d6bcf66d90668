/** The empty page: who answers here, what with, and what one might say. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Chat } from "../model/chat.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export class Welcome extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Number }) declare version: number;

  protected override render(): TemplateResult {
    const { agent } = this.chat;
    if (!agent) return html``;
    return html`<section class="welcome">
      <div class="face" aria-hidden="true">${[...agent.title][0]?.toUpperCase() ?? ""}</div>
      <h2 dir="auto">${words().hello(agent.title)}</h2>
      ${agent.description ? html`<p class="description" dir="auto">${agent.description}</p>` : nothing}
      ${agent.tools.length ? html`<details class="tools"><summary>${icon("chevron")} ${words().toolsOf} <span class="count">${agent.tools.length}</span></summary><ul>
        ${agent.tools.map(({ name, description }) => html`<li dir="auto"><code>${name}</code> ${description}</li>`)}</ul></details>` : nothing}
      ${agent.examples.length ? html`<ul class="examples" aria-label=${words().examples}>
        ${agent.examples.map((example) => html`<li><button type="button" dir="auto" @click=${() => this.tell("example", example)}>${example}</button></li>`)}</ul>` : nothing}
    </section>`;
  }
}
defined("myagent-welcome")(Welcome);
