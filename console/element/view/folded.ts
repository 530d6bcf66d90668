/** A long text that is shown in part until somebody wants all of it. */

import { html, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { words } from "../words/words.ts";
import { defined, Part } from "./part.ts";

const LINES = 14;
const CHARACTERS = 1_600;

export class Folded extends Part {
  @property() declare text: string;
  @state() declare isOpen: boolean;

  protected override render(): TemplateResult {
    const lines = this.text.split("\n");
    const isLong = lines.length > LINES + 4 || this.text.length > CHARACTERS * 1.3;
    if (!isLong) return html`<pre tabindex="0" dir="auto">${this.text}</pre>`;
    const part = lines.slice(0, LINES).join("\n").slice(0, CHARACTERS);
    return html`<pre tabindex="0" dir="auto" class=${this.isOpen ? "" : "cut"}>${this.isOpen ? this.text : part}</pre>
      <button type="button" class="plain more" aria-expanded=${this.isOpen} @click=${() => { this.isOpen = !this.isOpen; }}>${this.isOpen ? words().showLess : words().showAll}</button>`;
  }
}
defined("myagent-folded")(Folded);
