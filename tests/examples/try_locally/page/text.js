// What the other scripts share: elements, times, and texts as they were sent.
"use strict";

const byId = (id) => document.getElementById(id);

// An element with classes and children. Text is always text: nothing that came over the network is HTML.
function make(name, classes, ...children) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function makeButton(classes, text, act) {
  const button = make("button", classes, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

const hex = (code = 0) => "0x" + code.toString(16).padStart(2, "0");
const count = (number) => number.toLocaleString("en");

// ---- Times

const utc = (at) => new Date(at).toISOString().slice(11, 23);

// How far the clock on the wall is from UTC, in minutes.
const offset = (at) => -new Date(at).getTimezoneOffset();

function zone(at) {
  const minutes = offset(at);
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}

// ---- Payloads

// JSON on lines of its own, as [class, text] pairs; null if it is not JSON. It goes from token to token and
// makes no values of them: numbers, names and their order stay as they were sent.
function layOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  const parts = [];
  const put = (kind, text) => parts.push([kind, text]);
  let depth = 0;
  const line = () => put("", "\n" + "  ".repeat(Math.min(depth, 40)));
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      put("", token);
      if (next !== "}" && next !== "]") line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (!["{", "["].includes(tokens[index - 1])) line();
      put("", token);
    } else if (token === ",") {
      put("", token);
      line();
    } else if (token === ":") {
      put("", ": ");
    } else {
      put(next === ":" ? "key" : token.startsWith('"') ? "text" : "value", token);
    }
  });
  return parts;
}

// Bytes as `hexdump -C` shows them: where, what, and what that is in ASCII.
function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(5, "0")}  ${digits.padEnd(47)}  ${ascii}`);
  }
  return lines.join("\n");
}

const bytesOf = ({ text, hex }) =>
  hex === undefined ? new TextEncoder().encode(text) : Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));

// A text that somebody sent, with the ways to look at it. `sent` has `text`, or `hex` for what is no text.
function textBlock(title, sent) {
  const block = make("pre", "");
  block.tabIndex = 0;
  block.setAttribute("aria-label", title);
  const parts = sent.text === undefined ? null : layOut(sent.text);
  const views = {
    Formatted: parts && (() => parts.map(([kind, text]) => (kind ? make("span", kind, text) : text))),
    "As sent": sent.text !== undefined && (() => [sent.text]),
    Hex: () => [dump(bytesOf(sent))],
  };
  const bar = make("div", "ways", make("span", "note", title));
  const look = (name) => {
    block.replaceChildren(...views[name]());
    for (const button of bar.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", button.textContent === name);
  };
  const names = Object.keys(views).filter((name) => views[name]);
  for (const name of names) {
    const button = makeButton("", name, () => look(name));
    button.setAttribute("aria-pressed", "false");
    bar.append(button);
  }
  bar.append(makeButton("", "Copy", (event) => copy(block, event.currentTarget)));
  look(names[0]);
  return make("div", "sent", bar, block);
}

// Puts what the block shows on the clipboard; where that is not allowed, selects it.
async function copy(block, button) {
  try {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}
