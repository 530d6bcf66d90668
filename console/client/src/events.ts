// Made by `manage.py protocol --typescript` from the classes of the server: to be made again, not to be edited.
// What is on the wire, and what it means, is in docs/protocol.md.

/** One of these words, or one that a later version of the server adds. */
export type Open<Words> = Words | (string & {});

/** Keys of the metadata of every event; what the server does not know is missing. */
export interface Metadata {
  /** On what answers a request of this connection. */
  request_id?: string;
}

/** What stands around every event of the server. */
export interface Envelope {
  timestamp: string;
  session_id?: string;
  step_id?: string;
}

/** What stands around an event that is stored: it belongs to a session, and can be had again. */
export interface Logged extends Envelope {
  session_id: string;
  seq: number;
  event_id: string;
}

/** What stands around an event for one connection alone. */
export interface Direct extends Envelope {
  seq?: undefined;
  event_id?: undefined;
}

/** What the endpoint tells of cache and reasoning are parts of the input and the output. `model` is the one that gave the answer, where the agent has several. `cost` is there where all that was used has a price: a number in units of `currency` (ISO 4217), exact to nine decimals. */
export interface UsageMetadata extends Metadata {
  input_tokens: number;
  output_tokens: number;
  llm_calls: number;
  cached_input_tokens?: number;
  cache_write_tokens?: number;
  reasoning_tokens?: number;
  model?: string;
  cost?: number;
  currency?: string;
}

/** How much of a limit a run has used; of time in seconds. */
export interface LimitFields extends Metadata {
  which: Open<"max_steps" | "max_tokens" | "max_tool_calls" | "max_seconds" | "repeat_limit">;
  used: number | number;
  allowed: number | number;
}

export interface FinalMetadata extends Metadata {
  run_id: string;
  steps: number;
  duration_ms: number;
  usage: UsageMetadata;
  finish: Open<"answer" | "terminate" | "max_steps" | "length" | "limit" | "refused">;
  output?: Record<string, unknown>;
  limit?: LimitFields;
}

export interface InterruptedMetadata extends Metadata {
  run_id: string;
  reason: string;
}

export interface PartialMetadata extends Metadata {
  run_id: string;
  step: number;
  index: number;
  is_final: boolean;
}

/** `scope` (whose budget it was) and `free_at` (when there is a new one) are there with `budget_exceeded` only, `problems` (what is wrong with the answer's value, each with the path of its field) with `output_invalid`, `limit` with `run_limit` only. */
export interface RunErrorMetadata extends Metadata {
  run_id: string;
  code: string;
  scope?: Open<"user" | "group" | "agent">;
  free_at?: string;
  problems?: Array<string>;
  limit?: LimitFields;
}

/** Where a session was forked from: before the message `message_id`, or behind the event `seq`. */
export interface ForkedFrom extends Metadata {
  session_id: string;
  message_id?: string;
  seq?: number;
}

export interface SessionCreatedMetadata extends Metadata {
  agent_name: string;
  connection_id?: string;
  request_id?: string;
  forked_from?: ForkedFrom;
}

export interface SessionUpdatedMetadata extends Metadata {
  title: string;
  metadata: Record<string, unknown>;
}

/** `model` is the name of the one that answers from now on, `model_number` its place in the agent's list, from 0. */
export interface StepResetMetadata extends Metadata {
  run_id: string;
  step: number;
  reason: string;
  model?: string;
  model_number?: number;
}

export interface ThinkingMetadata extends Metadata {
  run_id: string;
  step: number;
  reasoning?: boolean;
  index?: number;
}

export interface ToolCallMetadata extends Metadata {
  run_id: string;
  tool: string;
  args: Record<string, unknown>;
  status: Open<"running">;
  step: number;
  call_id: string;
}

export interface ToolProgressMetadata extends Metadata {
  run_id: string;
  tool: string;
  percent?: number;
}

/** A picture of a tool's result; `data` is base64. */
export interface ImageFields extends Metadata {
  media_type: string;
  data: string;
}

export interface ToolResultMetadata extends Metadata {
  run_id: string;
  tool: string;
  status: Open<"success" | "failed" | "declined" | "cancelled" | "unknown">;
  error?: string;
  duration_ms: number;
  data?: unknown;
  truncated?: boolean;
  images?: Array<ImageFields>;
}

export interface ResponseMetadata extends Metadata {
  run_id: string;
  message_id?: string;
}

