// The sequence chart's memory: every moment, what belongs together, and which rows the filters let through.
// A moment is what `chart/moment.rs` makes of an entry of the service's journal.
"use strict";

const MOST_MOMENTS = 60_000; // then the oldest are let go
const MOST_TEXT = 64 * 1024 * 1024; // characters in all of them: then as well
const QUIET = 1000; // milliseconds without a row that get one of their own
const ENDED = ["SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED"];
const ABOUT_A_JOB = ["create-job", "cancel-job", "delete-job", "time-out"];

const chart = {
  moments: [],
  gone: 0, // how many were let go before the first of them
  weight: 0, // of all moments
  added: 0,
  seen: [], // the rows that the filters let through, and those that say that it was quiet
  picked: null, // the moment whose details are shown
  focus: null, // the row that the Tab key leads to
  follows: true, // whether the newest is kept in sight
  drawn: new Map(), // row -> its <li>
  filters: { acks: false, pings: false, job: "", text: "" },
  rowHeight: 34,
};

// Nothing has happened yet, but what came before.
chart.begin = function ({ gone = 0, policy = null, open = [] } = {}) {
  this.policy = policy; // in force after the last moment
  this.open = open; // the connections that are open
  this.work = []; // what the device works on: { job, since, progress }
  this.unacked = new Map(); // "connection packet-id direction" -> the message
  this.requests = new Map(); // token -> the request
  this.spoke = new Set(); // connections whose last words were DISCONNECT
  this.changed = null; // the job that changed last
  this.gone += gone;
};

// Forgets all rows.
chart.forget = function () {
  [this.moments, this.seen, this.gone, this.weight, this.picked, this.focus] = [[], [], 0, 0, null, null];
  byId("detail").hidden = true;
  this.clear();
};

// Takes what has happened since. A moment that can't be shown is one row that says so.
chart.add = function (moments) {
  let isStale = false;
  for (let moment of moments) {
    const [wasOpen, wasWork] = [this.open, this.work];
    try {
      moment = sound(moment);
      isStale = this.link(moment) || isStale;
    } catch (error) {
      const at = Math.abs(moment?.at) < 8e15 ? Number(moment.at) : Date.now();
      moment = sound({ at, kind: "trouble", bad: true, label: "can't be shown", about: error.message });
      Object.assign(moment, { jobs: [], open: this.open, work: this.work, inForce: this.policy });
    }
    Object.assign(moment, { wasOpen, wasWork, key: this.added++ });
    this.moments.push(moment);
    this.weight += moment.weight;
    if (this.lets(moment)) this.show(moment);
  }
  if (this.letGo()) isStale = true;
  if (isStale) this.filter();
  this.draw();
};

// Keeps memory in bounds. Returns whether rows were let go: a sixth at once, because all others are filtered anew.
chart.letGo = function () {
  let excess = 0;
  const isOver = (share) => this.moments.length - excess > share * MOST_MOMENTS || this.weight > share * MOST_TEXT;
  if (isOver(1)) {
    while (isOver(5 / 6)) this.weight -= this.moments[excess++].weight;
  }
  this.moments.splice(0, excess);
  this.gone += excess;
  for (const map of [this.requests, this.unacked]) {
    for (const [key, { key: place }] of map) {
      if (map.size <= 5000 && place >= this.moments[0].key) break;
      map.delete(key);
    }
  }
  return excess > 0;
};

// The moment, with all that the rest relies on. Throws if it is none.
function sound(moment) {
  const check = (fits, what) => {
    if (!fits) throw new TypeError(`${what} is not as it should be`);
  };
  check(moment && typeof moment === "object", "it");
  for (const name of ["label", "topic", "about", "says", "properties"]) {
    moment[name] ??= "";
    check(typeof moment[name] === "string", name);
  }
  check(Number.isFinite(moment.at) && Math.abs(moment.at) < 8e15, "at");
  check(["open", "close", "message", "ack", "ping", "command", "state", "fault", "trouble", "policy"].includes(moment.kind), "kind");
  for (const name of ["job_id", "expected"]) check(["string", "undefined"].includes(typeof moment[name]), name);
  const lanes = ["device", "service", "cloud"];
  check(!moment.way || (Array.isArray(moment.way) && lanes.includes(moment.way[0]) && lanes.includes(moment.way[1])), "way");
  for (const name of ["connection", "code", "packet_id", "qos", "token"]) check(["number", "undefined"].includes(typeof moment[name]), name);
  moment.checks ??= [];
  check(moment.checks.every(({ action, resource }) => typeof action === "string" && typeof resource === "string"), "checks");
  const { payload, execution } = moment;
  check(!payload || [payload.text ?? "", payload.hex ?? ""].every((text) => typeof text === "string"), "payload");
  check(!execution || (typeof execution.status === "string" && typeof (execution.document ?? "") === "string"), "execution");
  moment.connection ??= 0;
  moment.weight = weigh(moment);
  return moment;
}

