// The page's controls. Every button does what it does by a command that can be typed just as well.
"use strict";

let [typed, recall] = [[], 0];

// A document or a policy on one line, as a command needs it. Not JSON? Then the service will say so.
const oneLine = (text) => text.replace(/\s*\n\s*/g, " ").trim();

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
chart.wire();
wire();
const recorded = byId("recorded");
if (recorded) {
  const [{ thing, before }, ...moments] = JSON.parse(recorded.textContent);
  document.body.classList.add("recorded");
  say("recorded", "a recording");
  byId("place").textContent = thing;
  chart.follows = false;
  startRun(before);
  take(moments);
} else {
  window.addEventListener("hashchange", () => location.reload());
  keepListening();
}
