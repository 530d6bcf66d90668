// The client of MyAgent's protocol.

export { socketAddress } from "./address.ts";
export { Client, type Replayed } from "./client.ts";
export { ConnectionLost, FrameTooLarge, OutcomeUnknown, RequestRefused, Withdrawn } from "./errors.ts";
export * from "./events.ts";
export { codeOf, endsRun, isRefusal, outputOf, parseFrame, runOf, type Frame, type Outgoing } from "./frames.ts";
export { Link, type Act, type Happening, type LinkStatus } from "./link.ts";
export type { ClientOptions, Socket, SocketClass } from "./options.ts";
export { newId, type Accepted, type Content, type RequestOptions, type SessionInfo, type SessionPage } from "./requests.ts";
export { watchWorld } from "./world.ts";
