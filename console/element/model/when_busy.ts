/** What becomes of a message while a run goes on: what its agent does, and which of that the reader chose last. */

import type { Agent } from "./agents.ts";
import { lasting } from "./memory.ts";

export class WhenBusy {
  private readonly memory;

  constructor(server: string) { this.memory = lasting(`myagent.when_busy ${server}`); }

  /** The choice for an agent; the agent's own first way where there is none, "" where the server does not say. */
  of(agent: Agent | undefined): string {
    const ways = agent?.when_busy ?? [];
    const chosen = this.all()[agent?.name ?? ""];
    return (chosen !== undefined && ways.includes(chosen) ? chosen : ways[0]) ?? "";
  }

  /** What a message asks for: nothing where there is no choice. */
  wanted(agent: Agent | undefined): string { return (agent?.when_busy.length ?? 0) > 1 ? this.of(agent) : ""; }

  choose(agent: Agent, way: string): void {
    this.memory.set(JSON.stringify({ ...this.all(), [agent.name]: way }));
  }

  private all(): Record<string, string> {
    try { return JSON.parse(this.memory.get() ?? "{}") as Record<string, string>; } catch { return {}; }
  }
}
