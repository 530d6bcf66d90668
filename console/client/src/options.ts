// How a client is made.

export interface ClientOptions {
  /** The server, or one of its agents at `…/ws/<agent>/`; http(s) means ws(s), and in a page it may be relative. */
  url: string | URL;
  /** What lets this client in; a function is asked before each connection. Without one the cookie of a page counts. */
  token?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
  /** The language of what the server says to this connection: `en` or `zh-hans`. */
  lang?: string | undefined;
  /** Whether the server is told that what was received is read; else call `acknowledge`. Default: true. */
  acknowledges?: boolean;
  /** Whether what this client itself said comes as events, too, as soon as it is stored. Default: false. */
  echoes?: boolean;
  /** The class of the sockets, where `WebSocket` is no global. */
  WebSocket?: SocketClass | undefined;
}

/** As much of a WebSocket as is used. */
export interface Socket {
  readonly readyState: number;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(): void;
}
export type SocketClass = new (url: string, protocols: string[]) => Socket;
