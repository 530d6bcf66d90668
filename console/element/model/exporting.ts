/** A conversation as a file to keep. */

import type { Conversation } from "./conversation.ts";
import { wordsOf } from "./frame.ts";
import { answerOf } from "./turn.ts";
import { pretty } from "./hidden_characters.ts";
import { words } from "../words/words.ts";

/** Saves a conversation where the browser saves files; `kind` is `markdown` or `json`. */
export function exportAs(kind: string, conversation: Conversation, title: string): void {
  const name = title || words().untitled;
  if (kind === "json") saveAs(`${name}.json`, asJson(conversation, title), "application/json");
  else saveAs(`${name}.md`, asMarkdown(conversation, title), "text/markdown");
}

function asMarkdown(conversation: Conversation, title: string): string {
  const parts = [`# ${title || words().untitled}`];
  for (const item of conversation.items) {
    if (item.kind === "said") parts.push(`## ${words().you} · ${item.at}`, wordsOf(item.content));
    if (item.kind !== "turn") continue;
    parts.push(`## ${conversation.agent} · ${item.at}`);
    for (const piece of item.pieces) {
      if (piece.kind !== "call") continue;
      parts.push(`- **${piece.tool}** \`${JSON.stringify(piece.changed ?? piece.args)}\` → ${words().status[piece.status] ?? piece.status}`);
    }
    parts.push(answerOf(item));
    if (item.outcome && item.outcome.kind !== "answer") parts.push(`> ${item.outcome.words}`);
  }
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

function asJson(conversation: Conversation, title: string): string {
  const { id, agent, seq, forkedFrom, items } = conversation;
  const kept = items.map(({ version: _version, ...item }) => item);
  return `${pretty({ session_id: id, title, agent, last_seq: seq, forked_from: forkedFrom, items: kept })}\n`;
}

function saveAs(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[^\p{L}\p{N} ._-]+/gu, "_").slice(0, 80) || "conversation";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
