// What the cloud can do besides: jobs for a click, faults, another policy.
"use strict";

function offer({ ready, faults, operations }) {
  byId("ready").replaceChildren(...ready.map(({ name, id, rest }) => {
    const button = makeButton("", name, () => command(`create-job ${freshId(id)} ${rest}`));
    button.title = rest;
    return button;
  }));
  byId("own-id").value = "mine-1";
  byId("operation").replaceChildren(...operations.map(({ name, what }) => new Option(`${name}: ${what}`, name)));
  byId("operation").value = "update";
  byId("operation").addEventListener("change", nameFaults);
  const isFirst = (fault) => typeof fault.first === "number";
  const first = faults.filter(isFirst).sort((one, other) => one.first - other.first);
  byId("first-faults").replaceChildren(...first.map(faultLine));
  const groups = [...new Set(faults.map((fault) => fault.group))];
  byId("fault-list").replaceChildren(...groups.map((group) => {
    const lines = faults.filter((fault) => fault.group === group && !isFirst(fault)).map(faultLine);
    return make("details", "", make("summary", "", `${group}: ${lines.length} more`), ...lines);
  }));
  nameFaults();
}

function faultLine(fault) {
  const button = makeButton("", fault.words, () => {
    const times = Number(byId("times").value) || 1;
    command(`fault ${written(fault)}${times > 1 ? ` x${times}` : ""}`);
  });
  button.setAttribute("aria-label", `Arm the fault: ${fault.words}`);
  const name = make("code", "", fault.example);
  name.fault = fault;
  return make("div", "fault-line", button, name, make("span", "", fault.watch));
}

// As it is typed: with the chosen request, and the job of the next click on the first button.
function written({ name, example }) {
  const words = example.split(" ");
  if (/ OP\b/.test(name)) words[1] = byId("operation").value;
  if (/ JOB\b/.test(name)) words[1] = freshId("greet");
  return words.join(" ");
}

function nameFaults() {
  for (const code of document.querySelectorAll(".fault-line code")) code.textContent = written(code.fault);
}

function showArmed(armed) {
  byId("armed").textContent = armed.length ? `Armed: ${armed.join("; ")}` : "No fault is armed.";
}

function showPolicy(policy) {
  if (policy && document.activeElement !== byId("policy-text")) byId("policy-text").value = JSON.stringify(policy, null, 2);
}
