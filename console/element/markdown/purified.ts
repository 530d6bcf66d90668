/** HTML of the grammar as nodes, and once more without what could harm a reader, should the grammar be wrong. */

import DOMPurify from "dompurify";

const TAGS = [
  "a", "blockquote", "br", "code", "del", "div", "em", "h3", "h4", "h5", "h6", "hr", "input", "li", "ol", "p", "pre", "s", "section",
  "span", "strong", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const ATTRIBUTES = ["checked", "class", "dir", "disabled", "href", "id", "rel", "start", "tabindex", "target", "type"];

/** Texts go in the direction of their own words. Set on nodes that are done: a browser looks again at each change. */
const DIRECTED = "p, h3, h4, h5, h6, li, td, th, blockquote, ul, ol";

/** The nodes of each of some texts; made in one go, because to begin takes longer than to do. */
export function purified(texts: string[]): DocumentFragment {
  const whole = sanitized(texts.map((html) => `<section class="block">${html}</section>`).join(""));
  for (const node of whole.querySelectorAll<HTMLElement>(DIRECTED)) node.dir = "auto";
  return whole;
}

function sanitized(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false,
    ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== "href"), ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#fn)/i, RETURN_DOM_FRAGMENT: true,
  });
}

/** Highlighted code: `span`s with classes, nothing else. */
export function purifiedCode(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true });
}
