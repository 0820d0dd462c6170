// The sequence chart: keeps every moment, draws those that are in sight, shows the details of one.
// A moment is what `chart/moment.rs` makes of an entry of the service's journal.
"use strict";

const byId = (id) => document.getElementById(id);

// An element with classes and children. Text is always text: nothing that came over the network is HTML.
function make(name, classes, ...children) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const clock = (at) => new Date(at).toISOString().slice(11, 23);
const hex = (code) => "0x" + code.toString(16).padStart(2, "0");

const chart = {
  moments: [],
  seen: [], // the places of the moments that the filters let through
  picked: null, // the place of the moment whose details are shown
  focus: null, // the place of the row that the Tab key leads to
  follows: true, // whether the newest is kept in sight
  drawn: new Map(), // place of a moment -> its <li>
  policies: [],
  open: [], // connections that are open after the last moment
  unacked: new Map(), // "connection packet-id direction" -> place of the message
  requests: new Map(), // client token -> place of the request
  spoke: new Map(), // connection -> whether its last words were DISCONNECT
  rowHeight: 34,
  isDrawing: false,
};

// Takes what has happened since.
chart.add = function (moments) {
  for (const moment of moments) {
    const place = this.moments.push(moment) - 1;
    this.link(moment, place);
    if (this.lets(moment)) this.seen.push(place);
  }
  this.draw();
};

// Sees what belongs together: a message and its acknowledgement, a request and its reply.
chart.link = function (moment, place) {
  const { kind, connection, way, label } = moment;
  const isUp = way && way[0] === "device";
  if (kind === "open") this.open = [...this.open, connection];
  moment.open = this.open; // shared by all moments until it changes
  if (kind === "close") {
    this.open = this.open.filter((one) => one !== connection);
    moment.bad = !this.spoke.get(connection);
  }
  if (label === "DISCONNECT") this.spoke.set(connection, true);
  if (moment.policy) this.policies.push(moment.policy);
  moment.inForce = this.policies.length - 1;
  if (kind === "ack") {
    const key = `${connection} ${moment.packet_id} ${!isUp}`;
    const message = this.moments[this.unacked.get(key)];
    if (message) message.ack = moment;
    this.unacked.delete(key);
  }
  if (label === "PUBLISH" && moment.packet_id) this.unacked.set(`${connection} ${moment.packet_id} ${isUp}`, place);
  const token = moment.payload?.text && /"clientToken"\s*:\s*"([^"]+)"/.exec(moment.payload.text)?.[1];
  if (!token || !moment.topic.includes("jobs/")) return;
  if (isUp) {
    this.requests.set(token, place);
  } else if (this.requests.has(token)) {
    moment.partner = this.requests.get(token);
    this.moments[moment.partner].partner ??= place;
  }
};

// Do the filters let it through?
chart.lets = function (moment) {
  if (moment.kind === "ack") return byId("show-acks").checked || moment.bad;
  if (moment.kind === "ping") return byId("show-pings").checked;
  const job = byId("only-job").value;
  return !job || moment.job_id === job || (moment.kind === "command" && moment.about?.split(" ")[0] === job);
};

chart.filter = function () {
  this.seen = [];
  this.moments.forEach((moment, place) => this.lets(moment) && this.seen.push(place));
  this.clear();
  this.draw();
};

chart.clear = function () {
  this.drawn.forEach((item) => item.remove());
  this.drawn.clear();
};

// Draws in the next frame, once however often it is asked to.
chart.draw = function () {
  if (this.isDrawing) return;
  this.isDrawing = true;
  requestAnimationFrame(() => {
    this.isDrawing = false;
    this.drawNow();
  });
};

// Draws the rows in sight and a few more. Ten thousand others take no elements.
chart.drawNow = function () {
  const [box, rows] = [byId("chart"), byId("rows")];
  byId("empty").hidden = this.seen.length > 0;
  rows.style.height = `${this.seen.length * this.rowHeight}px`;
  if (this.follows) box.scrollTop = box.scrollHeight;
  const first = Math.max(0, Math.floor(box.scrollTop / this.rowHeight) - 8);
  const last = Math.min(this.seen.length, Math.ceil((box.scrollTop + box.clientHeight) / this.rowHeight) + 8);
  const wanted = new Set(this.seen.slice(first, last));
  for (const [place, item] of this.drawn) {
    if (wanted.has(place) || item.contains(document.activeElement)) continue;
    item.remove();
    this.drawn.delete(place);
  }
  const reachable = wanted.has(this.focus) ? this.focus : this.seen[last - 1];
  for (let index = first; index < last; index++) {
    const place = this.seen[index];
    const moment = this.moments[place];
    let item = this.drawn.get(place);
    if (!item || item.ack !== moment.ack) {
      const fresh = this.row(moment, place);
      if (item) fresh.firstChild.classList.remove("new");
      if (item?.contains(document.activeElement)) queueMicrotask(() => fresh.firstChild.focus());
      item?.remove();
      this.drawn.set(place, (item = fresh));
      this.insert(rows, item, place);
    }
    item.style.transform = `translateY(${index * this.rowHeight}px)`;
    item.setAttribute("aria-posinset", index + 1);
    item.setAttribute("aria-setsize", this.seen.length);
    item.firstChild.setAttribute("aria-pressed", place === this.picked);
    item.firstChild.tabIndex = place === reachable ? 0 : -1;
  }
  byId("newest").hidden = this.follows || this.seen.length === 0;
  const hidden = this.moments.length - this.seen.length;
  byId("connected").textContent = this.open.length ? `connection ${this.open.join(", ")}` : "not connected";
  byId("count").textContent = `${this.seen.length} shown` + (hidden ? `, ${hidden} hidden` : "");
};

