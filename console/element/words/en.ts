/** The page's own words in English. What the server says comes in the language that it was asked for. */

export const en = {
  /** Between a name and what is said of it. */
  colon: ": ",
  // the frame
  conversations: "Conversations", conversation: "Conversation", newChat: "New chat", search: "Search conversations", nothingFound: "No conversation has these words.",
  noConversations: "No conversations yet.", loadingMore: "Loading…", untitled: "(untitled)", openSidebar: "Show conversations", closeSidebar: "Hide conversations",
  today: "Today", yesterday: "Yesterday", thisWeek: "Last 7 days", thisMonth: "Last 30 days", earlier: "Earlier",
  agent: "Agent", chooseAgent: "Choose an agent", toolsOf: "Tools", theseTools: (names: string[]) => `Tools: ${names.join(", ")}`, noDescription: "No description.", skip: "Skip to the conversation",
  copies: (count: number, title: string) => (count === 1 ? `1 more version of “${title}”` : `${count} more versions of “${title}”`), copiesOf: (title: string) => `Versions of “${title}”`, original: "Original", moreCopies: "Show more versions",
  markWaiting: "waits for your answer", markRunning: "is being answered", markUnread: "new", markFailed: "failed",
  questionElsewhere: (title: string) => `A question waits for your answer in “${title}”`, goThere: "Open",
  // connection
  open: "Connected", opening: "Connecting…", lost: "Connection lost, coming back…", shut: "Not connected", away: "Offline", offline: "You are offline. What you write is sent when the connection is back.",
  hint: "No connection? See that the server is running. If this page was opened as a file, enter the token that the server showed at its start.",
  retryNow: "Try now",
  // menu
  menu: "Menu", actions: (title: string) => `Actions for “${title}”`, rename: "Rename", renameTitle: "Rename the conversation", newTitle: "Title", save: "Save", cancel: "Cancel", remove: "Delete", removed: "The conversation is deleted.", undo: "Undo",
  exportMarkdown: "Export as Markdown", exportJson: "Export as JSON", settings: "Settings", theme: "Theme", themeAuto: "As the system", themeLight: "Light", themeDark: "Dark", language: "Language",
  notify: "Notify me of questions", notifyDenied: "This browser does not permit notifications.", account: "My account", admin: "Administration", leave: "Log out", login: "Log in",
  asWhom: (name: string) => `Connected as ${name}`, anonymous: "Not logged in", connection: "Connection…", close: "Close",
  forkedFrom: (title: string) => (title ? `Continued from “${title}”` : "Continued from another conversation"), forkLost: "The connection broke before the copy of the conversation was confirmed. If it is not in the list, please try again.", forkNote: "Show the original", forkPoint: "The earlier messages are copies; the tools' memory may begin anew.",
  // composer
  say: "Message…", sayTo: (agent: string) => `Message ${agent}…`, keys: "Enter sends, Shift+Enter breaks the line", send: "Send", stop: "Stop", stopping: "Stopping…", attach: "Attach files", dropHere: "Drop files here",
  closed: "This conversation was closed. It can be read, and no more.", queueHint: "Will be queued",
  whenBusy: "While an answer is being written", ways: { steer: ["Steer", "Will be read before the next step"], queue: ["Queue", "Will be queued"], interrupt: ["Interrupt", "Ends this answer"], reject: ["Wait", "Has to wait for the answer"] } as Record<string, [string, string]>,
  notRead: "Not read yet", takeBack: "Take back",
  removeFile: (name: string) => `Remove ${name}`, uploading: (percent: number) => `${percent} %`, editing: "Editing a message: what follows it is answered anew in a copy of this conversation.",
  tooBig: (name: string, most: string) => `${name} is too big: ${most} at most.`, notAccepted: (name: string) => `${name} cannot be taken: pictures (PNG, JPEG, GIF, WebP) and text files can.`,
  noPictures: (name: string) => `${name}: this agent takes no pictures.`, noFiles: (name: string) => `${name}: this agent takes no files.`, uploadBroke: "the connection broke; please try again.", emptyFile: (name: string) => `${name} is empty.`, filesNotKept: "This browser does not keep these files: if the page is loaded again before they are sent, please choose them again.", uploadFailed: (name: string, why: string) => `${name} was not taken: ${why}`,
  // messages
  you: "You", answerOf: (agent: string) => `Answer of ${agent}`, thinking: "Thinking…", queued: "Queued", place: (before: number) => (before ? `Waiting: ${before} before you` : "Waiting: you are next"), waiting: "Waiting for your answer…", sending: "Sending…",
  failed: "Not delivered", sendAgain: "Send again", discard: "Discard", tooLong: (mebibytes: number | null) => (mebibytes ? `it is too long, ${mebibytes} MiB at most.` : "it is too long for the server."),
  value: "Value (JSON)", copyValue: "Copy the JSON", reasoning: "Reasoning", arguments: "Arguments", changedArguments: "Arguments, as you changed them", result: "Result", data: "Data", failure: "Error", truncated: "The text was longer than what is stored.", noArguments: "none",
  status: { running: "running", success: "done", failed: "failed", declined: "declined", cancelled: "cancelled", unknown: "outcome unknown" } as Record<string, string>, changed: "arguments changed",
  copy: "Copy", copied: "Copied", copyFailed: "Not copied", wrap: "Wrap", codeIn: (language: string) => (language ? `Code in ${language}` : "Code"), showAll: "Show all", showLess: "Show less",
  copyAnswer: "Copy as Markdown", regenerate: "Answer again", retry: "Try again", edit: "Edit and send again", copyMessage: "Copy message", good: "Good answer", bad: "Bad answer", comment: "Why? (optional)", commentSave: "Send", thanks: "Thank you.",
  steps: (count: number) => (count === 1 ? "1 step" : `${count} steps`), tokens: (count: string) => (count === "1" ? "1 token" : `${count} tokens`), cutShort: "The answer was cut off at the length limit.", refused: "Refused by a rule of the agent.",
  limits: {
    max_steps: "The limit of steps was reached.", max_tokens: "The limit of model tokens was reached.", max_tool_calls: "The limit of tool calls was reached.",
    max_seconds: "The limit of time was reached.", repeat_limit: "The agent made the same call again and again.",
  } as Record<string, string>, anyLimit: "A limit of this answer was reached.",
  newest: "Jump to the newest", picture: (name: string) => `Picture of ${name}`, pictureSent: "Picture", loading: "Loading the conversation…", stopped: "Stopped", gone: "That conversation is not there any more. This is a new one.", goneUnlessLogin: "That conversation is not there any more, or you have to log in to see it.",
  // questions
  question: "Your answer is needed", yes: "Allow", no: "Decline", changeArguments: "Change the arguments", asJson: "Arguments as JSON", notJson: "This is not a JSON object.", reason: "Why not? (the agent reads it, optional)", waitsSince: (time: string) => `has waited for ${time}`, waitsUntil: (time: string) => `${time} left`, saidYes: "Allowed", saidNo: "Declined", noAnswer: "Closed without an answer", yourReason: "Reason",
  schema: { type: (wanted: string) => `should be ${wanted}`, missing: "is missing", unknown: "is not an argument of this tool", choice: (choices: string) => `should be one of ${choices}` },
  // welcome
  hello: (agent: string) => `Say something to ${agent}`, examples: "For example",
  // door
  door: "Connect to a server", address: "Address of the server", token: "Token", connect: "Connect",
  refusals: {
    credentials_required: "A token or a login is needed.", invalid_token: "The token is unknown, expired or revoked.", too_many_attempts: "Too many invalid tokens came from your address. Please try again later.", agent_not_found: "There is no such agent, or none that you may use.",
    no_answer: "Nothing answers at this address. See that it is right and that the server is running.",
    bad_address: "This address leads to no server. One looks like ws://localhost:8080/ (wss:// for pages of https).",
  } as Record<string, string>,
  notKnown: "This server does not know that yet.", bubble: "Chat", you_are: "Signed in",
};

export type Words = typeof en;