export interface ConfirmMetadata extends Metadata {
  run_id: string;
  tool_name: string;
  tool_description: string;
  tool_args: Record<string, unknown>;
  requires_confirmation: boolean;
  scope: Open<"tool" | "plan">;
  timeout_seconds: number;
  call_step_id: string;
}

export interface MessageMetadata extends Metadata {
  run_id: string;
  message_id: string;
}

export interface IdleMetadata extends Metadata {
  reason: Open<"idle">;
}

export interface RefusalMetadata extends Metadata {
  code: string;
  request?: string;
  [more: string]: unknown;
}

/** `state_size` is in bytes of `signed_state` as JSON, `current_step` the last one of the newest run. */
export interface StateExportedMetadata extends Metadata {
  signed_state: Record<string, string>;
  state_size: number;
  message_count: number;
  current_step: number;
}

/** The session may be another one than that which was exported; `warnings` are sentences for people. */
export interface StateRestoredMetadata extends Metadata {
  original_session_id: string;
  restored_step: number;
  message_count: number;
  agent_name: string;
  connection_id: string;
  warnings: Array<string>;
}

export interface ConnectedMetadata extends Metadata {
  connection_id: string;
  server: string;
  protocol: string;
  agents: Array<string>;
  max_frame_bytes: number;
  user?: string;
  credential?: string;
  staff?: boolean;
}

export interface HeartbeatMetadata extends Metadata {
  server_time: string;
  sessions: Record<string, number>;
}

/** `accepted` has the message's ids and place, `replay` what was sent again, `budget` how much of a day's tokens is used, `limit` how much of what a run may use, `waiting_for_model` how many seconds the model's endpoint makes the run wait, `queued` the place of a run that waits for one, `state_unknown` that a fork begins without what tools kept; the rest belongs to plans. */
export interface NoticeMetadata extends Metadata {
  action: string;
  message_id?: string;
  run_id?: string;
  position?: number;
  duplicate?: boolean;
  replayed?: number;
  last_seq?: number;
  run_status?: string;
  percent?: number;
  seconds?: number;
  scope?: Open<"user" | "group" | "agent">;
  free_at?: string;
  limit?: LimitFields;
  task_id?: string;
  ok?: boolean;
  mode?: string;
}

export interface SessionsMetadata extends Metadata {
  sessions: Array<Record<string, unknown>>;
  next?: string;
}

/** `user.feedback` as the log has it: `run_id`, `rating`, `comment`. The newest counts, null takes it back. The run is named in the content: no event is one of a run after its end. */
export interface FeedbackGiven extends Logged {
  event: "user.feedback";
  content: Record<string, unknown>;
  metadata: Metadata;
}

export interface FinalAnswer extends Logged {
  event: "agent.final_answer";
  content: string;
  metadata: FinalMetadata;
}

export interface Interrupted extends Logged {
  event: "agent.interrupted";
  content: string;
  metadata: InterruptedMetadata;
}

export interface PartialAnswer extends Logged {
  event: "agent.partial_answer";
  content: string;
  metadata: PartialMetadata;
}

/** `agent.error` that ends a run: it has the `run_id`. */
export interface RunFailed extends Logged {
  event: "agent.error";
  content: string;
  metadata: RunErrorMetadata;
}

export interface SessionCreated extends Logged {
  event: "agent.session_created";
  content: string;
  metadata: SessionCreatedMetadata;
}

export interface SessionEnd extends Logged {
  event: "agent.session_end";
  content: string;
  metadata: Metadata;
}

export interface SessionUpdated extends Logged {
  event: "agent.session_updated";
  content: string;
  metadata: SessionUpdatedMetadata;
}

/** `agent.step_reset`: the text of this step so far is void, and follows once more. */
export interface StepVoided extends Logged {
  event: "agent.step_reset";
  content: string;
  metadata: StepResetMetadata;
}

export interface Thinking extends Logged {
  event: "agent.thinking";
  content: string;
  metadata: ThinkingMetadata;
}

export interface ToolCalled extends Logged {
  event: "agent.tool_call";
  content: string;
  metadata: ToolCallMetadata;
}

export interface ToolProgressed extends Logged {
  event: "agent.tool_progress";
  content: string;
  metadata: ToolProgressMetadata;
}

export interface ToolReturned extends Logged {
  event: "agent.tool_result";
  content: string;
  metadata: ToolResultMetadata;
}