// Keeps the elements in the order of the rows: that is the order in which they are read out.
chart.insert = function (rows, item, place) {
  item.dataset.place = place;
  let before = rows.lastElementChild;
  while (before && Number(before.dataset.place) > place) before = before.previousElementSibling;
  if (before) before.after(item);
  else rows.prepend(item);
};

chart.row = function (moment, place) {
  const { kind, way, label, topic, about } = moment;
  const row = make("button", `row ${kind}`);
  row.type = "button";
  if (moment.bad) row.classList.add("bad");
  if (kind === "ack" || kind === "ping") row.classList.add("quiet");
  if (Date.now() - moment.at < 1500) row.classList.add("new");
  row.setAttribute("aria-label", this.sentence(moment));
  row.append(make("span", "time", clock(moment.at)));
  moment.open.forEach((connection, index) => {
    const edge = connection !== moment.connection ? "" : kind === "open" ? " begins" : kind === "close" ? " ends" : "";
    for (const lane of ["device", "service"]) row.append(make("i", `bar ${lane} c${connection % 4} s${index % 3}${edge}`));
  });
  if (way) {
    row.append(make("i", `arrow ${way.join("-")}`));
    const words = make("span", `words ${way.includes("cloud") ? "right" : "between"}${topic ? " topical" : ""}`);
    words.append(make("b", "", label));
    if (topic) words.append(make("code", "", topic));
    if (about) words.append(make("em", "", about));
    const facts = [moment.qos === undefined ? "" : `QoS ${moment.qos}`, moment.packet_id ? `#${moment.packet_id}` : "", moment.dup ? "DUP" : "", moment.retain ? "RETAIN" : ""];
    words.append(make("small", "", facts.filter(Boolean).join(" ")));
    if (label === "PUBLISH" && moment.packet_id) words.append(this.tick(moment.ack));
    row.append(words);
  } else if (kind === "open" || kind === "close") {
    const how = kind === "close" && moment.bad ? ", without a word" : "";
    row.append(make("span", "divide", kind === "open" ? `connection ${moment.connection}` : `connection ${moment.connection} is closed${how}`));
  } else {
    const text = kind === "state" ? `${label}  ${about}` : kind === "fault" ? `\u26a1 ${about}` : about ? `${label}: ${about}` : label;
    const state = kind === "state" ? /[A-Z_]+(?=$|,)/.exec(about)?.[0] ?? "" : "";
    row.append(make("span", `pill ${state}${text.length > 42 ? " wide" : ""}`, text));
  }
  row.addEventListener("click", () => this.pick(place));
  const item = make("li", "", row);
  item.ack = moment.ack;
  return item;
};

chart.tick = function (ack) {
  if (!ack) return make("span", "tick open", "\u2026");
  return ack.bad ? make("span", "tick no", hex(ack.code)) : make("span", "tick", "\u2713");
};

// The row in words, for who can't see it.
chart.sentence = function (moment) {
  const { way, label, topic, about, ack } = moment;
  const parts = [clock(moment.at), way ? `${way[0]} to ${way[1]}` : "", `${label} ${topic ?? ""}`.trim(), about];
  if (moment.qos !== undefined) parts.push(`QoS ${moment.qos}`);
  if (moment.packet_id) parts.push(`packet ${moment.packet_id}`);
  if (moment.dup) parts.push("a duplicate");
  if (ack) parts.push(ack.bad ? `refused with ${hex(ack.code)}` : "acknowledged");
  if (moment.connection) parts.push(`connection ${moment.connection}`);
  return parts.filter(Boolean).join(", ");
};

// Shows the details of a moment, and brings its row into sight.
chart.pick = function (place) {
  this.picked = this.focus = place;
  const moment = this.moments[place];
  byId("detail-name").textContent = [moment.label, moment.topic, moment.about].filter(Boolean).join(" ");
  byId("detail-body").replaceChildren(...this.details(moment));
  const partner = byId("partner");
  partner.hidden = moment.partner === undefined;
  partner.textContent = moment.way?.[0] === "device" ? "To the reply" : "To the request";
  partner.onclick = () => this.pick(moment.partner);
  byId("detail").hidden = false;
  this.reveal(this.seen.indexOf(place));
  this.draw();
};

