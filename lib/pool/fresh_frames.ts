/**
 * Frames that one cursor has read and checked, for other cursors that wait for them at the same
 * place of the same file.
 *
 * @module
 */

/** Frames in order. */
export interface FrameRun {
  /** The frames, one behind the other. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** The number of the first one. */
  readonly first: bigint;
  /** The number behind the last one. */
  readonly end: bigint;
  /** Where the frame behind the last one is expected in the ring. */
  readonly place: number;
}

/** Frames for several cursors; nobody changes the bytes. */
export class FreshFrames implements FrameRun {
  readonly u8: Uint8Array<ArrayBuffer>;
  /** A view of the same bytes. */
  readonly dv: DataView<ArrayBuffer>;
  readonly first: bigint;
  readonly end: bigint;
  readonly place: number;
  /** Where the payloads begin that can be read to their end. */
  readonly checked: Set<number> = new Set();
  readonly #printed = new Map<number, Map<object, Uint8Array<ArrayBuffer>>>();

  /** Shares a run that nobody else changes. */
  constructor({ u8, first, end, place }: FrameRun) {
    this.u8 = u8;
    this.dv = new DataView(u8.buffer);
    this.first = first;
    this.end = end;
    this.place = place;
  }

  /** How the message whose payload begins here was printed, by form. */
  printed(payloadAt: number): Map<object, Uint8Array<ArrayBuffer>> {
    let printed = this.#printed.get(payloadAt);
    if (printed === undefined) this.#printed.set(payloadAt, printed = new Map());
    return printed;
  }
}