/** `user.response` as the log has it. */
export interface UserAnswered extends Logged {
  event: "user.response";
  content: Record<string, unknown>;
  metadata: ResponseMetadata;
}

export interface UserConfirm extends Logged {
  event: "agent.user_confirm";
  content: string;
  metadata: ConfirmMetadata;
}

/** `user.message` as the log has it: for the other connections, and for replay. */
export interface UserSaid extends Logged {
  event: "user.message";
  content: string | Array<Record<string, unknown>>;
  metadata: MessageMetadata;
}

/** `agent.interrupted` in answer to a cancel when nothing was running. */
export interface NothingInterrupted extends Direct {
  event: "agent.interrupted";
  content: string;
  metadata: IdleMetadata;
}

/** `agent.error` in answer to one request: it has no `run_id`. */
export interface RequestError extends Direct {
  event: "agent.error";
  content: string;
  metadata: RefusalMetadata;
}

/** The session is gone with all its events, therefore this one is not logged. */
export interface SessionDeleted extends Direct {
  event: "agent.session_deleted";
  content: string;
  metadata: Metadata;
}

/** A session for the client to keep; any server with the same secret can resume it. */
export interface StateExported extends Direct {
  event: "agent.state_exported";
  content: string;
  metadata: StateExportedMetadata;
}

/** The conversation is resumed in the session that this event names. */
export interface StateRestored extends Direct {
  event: "agent.state_restored";
  content: string;
  metadata: StateRestoredMetadata;
}

/** First on every connection. */
export interface SystemConnected extends Direct {
  event: "system.connected";
  content: string;
  metadata: ConnectedMetadata;
}

/** The answer to a frame that is no request of this protocol. */
export interface SystemError extends Direct {
  event: "system.error";
  content: string;
  metadata: RefusalMetadata;
}

/** Keeps proxies from cutting a silent run, and shows a client whether it is behind. */
export interface SystemHeartbeat extends Direct {
  event: "system.heartbeat";
  content: string;
  metadata: HeartbeatMetadata;
}

/** The outcome of a request, for the connection that sent it. */
export interface SystemNotice extends Direct {
  event: "system.notice";
  content: string;
  metadata: NoticeMetadata;
}

/** The caller's sessions, newest first. */
export interface SystemSessions extends Direct {
  event: "system.sessions";
  content: string;
  metadata: SessionsMetadata;
}