chart.close = function () {
  const row = this.drawn.get(this.picked)?.firstChild;
  this.picked = null;
  byId("detail").hidden = true;
  this.draw();
  row?.focus();
};

chart.details = function (moment) {
  const facts = make("dl", "");
  const fact = (name, value) => value && facts.append(make("dt", "", name), make("dd", "", value));
  fact("Time (UTC)", clock(moment.at));
  fact("Connection", moment.connection ? String(moment.connection) : "");
  if (moment.qos !== undefined) fact("QoS", moment.qos === 0 ? "0, at most once" : "1, at least once");
  fact("Packet ID", moment.packet_id && String(moment.packet_id) + (moment.dup ? ", sent again (DUP)" : ""));
  if (moment.retain) fact("Retained", "kept for those who subscribe later");
  fact("Properties", moment.properties?.replace(/^ \[|\]$/g, ""));
  if (moment.ack) fact("Acknowledged", `${hex(moment.ack.code)}, after ${moment.ack.at - moment.at} ms`);
  if (moment.partner !== undefined) fact("Answer", `${Math.abs(this.moments[moment.partner].at - moment.at)} ms between request and reply`);
  const parts = [facts];
  const { payload, execution } = moment;
  if (payload) parts.push(make("p", "note", `Payload, ${payload.size} bytes`), this.json(payload.text ?? "(left out)"));
  if (execution?.document) parts.push(make("p", "note", "Job document"), this.json(execution.document));
  if (execution && Object.keys(execution.details).length) parts.push(make("p", "note", "Status details"), this.json(JSON.stringify(execution.details)));
  if (moment.policy) parts.push(this.json(JSON.stringify(moment.policy)));
  for (const check of moment.checks ?? []) {
    const statements = [this.policies[moment.inForce]?.Statement ?? []].flat();
    const statement = statements[check.statement];
    const by = statement ? `statement ${check.statement + 1}${statement.Sid ? ` (${statement.Sid})` : ""} of the policy` : "the policy: no statement is about it";
    parts.push(make("p", `verdict${check.allowed ? "" : " no"}`, `${check.allowed ? "Allowed" : "Denied"} by ${by}`));
    parts.push(make("p", "note", `${check.action} on ${check.resource}`));
    if (statement) parts.push(this.json(JSON.stringify(statement)));
  }
  return parts;
};

// JSON in colors, on lines of its own; anything else as it is.
chart.json = function (text) {
  const block = make("pre", "");
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    block.append(text);
    return block;
  }
  const parts = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)/g;
  let end = 0;
  for (const found of shown.matchAll(parts)) {
    block.append(shown.slice(end, found.index), make("span", found[2] ? "key" : found[1] ? "text" : "value", found[1] ?? found[3]), found[2] ?? "");
    end = found.index + found[0].length;
  }
  block.append(shown.slice(end));
  return block;
};

// Scrolls so far that the row at this index of `seen` is in sight.
chart.reveal = function (index) {
  if (index < 0) return;
  const box = byId("chart");
  const top = index * this.rowHeight;
  const height = box.clientHeight - byId("rows").offsetTop; // the head of the lanes stays in sight
  this.follows = this.follows && index === this.seen.length - 1;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + this.rowHeight > box.scrollTop + height) box.scrollTop = top + this.rowHeight - height;
};

// The keyboard in the chart: arrows, Page Up and Down, Home, End; Enter shows, Escape closes.
chart.onKey = function (event) {
  const here = Number(event.target.closest("li")?.dataset.place ?? NaN);
  const page = Math.max(1, Math.floor(byId("chart").clientHeight / this.rowHeight) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (Number.isNaN(here) || !(event.key in steps)) return;
  event.preventDefault();
  const last = this.seen.length - 1;
  const index = Math.max(0, Math.min(last, this.seen.indexOf(here) + steps[event.key]));
  this.focus = this.seen[index];
  this.follows = index === last && event.key === "End";
  this.reveal(index);
  this.drawNow();
  this.drawn.get(this.focus)?.firstChild.focus({ preventScroll: true });
};

chart.begin = function () {
  const box = byId("chart");
  box.addEventListener("scroll", () => {
    this.follows = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
    this.draw();
  });
  box.addEventListener("keydown", (event) => this.onKey(event));
  new ResizeObserver(() => this.draw()).observe(box);
  byId("newest").addEventListener("click", () => {
    this.follows = true;
    this.draw();
  });
  byId("close").addEventListener("click", () => this.close());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && this.picked !== null) this.close();
  });
  for (const id of ["show-acks", "show-pings", "only-job"]) byId(id).addEventListener("change", () => this.filter());
};
