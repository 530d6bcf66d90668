/** One value that a browser keeps. Without a storage it is forgotten on reload, and nothing else changes. */

export class Memory {
  constructor(private readonly store: () => Storage, readonly key: string) {}

  get(): string | null {
    try { return this.store().getItem(this.key); } catch { return null; }
  }

  /** Keeps it; an empty value removes it. */
  set(value: string | null | undefined): void {
    try {
      if (value) this.store().setItem(this.key, value);
      else this.store().removeItem(this.key);
    } catch { /* forbidden or full: see above */ }
  }
}

// Asked for only when they are used: where storage is forbidden the names themselves throw.
export const lasting = (key: string): Memory => new Memory(() => localStorage, key);
export const ofThisTab = (key: string): Memory => new Memory(() => sessionStorage, key);
