/** Whom one talks to: a list of the agents with what they are for and what they can do. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Agent } from "../model/agents.ts";
import type { Chat } from "../model/chat.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export class AgentPicker extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Number }) declare version: number;

  protected override render(): TemplateResult {
    const { agent, agents } = this.chat;
    if (!agent) return html``;
    if (agents.length < 2) return html`<span class="agent" dir="auto" title=${agent.description}>${agent.title}</span>`;
    return html`<button type="button" class="plain agent" aria-haspopup="dialog" aria-label="${words().agent}: ${agent.title}" @click=${this.open}><span dir="auto">${agent.title}</span>${icon("chevron")}</button>
      <dialog class="agents" aria-label=${words().chooseAgent} @click=${this.outside}>
        <header><strong>${words().chooseAgent}</strong><button type="button" class="plain" aria-label=${words().close} @click=${this.close}>${icon("cross")}</button></header>
        <ul>${agents.map((one) => this.choice(one, one.name === agent.name))}</ul>
      </dialog>`;
  }

  private choice(agent: Agent, isChosen: boolean): TemplateResult {
    return html`<li><button type="button" class="choice" aria-pressed=${isChosen} @click=${() => { this.close(); this.tell("choose-agent", agent.name); }}>
      <strong dir="auto">${agent.title}</strong>
      <span dir="auto">${agent.description || nothing}</span>
      ${agent.tools.length ? html`<span class="about">${words().theseTools(agent.tools.map((tool) => tool.name))}</span>` : nothing}
    </button></li>`;
  }

  private get dialog(): HTMLDialogElement | null { return this.find("dialog"); }

  private readonly open = (): void => { this.dialog?.showModal(); };
  private readonly close = (): void => { this.dialog?.close(); };
  private readonly outside = (click: MouseEvent): void => { if (click.target === this.dialog) this.close(); };
}
defined("myagent-agent-picker")(AgentPicker);
