/** A picture that is part of the message, or stored with the session. No other is fetched from anywhere. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Server } from "../model/server.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

const DATA = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*$/;

export class Picture extends Part {
  @property({ attribute: false }) declare server: Server;
  @property() declare url: string;
  @property() declare label: string;
  @state() declare source: string;

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (!changed.has("url")) return;
    this.forget();
    this.source = DATA.test(this.url) ? this.url : "";
    if (!this.source && this.isStored()) void this.load();
  }

  /** Whether the address is one of the server's own files. */
  private isStored(): boolean {
    try {
      const url = new URL(this.url, this.server.base);
      return url.origin === new URL(this.server.base).origin && url.pathname.includes("/api/files/");
    } catch { return false; }
  }

  private async load(): Promise<void> {
    const { url } = this;
    try {
      // With the token in a header, which an <img> cannot send.
      const answer = await this.server.fetch(url);
      const bytes = answer.ok ? await answer.blob() : null;
      if (bytes && /^image\/(png|jpeg|gif|webp)$/.test(bytes.type) && url === this.url) this.source = URL.createObjectURL(bytes);
    } catch (error) {
      console.info("A picture cannot be read:", error);
    }
  }

  private forget(): void { if (this.source?.startsWith("blob:")) URL.revokeObjectURL(this.source); }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.forget();
  }

  protected override render(): TemplateResult {
    if (!this.source) return html`<span class="file">${icon("file")} ${this.label || words().pictureSent}</span>`;
    return html`<a class="picture" href=${this.source.startsWith("blob:") ? this.source : nothing} target="_blank" rel="noopener"><img src=${this.source} alt=${this.label} loading="lazy" decoding="async"></a>`;
  }
}
defined("myagent-picture")(Picture);
