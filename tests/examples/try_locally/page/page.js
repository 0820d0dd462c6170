// The rest of the page: the connection to the service, the job executions, and the buttons. Whatever a
// button does, it does by a line that could be typed just as well.
"use strict";

const STATES = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED"];
const MOST_JOBS = 40; // in the table
const RETRY = 1500; // milliseconds between two tries to reach a service that is gone

const jobs = new Map(); // job id -> what its last change said
let [run, lastId, typed, recall] = [null, "", [], 0];

function say(status, words) {
  byId("status").dataset.is = status;
  if (byId("status").textContent !== words) byId("status").textContent = words;
}

// ---- The service

const token = () => location.hash.slice(1);

function listen() {
  const source = new EventSource(`events?token=${token()}&last=${lastId}`);
  source.addEventListener("hello", (event) => hello(JSON.parse(event.data)));
  source.onmessage = (event) => {
    lastId = event.lastEventId;
    const news = JSON.parse(event.data);
    take(news.moments);
    showArmed(news.armed);
  };
  source.onerror = () => {
    source.close(); // some browsers give up by themselves, and never try again
    say("gone", token() ? "the service is gone; waiting for it …" : "open the address that the terminal shows");
    setTimeout(listen, RETRY);
  };
}

function hello(facts) {
  say("live", "live");
  byId("place").textContent = `${facts.thing} at ${facts.endpoint}`;
  if (facts.run === run) return;
  if (run !== null) begin(facts.policy, "the service was started anew");
  else begin(facts.policy, "");
  run = facts.run;
  if (!byId("fault-list").childElementCount) offer(facts);
}

// A run begins: nothing is left of an earlier one but its rows.
function begin(policy, words) {
  jobs.clear();
  chart.open = [];
  chart.unacked.clear();
  chart.spoke.clear();
  showPolicy(policy);
  if (words) chart.add([{ at: Date.now(), connection: 0, kind: "policy", label: words, policy }]);
  else chart.policies.push(policy);
  showJobs();
}

// Does what a line says, as if it had been typed.
async function command(line) {
  let reply;
  try {
    const response = await fetch("command", { method: "POST", headers: { "X-Token": token() }, body: line });
    reply = response.ok ? await response.json() : { answer: await response.text(), failed: true };
  } catch {
    reply = { answer: "the service is gone", failed: true };
  }
  const answers = byId("answers");
  const answer = make("span", reply.failed ? "no" : "", reply.answer);
  answers.append("\n", make("b", "", `> ${line}`), "\n", answer);
  while (answers.childNodes.length > 300) answers.firstChild.remove();
  answers.scrollTop = answers.scrollHeight;
  return !reply.failed;
}

// ---- What happens

function take(moments) {
  for (const moment of moments) {
    if (moment.kind === "state") changed(moment);
    if (moment.policy) showPolicy(moment.policy);
  }
  chart.add(moments);
  if (moments.some((moment) => moment.kind === "state")) showJobs();
}

function changed(moment) {
  const before = jobs.get(moment.job_id)?.status;
  const { status, version, number, document: text, details } = moment.execution;
  jobs.set(moment.job_id, { status, version, number, document: text, details });
  if (Date.now() - moment.at > 3000) return; // it is told, not happening
  light(`.node[data-state="${status}"]`);
  if (before !== status) light(`.edge[data-edge="${before} ${status}"]`);
  byId("news").textContent = `${moment.job_id} is ${status}`;
}

function light(selector) {
  const part = document.querySelector(selector);
  part?.classList.remove("lit");
  part?.getBoundingClientRect(); // so that the animation starts anew
  part?.classList.add("lit");
}

// ---- Jobs

