/** A frame of the server as the page reads it: what docs/protocol.md names, everything optional that may be missing. */

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  llm_calls?: number;
  cost?: number;
  currency?: string;
}

export interface MadePicture {
  media_type: string;
  data: string;
}

export interface Row {
  session_id: string;
  agent: string;
  title: string;
  status?: string;
  last_seq?: number;
  read_seq?: number;
  run_status?: string;
  failed?: boolean;
  created_at?: string;
  active_at: string;
  forked_from?: Origin;
  /** Of a copy: the conversation that the first one of its family continues. */
  family_id?: string;
  /** In a list of families, of one that has more than this row. */
  family?: Kin;
}

/** What the server says of the whole family of a row. */
export interface Kin {
  size: number;
  unread: number;
  run_status: string;
}

export interface Origin {
  session_id: string;
  message_id?: string;
  seq?: number;
}

/** What a run has used of a limit. */
export interface LimitUse {
  which: string;
  used: number;
  allowed: number;
}

export interface Metadata {
  accepts?: { images: boolean; files: boolean; max_file_bytes: number };
  action?: string;
  agent_name?: string;
  agents?: string[];
  args?: Record<string, unknown>;
  call_step_id?: string;
  code?: string;
  credential?: string;
  duration_ms?: number;
  error?: string;
  data?: unknown;
  finish?: string;
  forked_from?: Origin;
  images?: MadePicture[];
  index?: number;
  last_seq?: number;
  /** What was refused was more than a number; an answer may end at the limit of a run. */
  limit?: number | LimitUse;
  max_frame_bytes?: number;
  message_id?: string;
  mode?: string;
  duplicate?: boolean;
  output?: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  next?: string;
  percent?: number;
  position?: number;
  reason?: string;
  reasoning?: boolean;
  request?: string;
  request_id?: string;
  run_id?: string;
  run_status?: string;
  seconds?: number;
  server?: string;
  server_time?: string;
  sessions?: Row[] | Record<string, number>;
  staff?: boolean;
  status?: string;
  step?: number;
  steps?: number;
  timeout_seconds?: number;
  title?: string;
  tool?: string;
  tool_args?: Record<string, unknown>;
  tool_description?: string;
  tool_name?: string;
  truncated?: boolean;
  usage?: Usage;
  user?: string;
  warnings?: string[];
}

export interface Frame {
  event: string;
  timestamp: string;
  session_id?: string;
  step_id?: string;
  content?: unknown;
  metadata: Metadata;
  seq?: number;
}

/** The content of a `user.feedback`. */
export interface Rating {
  run_id: string;
  rating: "up" | "down" | null;
  comment?: string;
}

/** A frame to the server. */
export interface Request {
  event: string;
  session_id?: string;
  [key: string]: unknown;
}

export interface Part {
  type: string;
  text?: string;
  image_url?: { url?: string; name?: string; size?: number } | string;
  file?: { file_id?: string; name?: string; type?: string; size?: number };
}

export type Content = string | Part[];

/** What a message says, in one form: texts, objects with a text, and lists of parts are all on record. */
export function contentOf(content: unknown): Content {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content as Part[];
  const object = (content ?? {}) as Record<string, unknown>;
  const text = object["text"] ?? object["question"] ?? object["content"];
  return typeof text === "string" ? text : "";
}

/** The words of a message, without its pictures and files. */
export function wordsOf(content: Content): string {
  if (typeof content === "string") return content;
  return content
    .filter((part) => part.type === "text")
    .map((part) => part.text ?? "")
    .join("\n\n");
}
