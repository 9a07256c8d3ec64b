// Offsets from the server count code points; JavaScript's count UTF-16 units, of which an emoji has two.

/** The place in UTF-16 units of each code point of a text, and of its end. */
export function places(text) {
  const found = [];
  let at = 0;
  for (const point of text) {
    found.push(at);
    at += point.length;
  }
  found.push(at);
  return found;
}

/** The pieces of a text between spans {start, end, ...} in code points: [text, span or null], in order. */
export function pieces(text, spans) {
  const at = places(text);
  const found = [];
  let done = 0;
  for (const span of [...spans].sort((one, other) => one.start - other.start)) {
    if (span.start < done || span.end > at.length - 1) continue; // overlaps the one before
    if (span.start > done) found.push([text.slice(at[done], at[span.start]), null]);
    found.push([text.slice(at[span.start], at[span.end]), span]);
    done = span.end;
  }
  if (done < at.length - 1) found.push([text.slice(at[done]), null]);
  return found;
}
