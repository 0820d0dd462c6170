// The details of one moment, and the ways to get from row to row.
"use strict";

// Shows the details of a moment, and brings its row into sight. Who opened them by the keyboard is led there.
chart.pick = function (moment, byKeyboard = false) {
  this.picked = this.focus = moment;
  byId("detail-name").textContent = [moment.label, moment.topic, moment.about, moment.says].filter(Boolean).join(" ");
  byId("detail-body").replaceChildren(...this.details(moment));
  const { partner } = moment;
  byId("partner").hidden = !partner;
  byId("partner").textContent = moment.way?.[0] === "device" ? "To the reply" : "To the request";
  byId("partner").onclick = () => this.pick(partner, true);
  byId("detail").hidden = false;
  if (byKeyboard) byId("detail-name").focus();
  this.reveal(this.seen.indexOf(moment));
  this.draw();
};

chart.close = function () {
  const picked = this.picked;
  this.picked = null;
  byId("detail").hidden = true;
  this.focusNear(picked);
};

// Puts the focus on the row of a moment; if it is filtered out, on one beside it; if no row is left, on Find.
chart.focusNear = function (moment) {
  const rows = this.seen.filter(isRow);
  this.focus = rows.find((row) => row.key >= moment.key) ?? rows.at(-1) ?? null;
  this.drawNow(); // makes the box as high as what it is to scroll
  if (!this.follows) this.reveal(this.seen.indexOf(this.focus));
  this.drawNow();
  const row = byId("rows").querySelector("[tabindex='0']"); // where it is in sight, that is the one
  if (row) row.focus({ preventScroll: true });
  else byId("find").focus();
};

chart.details = function (moment) {
  const facts = make("dl", "");
  const fact = (name, value) => value && facts.append(make("dt", "", name), make("dd", "", value));
  fact("Time", `${utc(moment.at)} UTC`);
  fact("Connection", moment.connection ? String(moment.connection) : "");
  if (moment.qos !== undefined) fact("Delivery guarantee", moment.qos === 0 ? "QoS 0, at most once" : "QoS 1, at least once");
  fact("Packet ID", moment.packet_id && String(moment.packet_id) + (moment.dup ? ", sent again (DUP)" : ""));
  if (moment.retain) fact("Retained", "kept for those who subscribe later");
  fact("Properties", moment.properties.replace(/^ \[|\]$/g, ""));
  if (moment.ack) fact("Acknowledged", `${hex(moment.ack.code)}, after ${duration(moment.ack.at - moment.at)}`);
  if (moment.partner) fact("Between request and reply", duration(Math.abs(moment.partner.at - moment.at)));
  if (moment.worked) fact("Work", `${duration(moment.at - moment.worked.since)} since the start`);
  const parts = [facts];
  const note = (text) => parts.push(make("p", "note", text));
  if (moment.expected) note(`This is as it should be: ${moment.expected}. A job execution that has ended stays as it is.`);
  const { payload, execution } = moment;
  if (payload) parts.push(...this.payload(payload));
  if (execution?.document) parts.push(textBlock("Job document", { text: execution.document }));
  const details = Object.entries(execution?.details ?? {});
  if (details.length) parts.push(textBlock("Status details", { text: JSON.stringify(execution.details) }));
  if (moment.policy) parts.push(textBlock("Policy", { text: JSON.stringify(moment.policy) }));
  for (const check of moment.checks) parts.push(...this.check(check, moment.inForce));
  return parts;
};

chart.payload = function ({ text, hex, size, kept, is_signed: isSigned }) {
  const title = `Payload, ${count(size)} ${size === 1 ? "byte" : "bytes"}`;
  const sent = { text: text ?? undefined, hex: hex ?? undefined };
  if (sent.text === undefined && sent.hex === undefined) return [make("p", "note", `${title} (left out)`)];
  const parts = [textBlock(title, sent)];
  if (kept < size) parts.unshift(make("p", "warning", `Cut: the first ${count(kept)} of ${count(size)} bytes.`));
  if (isSigned) parts.unshift(make("p", "warning", "Not quite as sent: where `?…` stands, the query of a presigned URL is left out."));
  return parts;
};

// What the policy says, and the statement that decides.
chart.check = function ({ action, resource, allowed, statement: index }, policy) {
  const statement = [policy?.Statement ?? []].flat()[index];
  const name = statement ? `statement ${index + 1}${statement.Sid ? ` (${statement.Sid})` : ""} of the policy in force` : "the policy in force: no statement is about it";
  const parts = [make("p", `verdict${allowed ? "" : " no"}`, `${allowed ? "Allowed" : "Denied"} by ${name}`), make("p", "note", `${action} on ${resource}`)];
  if (statement) parts.push(textBlock("Statement", { text: JSON.stringify(statement) }));
  return parts;
};

// Scrolls so far that the row at this index of `seen` is in sight.
chart.reveal = function (index) {
  if (index < 0) return;
  const box = byId("chart");
  const top = index * this.rowHeight;
  const height = box.clientHeight - byId("field").offsetTop; // the head of the lanes stays in sight
  this.follows = this.follows && index === this.seen.length - 1;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + this.rowHeight > box.scrollTop + height) box.scrollTop = top + this.rowHeight - height;
};

// The keyboard in the chart: arrows, Page Up and Down, Home, End; Enter shows, Escape closes.
chart.onKey = function (event) {
  const item = event.target.closest("li");
  const here = this.seen.findIndex((row) => this.drawn.get(row) === item);
  const page = Math.max(1, Math.floor(byId("chart").clientHeight / this.rowHeight) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (!item || here < 0 || !(event.key in steps)) return;
  event.preventDefault();
  const step = steps[event.key];
  const last = this.seen.length - 1;
  let index = Math.max(0, Math.min(last, here + step));
  // What lies between two rows is passed over, upwards and, at the very beginning, downwards.
  while (index > 0 && step < 0 && !isRow(this.seen[index])) index -= 1;
  while (!isRow(this.seen[index])) index += 1;
  this.focus = this.seen[index];
  this.follows = index === last && event.key === "End";
  this.reveal(index);
  this.drawNow();
  this.drawn.get(this.focus)?.firstChild.focus({ preventScroll: true });
};

// The newest stays in sight until the reader scrolls away from it. That the box changes its size is not scrolling.
chart.onScroll = function () {
  const box = byId("chart");
  const isResized = box.clientHeight !== this.height;
  const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
  if (!isResized) this.follows = isAtEnd;
  this.draw();
};

chart.wire = function () {
  const box = byId("chart");
  box.addEventListener("scroll", () => this.onScroll());
  box.addEventListener("keydown", (event) => this.onKey(event));
  new ResizeObserver(() => {
    this.height = box.clientHeight;
    this.drawNow();
  }).observe(box);
  byId("newest").addEventListener("click", () => {
    this.follows = true;
    this.draw();
  });
  byId("close").addEventListener("click", () => this.close());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && this.picked !== null) this.close();
  });
  const onFilter = (id, event, set) => byId(id).addEventListener(event, () => {
    set(byId(id));
    this.filter();
  });
  onFilter("show-acks", "change", ({ checked }) => (this.filters.acks = checked));
  onFilter("show-pings", "change", ({ checked }) => (this.filters.pings = checked));
  onFilter("only-job", "change", ({ value }) => (this.filters.job = value));
  onFilter("find", "input", ({ value }) => (this.filters.text = value.trim().toLowerCase()));
  onFilter("time", "change", () => {});
  setInterval(() => this.work.length && this.draw(), 500);
};
