/** The value of an answer: folded, as formatted JSON, to be copied. */

import { html, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { marked, pretty } from "../model/hidden_characters.ts";
import { words } from "../words/words.ts";
import { copyText } from "./copying.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./folded.ts";

export class OutputView extends Part {
  @property({ attribute: false }) declare value: Record<string, unknown>;
  @state() declare isCopied: boolean;

  protected override render(): TemplateResult {
    const label = this.isCopied ? words().copied : words().copyValue;
    return html`<details class="step output">
      <summary>${icon("chevron")}${icon("braces")}<span>${words().value}</span></summary>
      <div class="inside"><myagent-folded class="data" .text=${marked(pretty(this.value))}></myagent-folded>
        <button type="button" class="plain copy-value" aria-label=${label} title=${label} @click=${this.copy}>${icon(this.isCopied ? "check" : "copy")}</button>
      </div>
    </details>`;
  }

  private readonly copy = (): void => {
    void copyText(pretty(this.value)).then((isCopied) => {
      this.isCopied = isCopied;
      setTimeout(() => { this.isCopied = false; }, 2_000);
    });
  };
}
defined("myagent-output")(OutputView);
