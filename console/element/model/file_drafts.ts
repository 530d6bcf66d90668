/** Files that were chosen and not sent, for each conversation. The browser keeps them over a reload, within bounds. */

import { bounded, MOST_BYTES, sizeOf, type Box } from "./file_bounds.ts";
import { lasting } from "./memory.ts";

const STORE = "files";
/** After that one does without what a browser does not find. */
const LATE_MS = 3_000;

interface Kept extends Box { files: File[] }

export class FileDrafts {
  private opened: Promise<IDBDatabase> | null = null;
  /** Conversations that are gone: a page that ends does not get to the end of taking their files away. */
  private readonly gone;

  constructor(private readonly server: string) {
    this.gone = lasting(`myagent.gone ${server}`);
    for (const conversation of this.allGone()) this.forget(conversation);
  }

  /** Keeps nothing of a conversation that is gone; this page or the next one sees to it. */
  forget(conversation: string): void {
    this.gone.set(JSON.stringify([...new Set([...this.allGone(), conversation])]));
    void this.set(conversation, []).then(() => {
      const left = this.allGone().filter((other) => other !== conversation);
      this.gone.set(left.length ? JSON.stringify(left) : "");
    });
  }

  private allGone(): string[] {
    try { return JSON.parse(this.gone.get() ?? "[]") as string[]; } catch { return []; }
  }

  /** The files of a conversation; none where the browser keeps nothing. */
  async get(conversation: string): Promise<File[]> {
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, LATE_MS));
    const found = this.inStore<Kept | undefined>("readonly", (store) => store.get(this.key(conversation)));
    try { return (await Promise.race([found, late]))?.files ?? []; } catch (error) {
      console.info("No files are kept here:", error);
      return [];
    }
  }

  /** Keeps these instead of those that were kept; false if the browser does not, or they are too many bytes. */
  async set(conversation: string, files: File[]): Promise<boolean> {
    const key = this.key(conversation);
    const bytes = sizeOf(files);
    const isKept = files.length > 0 && bytes <= MOST_BYTES;
    try {
      await this.inStore("readwrite", (store) => {
        if (!isKept) return store.delete(key);
        const own: Kept = { key, bytes, at: Date.now(), files };
        const all = store.getAll() as IDBRequest<Kept[]>;
        all.onsuccess = () => { for (const old of bounded(all.result, own)) store.delete(old); };
        return store.put(own);
      });
    } catch (error) {
      console.info("No files are kept here:", error);
      return files.length === 0;
    }
    return isKept || files.length === 0;
  }

  private key(conversation: string): string { return `${this.server} ${conversation}`; }

  /** The result of what `ask` asks, when all of it is stored. */
  private async inStore<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<Result> {
    const database = await (this.opened ??= opened());
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result as Result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error ?? new Error("not stored"));
    });
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    // Where storage is forbidden the name itself throws, or is not there.
    const request = indexedDB.open("myagent", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
  });
}
