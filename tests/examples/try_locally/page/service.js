// The connection to the service: what happens comes in, commands go out, and the page says how it is.
"use strict";

const RETRY = 1500; // milliseconds between two tries to reach a service that is gone
const HEARTBEATS = 8000; // milliseconds in which a service that is well is heard: it says something every 3 s
const ANSWER = 10_000; // milliseconds until an answer begins
const GONE = "the service is gone";
const WRONG_TOKEN = "the token is wrong: open the address that the terminal shows";

let [run, lastId, stopListening] = [null, "", null];

const token = () => location.hash.slice(1);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function say(status, words) {
  byId("status").dataset.is = status;
  if (byId("status").textContent !== words) byId("status").textContent = words;
}

// Asks the service. Rejects with a sentence that says why.
async function request(path, { limit = ANSWER, stop = new AbortController(), ...options } = {}) {
  let isLate = false;
  const watch = setTimeout(() => {
    isLate = true;
    stop.abort();
  }, limit);
  let response;
  try {
    response = await fetch(path, { ...options, signal: stop.signal, headers: { "X-Token": token() } });
  } catch {
    throw new Error(isLate ? noAnswer(limit) : GONE);
  } finally {
    clearTimeout(watch);
  }
  if (response.status === 401) throw new Error(WRONG_TOKEN);
  if (!response.ok) throw new Error(await response.text());
  return response;
}

// A service that is heard all the while may not have been asked.
function noAnswer(limit) {
  const words = `the service did not answer within ${duration(limit)}`;
  const isHeard = byId("status").dataset.is === "live";
  return isHeard ? `${words}, but it is there: a browser holds requests back while the page is open in too many windows` : words;
}

// Listens for ever. A tab that nobody sees gives its connection back: a browser has six for a host.
async function keepListening() {
  document.addEventListener("visibilitychange", () => document.hidden && stopListening?.abort());
  for (;;) {
    if (document.hidden) {
      say("paused", "paused while it is hidden");
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      continue;
    }
    stopListening = new AbortController();
    try {
      await listen(stopListening);
    } catch (error) {
      if (stopListening.signal.aborted) continue; // by us
      const isRefused = error.message === WRONG_TOKEN;
      say(isRefused ? "refused" : "gone", isRefused ? WRONG_TOKEN : `${GONE}; waiting for it …`);
    }
    await pause(RETRY);
  }
}

// Reads lines of JSON until the service, or somebody here, ends it.
async function listen(stop) {
  const hangs = () => say("hung", "the service does not answer");
  let watch = setTimeout(hangs, HEARTBEATS);
  try {
    const response = await request(`events?last=${lastId}`, { stop, limit: 2 ** 31 - 1 });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error(GONE);
      clearTimeout(watch);
      watch = setTimeout(hangs, HEARTBEATS);
      const lines = (text + value).split("\n");
      text = lines.pop();
      for (const line of lines) hear(JSON.parse(line));
      if (run !== null) say("live", "live");
    }
  } finally {
    clearTimeout(watch);
  }
}

function hear({ hello, id, moments, armed }) {
  if (hello) greet(hello);
  if (!id) return; // it only shows that it is there
  lastId = id;
  take(moments);
  showArmed(armed);
}

function greet(facts) {
  byId("place").textContent = `${facts.thing} at ${facts.endpoint}`;
  if (facts.goesOn) return;
  const isNew = run !== null && facts.run !== run;
  // Nothing is left of an earlier run but its rows; what this run tells again, it tells from the beginning.
  if (!isNew) chart.forget();
  run = facts.run;
  startRun(facts.before);
  if (isNew) chart.add([{ at: Date.now(), kind: "policy", label: "the service was started anew", policy: facts.before.policy }]);
  if (!byId("first-faults").childElementCount) offer(facts);
}

// What a run begins with: nothing, or what the moments that were let go came to.
function startRun(before) {
  jobs.clear();
  for (const [id, execution] of Object.entries(before.jobs)) jobs.set(id, execution);
  chart.begin(before);
  chart.filter();
  showPolicy(before.policy);
  showJobs();
}

function take(moments) {
  if (moments.length === 0) return;
  chart.add(moments);
  for (const moment of chart.moments.slice(-moments.length)) {
    if (moment.kind === "state") changed(moment);
    if (moment.policy) showPolicy(moment.policy);
  }
  if (moments.some((moment) => moment?.kind === "state")) showJobs();
}

// Does what a line says, as if it had been typed. Returns whether it was done.
async function command(line) {
  let reply;
  try {
    reply = await (await request("command", { method: "POST", body: line })).json();
  } catch (error) {
    reply = { answer: error.message, failed: true };
  }
  showAnswer(`> ${line}`, reply);
  return !reply.failed;
}

function showAnswer(what, { answer, failed }) {
  const answers = byId("answers");
  answers.append("\n", make("b", "", what), "\n", make("span", failed ? "no" : "", answer));
  while (answers.childNodes.length > 300) answers.firstChild.remove();
  answers.scrollTop = answers.scrollHeight;
  byId("refusal").textContent = failed ? answer : "";
}

// Saves what happened as a page of its own; if that can't be had, says why.
async function save() {
  byId("save").textContent = "Saving …";
  try {
    const response = await request("recording");
    const file = await response.blob().catch(() => Promise.reject(new Error(GONE)));
    const link = make("a", "");
    link.href = URL.createObjectURL(file);
    link.download = "jobs-mqtt5.html";
    link.click();
    URL.revokeObjectURL(link.href);
    showAnswer("Save as a file", { answer: "saved as jobs-mqtt5.html", failed: false });
  } catch (error) {
    showAnswer("Save as a file", { answer: `nothing is saved: ${error.message}`, failed: true });
  } finally {
    byId("save").textContent = "Save as a file";
  }
}
