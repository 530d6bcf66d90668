/** The agents that one may use, with what the server tells of them; only their names, where it tells no more. */

import type { Server } from "./server.ts";

export interface Accepts {
  images: boolean;
  files: boolean;
  max_file_bytes: number;
}

export interface Tool {
  name: string;
  description: string;
  parameters?: Schema;
}

export interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  additionalProperties?: boolean | Schema;
  description?: string;
}

export interface Agent {
  name: string;
  title: string;
  description: string;
  tools: Tool[];
  examples: string[];
  /** Null where the server does not say. */
  accepts: Accepts | null;
  /** What may become of a message while a run goes on, the usual first; empty where the server does not say. */
  when_busy: string[];
}

const named = (name: string): Agent => ({ name, title: name, description: "", tools: [], examples: [], accepts: null, when_busy: [] });

/** After that one does without. */
const LATE_MS = 10_000;

export async function fetchAgents(server: Server, language: string): Promise<Agent[]> {
  const answer = await server.fetch(`api/agents/?lang=${language}`, { headers: { "Accept-Language": language }, signal: AbortSignal.timeout(LATE_MS) });
  if (!answer.ok) return [];
  const { agents } = (await answer.json()) as { agents: Partial<Agent>[] };
  return agents.map((agent) => {
    const name = String(agent.name);
    return { ...named(name), ...agent, name, title: agent.title || name, tools: agent.tools ?? [], examples: agent.examples ?? [] };
  });
}

/** Those of `names`, in this order, with what is known of them. */
export function merged(names: string[], known: Agent[], accepts: Accepts | null = null): Agent[] {
  return names.map((name) => {
    const agent = known.find((one) => one.name === name) ?? named(name);
    return { ...agent, accepts: agent.accepts ?? accepts };
  });
}
