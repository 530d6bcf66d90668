// Who wants to hear of what.

type Handler = (value: never) => void;

export class Listeners {
  readonly #handlers = new Map<string, Set<Handler>>();

  /** Call `handler` for what bears that name; returns what ends that. */
  add(name: string, handler: Handler): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  tell(name: string, value: unknown): void {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) call(handler, value);
  }
}

/** Call a handler; what it throws is reported as any uncaught error, and disturbs nobody else. */
export function call(handler: Handler, value: unknown): void {
  try {
    handler(value as never);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
