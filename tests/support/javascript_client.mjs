// The client in TypeScript as a process: it does what lines on standard input say and tells on standard output what
// comes of it, and every event. Arguments: the built client, the folder whose node_modules has `ws`, the address.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { obey, tell } from "./node_driver.mjs";

const [built, folder, url] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(built));
const { WebSocket } = createRequire(`${folder}/`)("ws");

const client = new Client({ url, WebSocket });
client.on("*", (frame) => tell({ frame }));
client.onLink(({ state, lost }) => tell({ link: state, code: lost?.code ?? null }));

await obey(client, ({ name, code }) => [name, code ?? null]);
client.close();
