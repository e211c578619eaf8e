/**
 * Message bodies that carry their own checksum: a torn or mixed-up one cannot pass.
 *
 * @module
 */

/** What the test processes append. */
export type Body = {
  /** The writer. */
  w: string;
  /** Its counter. */
  n: number;
  /** Filler of a length that follows from both. */
  fill: string;
  /** A checksum of the other three. */
  sum: number;
};

function checksum(text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) >>> 0;
  return sum;
}

/** The body number `n` of writer `w`. */
export function body(w: string, n: number): Body {
  const fill = `${w}/${n}.`.repeat(1 + (n * 7919) % 97);
  return { w, n, fill, sum: checksum(`${w} ${n} ${fill}`) };
}

/** Whether a body is whole. */
export function isWhole({ w, n, fill, sum }: Body): boolean {
  return sum === checksum(`${w} ${n} ${fill}`) && fill === body(w, n).fill;
}
