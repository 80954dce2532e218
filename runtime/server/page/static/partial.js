// Partial JSON: the object as far as it is written.

// The text with everything closed that is open; null where it ends in the middle of a word, a number or a name.
function closed(text) {
  const open = [];
  let isInString = false;
  let isEscaped = false;
  for (const letter of text) {
    if (isEscaped) isEscaped = false;
    else if (isInString && letter === "\\") isEscaped = true;
    else if (letter === '"') isInString = !isInString;
    else if (isInString) continue;
    else if (letter === "{") open.push("}");
    else if (letter === "[") open.push("]");
    else if (letter === "}" || letter === "]") open.pop();
  }
  if (isEscaped) return null;
  return text + (isInString ? '"' : "") + open.reverse().join("");
}

// Indented as far as it can be read; the text itself where it cannot.
export function pretty(text) {
  for (const end of [text, text.replace(/,\s*$/, ""), text.replace(/,?\s*"[^"]*"?\s*:?\s*$/, "")]) {
    const whole = closed(end);
    if (whole === null) continue;
    try {
      return JSON.stringify(JSON.parse(whole), null, 2);
    } catch {
      // There is a way less to close it.
    }
  }
  return text;
}
