/** The files that are chosen for a message: taken or refused with words, kept until they are sent, and sent. */

import { ConnectionLost, RequestRefused, Withdrawn } from "myagent-client";
import type { Chat } from "./chat.ts";
import { isPicture, partFor, refusal, UploadFailed, type Attached } from "./files.ts";
import type { Part } from "./frame.ts";
import type { OpenSession } from "./open_session.ts";
import { words } from "../words/words.ts";

/** For which conversation they are. */
interface Place { chat: Chat; key: string }

export class Attachments {
  files: Attached[] = [];
  /** Why some were not taken, or did not get there. */
  trouble = "";
  /** Whether they are still there when the page is loaded again. */
  isKept = true;
  /** When what was chosen is attached or refused. */
  ready: Promise<unknown> = Promise.resolve();
  private place: Place | null = null;

  constructor(private readonly changed: () => void) {}

  /** Those of another conversation from now on. */
  show(chat: Chat, key: string): void {
    this.clear();
    this.place = { chat, key };
    this.ready = this.restore(this.place);
  }

  /** The conversation has another key now: it just began. */
  move(key: string): void {
    const { place } = this;
    if (!place) return;
    void place.chat.fileDrafts.set(place.key, []);
    place.key = key;
    if (this.files.length) this.keep();
  }

  private async restore(place: Place): Promise<void> {
    const files = await place.chat.fileDrafts.get(place.key);
    if (files.length) await this.attach(files, place);
  }

  /** Takes files, and says of those that it does not take why. Whoever sends meanwhile sends them, too. */
  take(files: File[]): void {
    if (this.place) this.ready = Promise.all([this.ready, this.attach(files, this.place)]);
  }

  private async attach(files: File[], place: Place): Promise<void> {
    const { chat } = place;
    await chat.learned;
    if (place !== this.place) return;
    const refused: string[] = [];
    const taken: Attached[] = [];
    for (const file of files) {
      const why = refusal(file, chat.agent?.accepts ?? null);
      if (why) refused.push(why);
      else taken.push({ file, isPicture: isPicture(file), preview: isPicture(file) ? URL.createObjectURL(file) : "", percent: null, error: "", part: null });
    }
    this.trouble = refused.join("\n");
    this.files = [...this.files, ...taken];
    if (taken.length) this.keep();
    this.changed();
  }

  drop(attached: Attached): void {
    URL.revokeObjectURL(attached.preview);
    this.files = this.files.filter((other) => other !== attached);
    this.keep();
    this.changed();
  }

  /** They are not shown any more. */
  clear(): void {
    for (const { preview } of this.files) URL.revokeObjectURL(preview);
    this.files = [];
    this.trouble = "";
    this.isKept = true;
  }

  private keep(): void {
    const { place, files } = this;
    void place?.chat.fileDrafts.set(place.key, files.map(({ file }) => file)).then((isKept) => {
      if (files !== this.files) return;
      this.isKept = isKept;
      this.changed();
    });
  }

  /** What stands in a message for them; null if one of them did not get there, which `trouble` tells then. */
  async parts(chat: Chat, shown: OpenSession): Promise<Part[] | null> {
    const { files } = this;
    this.trouble = "";
    try {
      await chat.learned;
      const isStored = chat.agent?.accepts != null;
      const session = isStored && files.length ? await created(chat, shown) : "";
      for (const attached of files) attached.part ??= await this.upload(chat, attached, session, isStored);
      return files.map(({ part }) => part!);
    } catch (error) {
      if (!(error instanceof UploadFailed)) throw error;
      this.trouble = error.message;
      return null;
    }
  }

  private async upload(chat: Chat, attached: Attached, session: string, isStored: boolean): Promise<Part> {
    const { file } = attached;
    const show = (percent: number): void => { attached.percent = percent; this.changed(); };
    try {
      attached.error = "";
      return await partFor(chat.server, session, attached, isStored, show);
    } catch (error) {
      if (!(error instanceof UploadFailed)) throw error;
      Object.assign(attached, { percent: null, error: error.message });
      throw new UploadFailed(words().uploadFailed(file.name, error.message));
    }
  }
}

/** Files are stored with a session. */
async function created(chat: Chat, shown: OpenSession): Promise<string> {
  try { return await chat.create(shown); } catch (error) {
    if (error instanceof RequestRefused) throw new UploadFailed(error.message);
    if (error instanceof ConnectionLost || error instanceof Withdrawn) throw new UploadFailed(words().uploadBroke);
    throw error;
  }
}
