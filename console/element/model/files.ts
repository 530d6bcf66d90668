/** Files for a message: what is taken, how it is sent, and what stands in the message for it. */

import type { Accepts } from "./agents.ts";
import type { Part } from "./frame.ts";
import type { Server } from "./server.ts";
import { size } from "../words/times.ts";
import { words } from "../words/words.ts";

export interface Attached {
  file: File;
  isPicture: boolean;
  /** An address of this page for the picture. */
  preview: string;
  percent: number | null;
  error: string;
  /** What stands in the message for it, once it is there. */
  part: Part | null;
}

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const TEXTS = /\.(txt|md|markdown|csv|tsv|json|jsonl|xml|ya?ml|toml|ini|cfg|conf|log|html?|css|js|ts|tsx|jsx|py|rb|go|rs|java|kt|c|h|cc|cpp|hpp|cs|php|sh|sql|r|swift|tex|srt|vtt)$/i;
/** As text a picture grows by a third, and a frame has 4 MiB. */
const MOST_IN_MESSAGE = 2.5 * 2 ** 20;
const MOST_TEXT_IN_MESSAGE = 256 * 1_024;

export const isPicture = (file: File): boolean => PICTURES.has(file.type);
const isText = (file: File): boolean => file.type.startsWith("text/") || file.type === "application/json" || TEXTS.test(file.name);

/** Why a file is not taken; "" if it is. Where the server does not say what an agent takes, it goes into the message. */
export function refusal(file: File, accepts: Accepts | null): string {
  const picture = isPicture(file);
  if (!accepts && !picture && !isText(file)) return words().notAccepted(file.name);
  if (accepts && picture && !accepts.images) return words().noPictures(file.name);
  if (accepts && !picture && !accepts.files) return words().noFiles(file.name);
  if (!file.size) return words().emptyFile(file.name);
  const most = accepts?.max_file_bytes ?? (picture ? MOST_IN_MESSAGE : MOST_TEXT_IN_MESSAGE);
  return file.size > most ? words().tooBig(file.name, size(most)) : "";
}

export class UploadFailed extends Error {}
/** The server stores no files. */
export class NoUpload extends UploadFailed {}

interface Stored { file_id: string; name: string; type: string; url: string }

/** Stores a file with its session. */
function upload(server: Server, session: string, file: File, progress: (percent: number) => void): Promise<Stored> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(`api/sessions/${encodeURIComponent(session)}/files`, server.base));
    for (const [name, value] of Object.entries(server.headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress(Math.round((event.loaded / event.total) * 100)); };
    request.onerror = () => reject(new UploadFailed(words().uploadBroke));
    request.onload = () => {
      const answer = parsed(request.responseText) as { files?: Stored[]; code?: string; message?: string } | null;
      const [stored] = answer?.files ?? [];
      if (request.status === 201 && stored) resolve(stored);
      else if ([404, 405].includes(request.status) && !answer?.code) reject(new NoUpload());
      else reject(new UploadFailed(answer?.message ?? String(request.status)));
    };
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

function parsed(text: string): unknown {
  try { return JSON.parse(text); } catch { return null; }
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new UploadFailed(reader.error?.message ?? ""));
    reader.readAsDataURL(file);
  });
}

/** In the message itself, for servers that store no files. */
async function inMessage(file: File): Promise<Part> {
  if (isPicture(file)) {
    if (file.size > MOST_IN_MESSAGE) throw new UploadFailed(words().tooBig(file.name, size(MOST_IN_MESSAGE)));
    return { type: "image_url", image_url: { url: await dataUrl(file) } };
  }
  if (file.size > MOST_TEXT_IN_MESSAGE) throw new UploadFailed(words().tooBig(file.name, size(MOST_TEXT_IN_MESSAGE)));
  const text = await file.text();
  const fence = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
  return { type: "text", text: `${file.name}\n${fence}\n${text}\n${fence}` };
}

/** The part of a message that stands for a file. */
export async function partFor(server: Server, session: string, { file }: Attached, isStored: boolean, progress: (percent: number) => void): Promise<Part> {
  if (!isStored) return inMessage(file);
  try {
    const stored = await upload(server, session, file, progress);
    // By its bytes, not by what it is called.
    return PICTURES.has(stored.type)
      ? { type: "image_url", image_url: { url: stored.url, name: stored.name } }
      : { type: "file", file: { file_id: stored.file_id, name: stored.name } };
  } catch (error) {
    if (error instanceof NoUpload) return inMessage(file);
    throw error;
  }
}
