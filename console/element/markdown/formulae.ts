/** The places of formulae in Markdown: `$…$`, `\(…\)`, `$$…$$` and `\[…\]`. What stands there is drawn later. */

import type MarkdownIt from "markdown-it";
import type StateBlock from "markdown-it/lib/rules_block/state_block.mjs";
import type StateInline from "markdown-it/lib/rules_inline/state_inline.mjs";

const LONGEST = 10_000;
const INLINE: [open: string, close: string, isDisplay: boolean][] = [["$$", "$$", true], ["\\[", "\\]", true], ["\\(", "\\)", false], ["$", "$", false]];

/** Money is no formula: nothing blank inside of the signs, no digit behind the second. */
const isFormula = (tex: string, after: string, isDollar: boolean): boolean =>
  Boolean(tex.trim()) && (!isDollar || (!/^\s|\s$/.test(tex) && !/^\d/.test(after)));

function inline(state: StateInline, isSilent: boolean): boolean {
  const { src, pos } = state;
  for (const [open, close, isDisplay] of INLINE) {
    if (!src.startsWith(open, pos)) continue;
    const from = pos + open.length;
    const to = src.slice(0, from + LONGEST).indexOf(close, from);
    if (to < 0) continue;
    const tex = src.slice(from, to);
    if (!isFormula(tex, src.slice(to + close.length), open === "$")) continue;
    if (!isSilent) push(state, tex, isDisplay);
    state.pos = to + close.length;
    return true;
  }
  return false;
}

function block(state: StateBlock, first: number, end: number, isSilent: boolean): boolean {
  const line = (at: number): string => state.src.slice(state.bMarks[at]! + state.tShift[at]!, state.eMarks[at]).trim();
  const open = line(first);
  const close = open.startsWith("$$") ? "$$" : open.startsWith("\\[") ? "\\]" : "";
  if (!close || (open.length > 2 && open.includes(close, 2) && !open.endsWith(close))) return false;
  let last = first;
  const isOneLine = open.length > 4 && open.endsWith(close);
  while (!isOneLine && ++last < end && !line(last).endsWith(close));
  if (last >= end) return false;
  if (isSilent) return true;
  const text = state.getLines(first, last + 1, state.blkIndent, false).trim();
  push(state, text.slice(2, -2), true);
  state.tokens.at(-1)!.map = [first, last + 1];
  state.line = last + 1;
  return true;
}

function push(state: StateInline | StateBlock, tex: string, isDisplay: boolean): void {
  const token = state.push("formula", "span", 0);
  token.content = tex;
  token.block = isDisplay;
}

export function formulae(parser: MarkdownIt): void {
  parser.inline.ruler.before("escape", "formula", inline);
  parser.block.ruler.after("blockquote", "formula", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
  parser.renderer.rules["formula"] = (tokens, at) => {
    const token = tokens[at]!;
    const text = parser.utils.escapeHtml(token.content);
    return token.block ? `<p class="formula display">${text}</p>` : `<span class="formula">${text}</span>`;
  };
}
