// The job executions: a diagram of their states, and a table.
"use strict";

const STATES = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED"];
const MOST_JOBS = 40; // in the table

const jobs = new Map(); // job id -> what its last change said

function changed(moment) {
  const before = jobs.get(moment.job_id)?.status;
  const { execution } = moment;
  if (!STATES.includes(execution?.status)) return;
  jobs.delete(moment.job_id); // the last that changed comes last
  jobs.set(moment.job_id, execution);
  if (Date.now() - moment.at > 3000) return; // it is told, not happening
  light(`.node[data-state="${execution.status}"]`);
  if (before !== execution.status) light(`.edge[data-edge="${before} ${execution.status}"]`);
  byId("news").textContent = `${moment.job_id} is ${execution.status}`;
}

function light(selector) {
  const part = document.querySelector(selector);
  part?.classList.remove("lit");
  part?.getBoundingClientRect(); // so that the animation starts anew
  part?.classList.add("lit");
}

function showJobs() {
  showStates();
  const [unfinished, finished] = inOrder();
  const shown = [...unfinished, ...finished].slice(0, MOST_JOBS);
  const giveFocusBack = keepFocus();
  byId("jobs").tBodies[0].replaceChildren(...shown.map(([id, job]) => jobRow(id, job)));
  byId("jobs").hidden = shown.length === 0;
  giveFocusBack();
  const left = (all) => all.filter((one) => !shown.includes(one)).length;
  byId("jobs-note").textContent = shown.length === 0 ? "No jobs yet." : leftOut(left(unfinished), left(finished));
  const chosen = chart.filters.job;
  const ids = new Set(["", ...[...unfinished, ...shown].map(([id]) => id), chosen]);
  byId("only-job").replaceChildren(...[...ids].map((id) => new Option(id || "all", id, false, id === chosen)));
}

// The jobs that are not finished, about which something can be done: what runs, and what waits, the next in line
// first. And those that are finished, the last first.
function inOrder() {
  const those = (...states) => [...jobs].filter(([, { status }]) => states.includes(status));
  const unfinished = [...those("IN_PROGRESS").reverse(), ...those("QUEUED")];
  const finished = those(...ENDED.filter((state) => state !== "REMOVED")).reverse();
  return [unfinished, finished];
}

// What the table has no room for.
function leftOut(unfinished, finished) {
  const parts = [unfinished && `${count(unfinished)} unfinished`, finished && `${count(finished)} finished`].filter(Boolean);
  return parts.length ? `and ${parts.join(", ")}` : "";
}

function showStates() {
  const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const job of jobs.values()) counts[job.status] += 1;
  for (const state of STATES) {
    const node = document.querySelector(`.node[data-state="${state}"]`);
    node.classList.toggle("has", counts[state] > 0);
    node.classList.toggle(state, counts[state] > 0);
    node.querySelector(".how-many").textContent = counts[state] > 0 ? count(counts[state]) : "";
  }
  const inStates = STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`);
  byId("states-name").textContent = "The states of a job execution. " + (inStates.join(", ") || "No jobs yet.");
}

// Remembers where the focus is in the table. Returns what gives it back: to the same button, to another one of
// the same job, to the row that took its place, or to the heading.
function keepFocus() {
  const focused = document.activeElement;
  const row = focused?.closest("#jobs tbody tr");
  if (!row) return () => {};
  const [index, line, job] = [row.sectionRowIndex, focused.dataset.line, row.dataset.job];
  return () => {
    const rows = [...byId("jobs").tBodies[0].rows];
    const same = rows.find((one) => one.dataset.job === job);
    const buttons = [...(same?.querySelectorAll("button") ?? [])];
    const next = rows[Math.min(index, rows.length - 1)]?.querySelector("button");
    (buttons.find((one) => one.dataset.line === line) ?? buttons[1] ?? buttons[0] ?? next ?? byId("jobs-name")).focus();
  };
}

function jobRow(id, job) {
  const pick = makeButton("id", id, () => {
    byId("only-job").value = chart.filters.job = chart.filters.job === id ? "" : id;
    chart.filter();
  });
  pick.setAttribute("aria-label", `${id}: show only this job in the chart`);
  const details = Object.entries(job.details ?? {}).map(([name, value]) => `${name}: ${value}`);
  const about = [job.number > 1 ? `try ${job.number}` : "", `version ${job.version}`, ...details].filter(Boolean);
  const acts = make("div", "acts");
  const act = (name, line) => acts.append(lineButton(name, line, `${name}: ${id}`));
  if (job.status === "QUEUED") act("Cancel", `cancel-job ${id}`);
  if (job.status === "IN_PROGRESS") act("Force cancel", `cancel-job ${id} force`);
  if (["QUEUED", "IN_PROGRESS"].includes(job.status)) act("Time out", `time-out ${id}`);
  act("Delete", `delete-job ${id}`);
  const row = make("tr", "", make("td", "", pick, make("div", "more", about.join(", "))));
  row.append(make("td", "", make("span", `state ${job.status}`, job.status)), make("td", "live", acts));
  row.dataset.job = id;
  return row;
}

function lineButton(name, line, label) {
  const button = makeButton("", name, () => command(line));
  button.dataset.line = line;
  if (label) button.setAttribute("aria-label", label);
  return button;
}

function freshId(stem) {
  let number = 1;
  while (jobs.has(`${stem}-${number}`)) number += 1;
  return `${stem}-${number}`;
}