// How long all texts in it are: nearly all the memory that it takes.
function weigh(value) {
  if (typeof value === "string") return value.length;
  return Object.values(value ?? {}).reduce((sum, part) => sum + weigh(part), 0);
}

// Sees what belongs together. Returns whether that lets an earlier row through the filters.
chart.link = function (moment) {
  const { kind, connection, way, label, topic } = moment;
  const isUp = way?.[0] === "device";
  moment.jobs = moment.job_id ? [moment.job_id] : [];
  if (kind === "command" && ABOUT_A_JOB.includes(label)) moment.jobs = [moment.about.split(/\s/)[0]];
  if (kind === "open") this.open = [...this.open, connection];
  moment.open = this.open; // shared by all moments until it changes
  if (kind === "close") {
    this.open = this.open.filter((one) => one !== connection);
    moment.bad = !this.spoke.delete(connection);
  }
  if (label === "DISCONNECT") this.spoke.add(connection);
  if (moment.policy) this.policy = moment.policy;
  moment.inForce = this.policy;
  if (kind === "state") this.changed = moment.job_id;
  // What a change leads to: the event that tells the device.
  const isEvent = !isUp && (topic === "jobs/notify-next" || topic === "jobs/notify");
  if (isEvent && this.changed && !moment.jobs.includes(this.changed)) moment.jobs.push(this.changed);
  if (kind === "ack") {
    const key = `${connection} ${moment.packet_id} ${!isUp}`;
    moment.of = this.unacked.get(key);
    if (moment.of) moment.of.ack = moment;
    this.unacked.delete(key);
  }
  if (label === "PUBLISH" && moment.packet_id) this.unacked.set(`${connection} ${moment.packet_id} ${isUp}`, moment);
  this.followWork(moment, isUp);
  return this.linkReply(moment, isUp);
};

// A request and its reply: one client token, for which a number stands where the payload is left out, too.
chart.linkReply = function (moment, isUp) {
  const { token } = moment;
  if (token === undefined) return false;
  if (isUp) {
    this.requests.set(token, moment);
    return false;
  }
  const request = this.requests.get(token);
  if (!request) return false;
  moment.partner = request;
  request.partner ??= moment;
  moment.took = moment.at - request.at;
  const fresh = moment.jobs.filter((job) => !request.jobs.includes(job));
  request.jobs.push(...fresh);
  moment.jobs.push(...request.jobs.filter((job) => !moment.jobs.includes(job)));
  return fresh.includes(this.filters.job);
};

// The device at work on a job: from its start, or the first report, to the last; or until it says that it goes.
chart.followWork = function (moment, isUp) {
  const job = moment.job_id;
  const isStart = !isUp && moment.topic === "jobs/start-next/accepted";
  const isReport = isUp && job && moment.topic === `jobs/${job}/update`;
  const [status, share] = isReport ? moment.says.split(", ") : [];
  if (isStart) this.work = [];
  if (isStart ? job : status === "IN_PROGRESS") {
    const before = this.work.find((one) => one.job === job) ?? { job, since: moment.at, progress: 0 };
    this.work = [...this.work.filter((one) => one !== before), { ...before, progress: parseFloat(share) || before.progress }];
    if (before.since === moment.at) moment.begins = job;
  }
  moment.work = this.work; // shared, as `open` is
  if (isReport && ENDED.includes(status)) {
    moment.worked = this.work.find((one) => one.job === job);
    this.work = this.work.filter((one) => one.job !== job);
  }
  if (isUp && moment.label === "DISCONNECT") [moment.worked, this.work] = [this.work[0], []];
  if (moment.kind === "state" && moment.execution?.status === "REMOVED") this.work = this.work.filter((one) => one.job !== job);
};

// Do the filters let it through?
chart.lets = function (moment) {
  const { acks, pings, job, text } = this.filters;
  if (moment.kind === "ack") return (acks || moment.bad === true) && (!moment.of || this.lets(moment.of));
  if (moment.kind === "ping" && !pings) return false;
  if (job && !moment.jobs.includes(job)) return false;
  return !text || `${this.sentence(moment)} ${moment.payload?.text ?? ""}`.toLowerCase().includes(text);
};

// Puts it behind the rows that are there, and between them how long it was quiet.
chart.show = function (moment) {
  const last = this.seen.at(-1);
  if (last && moment.at - last.at >= QUIET) {
    this.seen.push({ kind: "quiet", key: moment.key - 0.5, at: moment.at, quiet: moment.at - last.at, open: moment.wasOpen, work: moment.wasWork });
  }
  moment.since = last ? moment.at - last.at : 0;
  if (last?.kind === "gone") moment.since = 0;
  this.seen.push(moment);
};

chart.filter = function () {
  const letGo = { kind: "gone", key: -1, at: Infinity, open: [], work: [] };
  this.seen = this.gone > 0 ? [letGo] : [];
  for (const moment of this.moments) if (this.lets(moment)) this.show(moment);
  this.clear();
  this.draw();
};
