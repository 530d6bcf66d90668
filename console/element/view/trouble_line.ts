/** What is wrong with the connection, in words, and a way to try at once. */

import { html, nothing, type TemplateResult } from "lit";
import type { Link } from "../model/link.ts";
import { words } from "../words/words.ts";

const HINT_AFTER = 4;

/** `wasThere`: the server has answered before, so that an attempt to connect is one to come back. */
export function troubleLine(link: Link, wasThere: boolean): TemplateResult | typeof nothing {
  const { state, attempts, isOffline } = link;
  const isFirst = state === "opening" && attempts <= 1 && !wasThere;
  if (!isOffline && (state === "open" || state === "shut" || isFirst)) return nothing;
  const said = isOffline ? words().offline : attempts >= HINT_AFTER ? words().hint : words().lost;
  return html`<p class="trouble-line" role="status"><span>${said}</span>${state === "open" ? nothing : html`<button type="button" class="plain link" @click=${() => link.again()}>${words().retryNow}</button>`}</p>`;
}
