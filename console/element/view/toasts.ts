/** Short words at the edge that go by themselves, some with something to do about them. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export interface Toast {
  key: string;
  words: string;
  isBad?: boolean;
  act?: { label: string; does: () => void };
}

const LASTS_MS = 8_000;

export class Toasts extends Part {
  @property({ attribute: false }) declare toasts: Toast[];

  constructor() {
    super();
    this.toasts = [];
  }

  /** `takesFocus`: what can be done about it is one key away, for what was shown before is gone with its focus. */
  show(toast: Toast, lasts = LASTS_MS, takesFocus = false): void {
    this.toasts = [...this.toasts.filter((other) => other.key !== toast.key), toast].slice(-4);
    setTimeout(() => this.drop(toast), lasts);
    if (takesFocus) void this.updateComplete.then(() => this.find(".toast:last-child button")?.focus());
  }

  dropKey(key: string): void { this.toasts = this.toasts.filter((toast) => toast.key !== key); }

  private drop(toast: Toast): void { this.toasts = this.toasts.filter((other) => other !== toast); }

  protected override render(): TemplateResult {
    return html`<div class="toasts" role="status">${this.toasts.map((toast) => html`<div class="toast ${toast.isBad ? "bad" : ""}">
      <span dir="auto">${toast.words}</span>
      ${toast.act ? html`<button type="button" @click=${() => { this.drop(toast); toast.act?.does(); }}>${toast.act.label}</button>` : nothing}
      <button type="button" class="plain" aria-label=${words().close} @click=${() => this.drop(toast)}>${icon("cross")}</button>
    </div>`)}</div>`;
  }
}
defined("myagent-toasts")(Toasts);
