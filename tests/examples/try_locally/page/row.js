// The sequence chart's rows: those in sight, and how each is drawn.
"use strict";

const MOST_BARS = 3; // of open connections, side by side

const isRow = (row) => row.label !== undefined; // and not what lies between two

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
  const isEmpty = !this.seen.some(isRow);
  const isHidden = this.moments.length > 0; // not there because of the filters
  byId("empty").hidden = !isEmpty || isHidden;
  byId("none-fits").hidden = !isEmpty || !isHidden;
  const isWorking = this.drawWorking();
  rows.style.height = `${(this.seen.length + isWorking) * this.rowHeight}px`;
  if (this.follows) box.scrollTop = box.scrollHeight;
  const first = Math.max(0, Math.floor(box.scrollTop / this.rowHeight) - 8);
  const last = Math.min(this.seen.length, Math.ceil((box.scrollTop + box.clientHeight) / this.rowHeight) + 8);
  const wanted = this.seen.slice(first, last);
  const isWanted = new Set(wanted);
  for (const [moment, item] of this.drawn) {
    if (isWanted.has(moment) || item.contains(document.activeElement)) continue;
    item.remove();
    this.drawn.delete(moment);
  }
  const reachable = isWanted.has(this.focus) ? this.focus : wanted.findLast(isRow);
  wanted.forEach((moment, index) => {
    const item = this.item(moment, rows);
    item.style.transform = `translateY(${(first + index) * this.rowHeight}px)`;
    item.setAttribute("aria-posinset", first + index + 1);
    item.setAttribute("aria-setsize", this.seen.length);
    if (!isRow(moment)) return;
    item.firstChild.setAttribute("aria-pressed", moment === this.picked);
    item.firstChild.tabIndex = moment === reachable ? 0 : -1;
  });
  this.drawHead();
};

chart.drawHead = function () {
  byId("newest").hidden = this.follows || this.seen.length === 0;
  const shown = this.seen.filter(isRow).length;
  const hidden = this.moments.length - shown;
  const parts = [`${count(shown)} shown`, hidden && `${count(hidden)} hidden`, this.gone && `${count(this.gone)} let go`];
  byId("count").textContent = parts.filter(Boolean).join(", ");
  const open = this.open.length;
  const names = open > 3 ? `${open} connections` : `connection ${this.open.join(", ")}`;
  byId("connected").textContent = open ? names : "not connected";
  const mode = byId("time").value;
  byId("zone").textContent = { utc: "UTC", local: zone(Date.now()), start: "since start", previous: "since row" }[mode];
};

// The device at work, below the newest row. Returns whether it is.
chart.drawWorking = function () {
  const [working, box] = [this.work[0], byId("working")];
  const isWorking = Boolean(working) && !document.body.classList.contains("recorded");
  box.hidden = !isWorking;
  if (!isWorking) return false;
  const where = this.open.length ? "" : ", if it goes on without a connection";
  const far = working.progress ? `, ${working.progress} %` : "";
  const words = `${working.job}: at work for ${duration(Math.max(0, Date.now() - working.since))}${far}${where}`;
  box.replaceChildren(...this.bars({ open: this.open, work: this.work }), make("span", "note", words));
  box.style.transform = `translateY(${this.seen.length * this.rowHeight}px)`;
  return true;
};

// The element of a row, made if there is none that is up to date.
chart.item = function (moment, rows) {
  const old = this.drawn.get(moment);
  if (old && old.ack === moment.ack && old.partner === moment.partner) return old;
  const item = make("li", "", this.rowOrReason(moment));
  [item.ack, item.partner] = [moment.ack, moment.partner];
  if (old) item.firstChild.classList.remove("new");
  if (old?.contains(document.activeElement)) queueMicrotask(() => item.firstChild.focus());
  old?.remove();
  this.drawn.set(moment, item);
  // In the order of the rows: that is the order in which they are read out.
  item.dataset.key = moment.key;
  let before = rows.lastElementChild;
  while (before && Number(before.dataset.key) > moment.key) before = before.previousElementSibling;
  if (before) before.after(item);
  else rows.prepend(item);
  return item;
};

chart.rowOrReason = function (moment) {
  try {
    return isRow(moment) ? this.row(moment) : this.between(moment);
  } catch (error) {
    return makeButton("row trouble", `This row can't be shown: ${error.message}`, () => {});
  }
};

// No row, but what lies between two: quiet, or what was let go.
chart.between = function (row) {
  const words = row.kind === "gone" ? `${count(this.gone)} earlier rows were let go, to keep memory in bounds` : `${duration(row.quiet)} later`;
  return make("div", `row interval ${row.kind}`, ...this.bars(row), make("span", "gap", words));
};

chart.row = function (moment) {
  const { kind, way } = moment;
  const row = makeButton(`row ${kind}`, "", (event) => this.pick(moment, event.detail === 0));
  row.classList.toggle("bad", moment.bad === true);
  row.classList.toggle("quiet", kind === "ack" || kind === "ping");
  row.classList.toggle("new", Date.now() - moment.at < 1500);
  row.classList.toggle("works", moment.work.length > 0);
  row.append(make("span", "time", this.time(moment)), make("span", "unseen", way ? `${way[0]} to ${way[1]}` : ""), ...this.bars(moment));
  if (way) row.append(make("i", `arrow ${way.join("-")}`), this.words(moment));
  else if (kind === "open" || kind === "close") row.append(make("span", "divide", this.connection(moment)));
  else row.append(this.pill(moment));
  return row;
};