function showJobs() {
  const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const job of jobs.values()) counts[job.status] += 1;
  for (const state of STATES) {
    const node = document.querySelector(`.node[data-state="${state}"]`);
    node.classList.toggle("has", counts[state] > 0);
    node.classList.toggle(state, counts[state] > 0);
    node.querySelector("text").textContent = counts[state] > 0 ? `${state} ${counts[state]}` : state;
  }
  const inStates = STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`);
  byId("states-name").textContent = "The states of a job execution. " + (inStates.join(", ") || "No jobs yet.");
  const all = [...jobs].filter(([, job]) => job.status !== "REMOVED").reverse();
  const shown = all.slice(0, MOST_JOBS);
  const body = byId("jobs").tBodies[0];
  const focused = document.activeElement?.dataset?.line;
  body.replaceChildren(...shown.map(([id, job]) => jobRow(id, job)));
  if (focused) body.querySelector(`[data-line="${CSS.escape(focused)}"]`)?.focus();
  byId("jobs").hidden = shown.length === 0;
  const more = all.length - shown.length;
  byId("jobs-note").textContent = shown.length === 0 ? "No jobs yet." : more ? `and ${more} earlier ones` : "";
  const choice = byId("only-job");
  const chosen = choice.value;
  const options = ["", ...shown.map(([id]) => id)].map((id) => new Option(id || "all", id, false, id === chosen));
  if (chosen && !jobs.has(chosen)) options.push(new Option(chosen, chosen, false, true));
  choice.replaceChildren(...options);
  nameFaults();
}

function jobRow(id, job) {
  const pick = make("button", "id", id);
  pick.type = "button";
  pick.setAttribute("aria-label", `Show only ${id} in the chart`);
  pick.addEventListener("click", () => {
    byId("only-job").value = byId("only-job").value === id ? "" : id;
    chart.filter();
  });
  const details = Object.entries(job.details ?? {}).map(([name, value]) => `${name}: ${value}`);
  const about = [job.number > 1 ? `try ${job.number}` : "", `version ${job.version}`, ...details].filter(Boolean);
  const acts = make("div", "acts");
  const act = (name, line) => acts.append(lineButton(name, line, `${name}: ${id}`));
  if (job.status === "QUEUED") act("Cancel", `cancel-job ${id}`);
  if (job.status === "IN_PROGRESS") act("Cancel by force", `cancel-job ${id} force`);
  if (["QUEUED", "IN_PROGRESS"].includes(job.status)) act("Time out", `time-out ${id}`);
  act("Delete", `delete-job ${id}`);
  const row = make("tr", "", make("td", "", pick, make("div", "more", about.join(", "))));
  row.append(make("td", "", make("span", `state ${job.status}`, job.status)), make("td", "live", acts));
  row.dataset.job = id;
  return row;
}

function lineButton(name, line, label) {
  const button = make("button", "", name);
  button.type = "button";
  button.dataset.line = line;
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", () => command(line));
  return button;
}

// ---- What can be done

function freshId(stem) {
  let number = 1;
  while (jobs.has(`${stem}-${number}`)) number += 1;
  return `${stem}-${number}`;
}

function offer({ ready, faults, operations }) {
  byId("ready").replaceChildren(...ready.map(({ name, id, rest }) => {
    const button = make("button", "", name);
    button.type = "button";
    button.title = rest;
    button.addEventListener("click", () => command(`create-job ${freshId(id)} ${rest}`));
    return button;
  }));
  byId("own-id").value = "mine-1";
  byId("operation").replaceChildren(...operations.map(({ name, what }) => new Option(`${name}: ${what}`, name)));
  byId("operation").value = "update";
  let group = "";
  const lines = faults.flatMap((fault) => {
    const heading = fault.group === group ? [] : [make("p", "group", fault.group)];
    group = fault.group;
    return [...heading, faultLine(fault)];
  });
  byId("fault-list").replaceChildren(...lines);
  byId("operation").addEventListener("change", nameFaults);
  nameFaults();
}

function faultLine(fault) {
  const button = make("button", "");
  button.type = "button";
  button.dataset.example = fault.example;
  if (/ OP\b/.test(fault.name)) button.dataset.takes = "operation";
  if (/ JOB\b/.test(fault.name)) button.dataset.takes = "job";
  button.addEventListener("click", () => {
    const times = Number(byId("times").value) || 1;
    command(`fault ${button.textContent}${times > 1 ? ` x${times}` : ""}`);
  });
  return make("div", "fault-line", button, make("div", "", fault.what + "."), make("span", "", `Watch: ${fault.watch}`));
}

// Puts the chosen request into the names of the faults that take one, and the job of the next click
// on the first button.
function nameFaults() {
  for (const button of byId("fault-list").querySelectorAll("button")) {
    const words = button.dataset.example.split(" ");
    if (button.dataset.takes === "operation") words[1] = byId("operation").value;
    if (button.dataset.takes === "job") words[1] = freshId("greet");
    button.textContent = words.join(" ");
    button.setAttribute("aria-label", `Arm the fault ${button.textContent}`);
  }
}

function showArmed(armed) {
  byId("armed").textContent = armed.length ? `Armed: ${armed.join("; ")}` : "No fault is armed.";
}

function showPolicy(policy) {
  if (policy && document.activeElement !== byId("policy-text")) byId("policy-text").value = JSON.stringify(policy, null, 2);
}

// A document or a policy on one line, as a command needs it. Not JSON? Then the service will say so.
const oneLine = (text) => text.replace(/\s*\n\s*/g, " ").trim();

async function save() {
  const response = await fetch("recording", { headers: { "X-Token": token() } });
  const link = make("a", "");
  link.href = URL.createObjectURL(await response.blob());
  link.download = "jobs-mqtt5.html";
  link.click();
  URL.revokeObjectURL(link.href);
}

// Arrow up and down, as in a terminal.
function onLineKey(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  recall = Math.max(0, Math.min(typed.length, recall + step));
  byId("line").value = typed[recall] ?? "";
}

function onSubmit(id, act) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

function wire() {
  byId("save").addEventListener("click", save);
  byId("cut").addEventListener("click", () => command("cut"));
  byId("clear").addEventListener("click", () => command("clear-faults"));
  byId("policy-product").addEventListener("click", () => command("policy product"));
  byId("policy-sample").addEventListener("click", () => command("policy sample"));
  byId("line").addEventListener("keydown", onLineKey);
  onSubmit("policy", () => command(`policy ${oneLine(byId("policy-text").value)}`));
  onSubmit("own", async () => {
    const minutes = byId("own-minutes").value;
    const timeout = minutes ? `timeout=${minutes} ` : "";
    const done = await command(`create-job ${byId("own-id").value} ${timeout}${oneLine(byId("own-document").value)}`);
    if (done) byId("own-id").value = freshId("mine");
  });
  onSubmit("console", () => {
    const line = byId("line").value.trim();
    if (!line) return;
    typed.push(line);
    recall = typed.length;
    byId("line").value = "";
    command(line);
  });
}

chart.begin();
wire();
const recorded = byId("recorded");
if (recorded) {
  const { thing, policy, moments } = JSON.parse(recorded.textContent);
  document.body.classList.add("recorded");
  say("recorded", "a recording");
  byId("place").textContent = thing;
  begin(policy, "");
  chart.follows = false;
  take(moments);
} else {
  window.addEventListener("hashchange", () => location.reload());
  listen();
}
