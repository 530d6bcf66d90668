// Where a WebSocket is opened.

/** What may stand in a header as it is, and so be a subprotocol (RFC 9110). */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/**
 * The WebSocket address of a server that is named as people name it, and the subprotocols to offer. Throws `TypeError`
 * for what is no address. A token is offered as a subprotocol, because addresses end up in logs, where it can be one.
 */
export function socketAddress(url: string | URL, lang?: string, token?: string): { href: string; protocols: string[] } {
  const address = new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace(/^http/, "ws");
  if (address.protocol !== "ws:" && address.protocol !== "wss:") {
    throw new TypeError(`${address.href} is no address of a WebSocket: it begins with ws:, wss:, http: or https:`);
  }
  address.hash = "";
  if (lang) address.searchParams.set("lang", lang);
  if (token && !TOKEN.test(token)) address.searchParams.set("token", token);
  return { href: address.href, protocols: token && TOKEN.test(token) ? ["bearer", token] : [] };
}