/** Begin a conversation; an object as `content` may name `agent`, `title` and `metadata`. */
export interface UserCreateSession {
  event: "user.create_session";
  content?: {
    agent?: string;
    title?: string;
    metadata?: Record<string, unknown>;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** The user says something; starts a run. `content` is text or a list of content parts, and may be blank here. */
export interface UserMessage {
  event: "user.message";
  session_id: string;
  content: string | Array<Record<string, unknown>> | {
    content: string | Array<Record<string, unknown>>;
    output_schema?: Record<string, unknown>;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** The answer to a confirmation. Anything that is not clearly a yes or a no is refused. */
export interface UserResponse {
  event: "user.response";
  session_id: string;
  step_id: string;
  content: {
    confirmed: boolean;
    args?: Record<string, unknown>;
    tasks?: Array<unknown>;
    reason?: string;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** Stop the run that is going and all queued ones. */
export interface UserCancel {
  event: "user.cancel";
  session_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Take a message back that nobody has read: one that is queued, or that waits to steer a run. */
export interface UserWithdraw {
  event: "user.withdraw";
  session_id: string;
  message_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Continue a conversation in a new session: from before a message, said again or in other words, or from an event. `content` takes the place of the message; without it the same is said again. With `at` nothing is said. */
export interface UserFork {
  event: "user.fork";
  session_id: string;
  before?: string;
  at?: number;
  content?: string | Array<Record<string, unknown>>;
  metadata?: Metadata & Record<string, unknown>;
}

/** What the user thinks of the answer of a run that has ended; the newest counts, and null takes it back. */
export interface UserFeedback {
  event: "user.feedback";
  session_id: string;
  content: {
    run_id: string;
    rating: "up" | "down" | null;
    comment?: string;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** Attach to a session and send what lies after the cursor. */
export interface UserReconnect {
  event: "user.reconnect";
  last_event_id?: string;
  last_seq?: number;
  session_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Continue a session from an exported state. What is no state is refused later, with the reason. */
export interface UserReconnectWithState {
  event: "user.reconnect_with_state";
  last_event_id?: string;
  last_seq?: number;
  signed_state: unknown;
  metadata?: Metadata & Record<string, unknown>;
}

/** Ask for the exported state of a session. */
export interface UserRequestState {
  event: "user.request_state";
  session_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** The client has everything up to this event. What cannot be understood is one without `session_id` or `seq`. */
export interface UserAck {
  event: "user.ack";
  session_id?: string;
  seq?: number;
  metadata?: Metadata & Record<string, unknown>;
}

/** End a conversation: nothing more can be said in it, everything stays readable. */
export interface UserCloseSession {
  event: "user.close_session";
  session_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Ask for the caller's sessions, newest first; `before` is the `next` of the page before. `families` asks for the newest of each family alone, `family_id` for those of one family. */
export interface UserListSessions {
  event: "user.list_sessions";
  content?: {
    agent?: string;
    query?: string;
    families?: boolean;
    family_id?: string;
    before?: string;
    limit?: number;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** Change a session's title or metadata. */
export interface UserUpdateSession {
  event: "user.update_session";
  session_id: string;
  content?: {
    title?: string;
    metadata?: Record<string, unknown>;
  };
  metadata?: Metadata & Record<string, unknown>;
}

/** Delete a conversation and all that is stored of it. */
export interface UserDeleteSession {
  event: "user.delete_session";
  session_id: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Solve these tasks without planning. */
export interface UserSolveTasks {
  event: "user.solve_tasks";
  session_id?: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Stop one task of a plan. */
export interface UserCancelTask {
  event: "user.cancel_task";
  session_id?: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Do one task of a plan again. */
export interface UserRestartTask {
  event: "user.restart_task";
  session_id?: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Stop a plan. */
export interface UserCancelPlan {
  event: "user.cancel_plan";
  session_id?: string;
  metadata?: Metadata & Record<string, unknown>;
}

/** Plan anew. */
export interface UserReplan {
  event: "user.replan";
  session_id?: string;
  metadata?: Metadata & Record<string, unknown>;
}

export type LoggedEvent =
  | FeedbackGiven
  | FinalAnswer
  | Interrupted
  | PartialAnswer
  | RunFailed
  | SessionCreated
  | SessionEnd
  | SessionUpdated
  | StepVoided
  | Thinking
  | ToolCalled
  | ToolProgressed
  | ToolReturned
  | UserAnswered
  | UserConfirm
  | UserSaid;

export type DirectEvent =
  | NothingInterrupted
  | RequestError
  | SessionDeleted
  | StateExported
  | StateRestored
  | SystemConnected
  | SystemError
  | SystemHeartbeat
  | SystemNotice
  | SystemSessions;

export type ServerEvent =
  | LoggedEvent
  | DirectEvent;

export type ClientEvent =
  | UserCreateSession
  | UserMessage
  | UserResponse
  | UserCancel
  | UserWithdraw
  | UserFork
  | UserFeedback
  | UserReconnect
  | UserReconnectWithState
  | UserRequestState
  | UserAck
  | UserCloseSession
  | UserListSessions
  | UserUpdateSession
  | UserDeleteSession
  | UserSolveTasks
  | UserCancelTask
  | UserRestartTask
  | UserCancelPlan
  | UserReplan;

export type ErrorCode =
  | "bad_json"
  | "bad_frame"
  | "too_many_values"
  | "unknown_event"
  | "missing_field"
  | "bad_field"
  | "empty_message"
  | "session_not_found"
  | "message_not_found"
  | "message_read"
  | "run_not_found"
  | "session_closed"
  | "session_busy"
  | "busy"
  | "too_many_sessions"
  | "agent_not_found"
  | "agent_unavailable"
  | "budget_exceeded"
  | "too_many_runs"
  | "too_many_messages"
  | "too_many_requests"
  | "over_quota"
  | "too_large"
  | "too_many_files"
  | "unsupported_type"
  | "file_not_found"
  | "file_in_use"
  | "cursor_ahead"
  | "no_pending_confirmation"
  | "not_supported"
  | "invalid_state"
  | "state_too_large"
  | "try_again"
  | "internal_error";

/** Why the server ends a connection. */
export const CloseCode = {
  NORMAL: 1000,
  TOO_BIG: 1009,
  SERVER_FAULT: 1011,
  RESTARTING: 1012,
  NOT_OUR_PROTOCOL: 4400,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  NO_SUCH_AGENT: 4404,
  NOT_READING: 4408,
  OVER_LIMIT: 4429,
} as const;