chart.time = function (moment) {
  const first = this.moments[0].at;
  switch (byId("time").value) {
    case "local":
      return utc(moment.at + offset(moment.at) * 60_000);
    case "start":
      return `${((moment.at - first) / 1000).toFixed(3)} s`;
    case "previous":
      return `+${(moment.since / 1000).toFixed(3)} s`;
    default:
      return utc(moment.at);
  }
};

// The lifelines: connections that are open, and the device at work.
chart.bars = function (row) {
  const bars = row.work.map((work) => {
    const edge = row.begins === work.job ? " begins" : row.worked?.job === work.job ? " ends" : "";
    const bar = make("i", `work${edge}`);
    bar.style.setProperty("--done", `${work.progress}%`);
    return bar;
  });
  const own = row.open.includes(row.connection) ? [row.connection] : [];
  const shown = new Set([...own, ...row.open.slice(-MOST_BARS)].slice(0, MOST_BARS));
  [...shown].sort((one, other) => one - other).forEach((connection, index) => {
    const is = (kind) => row.kind === kind && connection === row.connection;
    const edge = is("open") ? " begins" : is("close") ? " ends" : "";
    for (const lane of ["device", "service"]) bars.push(make("i", `bar ${lane} c${connection % 4} s${index % 3}${edge}`));
  });
  return bars;
};

// What stands on an arrow.
chart.words = function (moment) {
  const { way, label, topic, about, says, qos, packet_id: packetId } = moment;
  const words = make("span", `words ${way.includes("cloud") ? "right" : "between"}${topic ? " topical" : ""}`, make("b", "", label));
  if (topic) {
    const [stem] = /^jobs\/(?=.)/.exec(topic) ?? [""]; // left out where it is narrow
    words.append(make("code", "", stem && make("span", "stem", stem), topic.slice(stem.length)));
  }
  const more = [about, says, moment.expected && "as it should be"].filter(Boolean).join(", ");
  if (more) words.append(make("em", "", more));
  const facts = moment.expected || moment.bad ? [] : [ // room for the reason; the details have them
    qos === undefined ? "" : `QoS ${qos}`,
    packetId ? `#${packetId}` : "",
    moment.dup ? "DUP" : "",
    moment.retain ? "RETAIN" : "",
    moment.took === undefined ? "" : `+${duration(moment.took)}`,
    moment.worked ? `after ${duration(moment.at - moment.worked.since)} of work` : "",
  ];
  if (facts.some(Boolean)) words.append(make("small", "", facts.filter(Boolean).join(" ")));
  if (label === "PUBLISH" && packetId) words.append(this.tick(moment.ack));
  return words;
};

chart.tick = function (ack) {
  if (!ack) return make("span", "tick open", "\u2026", make("span", "unseen", " not acknowledged"));
  return ack.bad ? make("span", "tick no", hex(ack.code)) : make("span", "tick", "\u2713", make("span", "unseen", " acknowledged"));
};

chart.connection = function ({ kind, connection, bad }) {
  if (kind === "open") return `connection ${connection}`;
  return `connection ${connection} is closed${bad ? " without DISCONNECT" : ""}`;
};

chart.pill = function ({ kind, label, about, says }) {
  const text = kind === "state" ? `${label}  ${[about, says].filter(Boolean).join(", ")}` : kind === "fault" ? `\u26a1 ${about}` : about ? `${label}: ${about}` : label;
  const state = kind === "state" ? /[A-Z_]+(?=$|,)/.exec(about)?.[0] ?? "" : "";
  return make("span", `pill ${state}${text.length > 42 ? " wide" : ""}`, text);
};

// The row in words, for the text filter.
chart.sentence = function (moment) {
  const { kind, way, label, topic, about, says, ack } = moment;
  const what = kind === "close" ? this.connection(moment) : `${label} ${topic}`.trim();
  const parts = [utc(moment.at), way ? `${way[0]} to ${way[1]}` : "", what, about, says, moment.expected && `as it should be: ${moment.expected}`];
  if (moment.qos !== undefined) parts.push(`QoS ${moment.qos}`);
  if (moment.packet_id) parts.push(`packet ${moment.packet_id}`);
  if (moment.dup) parts.push("a duplicate");
  if (moment.took !== undefined) parts.push(`${duration(moment.took)} after the request`);
  if (moment.worked) parts.push(`after ${duration(moment.at - moment.worked.since)} of work`);
  if (ack) parts.push(ack.bad ? `refused with ${hex(ack.code)}` : "acknowledged");
  if (moment.connection && kind !== "close") parts.push(`connection ${moment.connection}`);
  return parts.filter(Boolean).join(", ");
};

// Takes all elements away, so that they are made anew. The focus is not lost with its row.
chart.clear = function () {
  const [focused] = [...this.drawn].find(([, item]) => item.contains(document.activeElement)) ?? [];
  this.drawn.forEach((item) => item.remove());
  this.drawn.clear();
  if (focused) this.focusNear(focused);
};
