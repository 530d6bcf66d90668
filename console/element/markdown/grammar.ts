/** The grammar of answers: CommonMark with tables, as in the admin, and footnotes, task lists and formulae. */

import MarkdownIt from "markdown-it";
import type Token from "markdown-it/lib/token.mjs";
import footnotes from "markdown-it-footnote";
import taskLists from "markdown-it-task-lists";
import { formulae } from "./formulae.ts";

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
/** Whether a link may lead there: out of the page, and to a place and not to a program. */
export function isHarmless(address: string): boolean {
  try {
    const url = new URL(address);
    return SCHEMES.has(url.protocol) && Boolean(url.host || url.protocol === "mailto:");
  } catch { return false; }
}

/** What the page adds to tokens: no style attributes, which its policy forbids, headings below its own, safe links. */
function adapt(tokens: Token[]): void {
  for (const token of tokens) {
    if (token.type === "heading_open" || token.type === "heading_close") token.tag = `h${Math.min(6, Number(token.tag[1]) + 2)}`;
    const align = /text-align:(\w+)/.exec(String(token.attrGet("style") ?? ""))?.[1];
    if (align) token.attrs = [...(token.attrs ?? []).filter(([name]) => name !== "style"), ["class", `align-${align}`]];
    for (const inner of token.children ?? []) {
      if (inner.type !== "link_open") continue;
      inner.attrSet("rel", "noopener noreferrer nofollow");
      inner.attrSet("target", "_blank");
    }
  }
}

function parser(): MarkdownIt {
  const made = new MarkdownIt("commonmark", { html: false, breaks: true });
  // A picture would tell its server who reads it, and carry off whatever a model was made to put into its address.
  made.enable(["table", "strikethrough"]).disable("image");
  made.use(footnotes).use(taskLists).use(formulae);
  made.validateLink = isHarmless;
  made.renderer.rules["table_open"] = () => '<div class="table" tabindex="0"><table>\n';
  made.renderer.rules["table_close"] = () => "</table></div>\n";
  return made;
}

const PARSER = parser();
export interface Environment { references?: Record<string, unknown>; docId?: string }

/** A piece of a text that stands by itself: a paragraph, a list, a table. */
export interface Block {
  /** Where it begins in the text. */
  start: number;
  html: string;
  /** Of code: its language and text; it is drawn by itself. */
  code: { language: string; text: string } | null;
}

/** The blocks of a text. References that were found before count, new ones are noted. */
export function blocksOf(text: string, environment: Environment): Block[] {
  const tokens = PARSER.parse(text, environment);
  adapt(tokens);
  const starts = lineStarts(text);
  const blocks: Block[] = [];
  for (let at = 0; at < tokens.length;) {
    let end = at + 1;
    // Counted, for tokens of footnotes do not tell how deep they are.
    for (let depth = tokens[at]!.nesting as number; depth > 0 && end < tokens.length; end += 1) depth += tokens[end]!.nesting;
    const group = tokens.slice(at, end);
    const [first] = group;
    const start = first?.map ? (starts[first.map[0]] ?? text.length) : text.length;
    const isCode = first?.type === "fence" || first?.type === "code_block";
    blocks.push(isCode
      ? { start, html: "", code: { language: first.info.trim().split(/\s+/)[0] ?? "", text: first.content.replace(/\n$/, "") } }
      : { start, html: PARSER.renderer.render(group, PARSER.options, environment), code: null });
    at = end;
  }
  return blocks;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
