// Random moments for the page's own scripts: a hundred as the service may send them, in any order, and twenty
// that are none. Returns how many rows there are, and what went wrong.
function tryMoments(seed) {
  const next = () => ((seed = (seed * 1103515245 + 12345) % 2147483648), seed / 2147483648);
  const one = (...choices) => choices[Math.floor(next() * choices.length)];
  const text = () => one("", "a", "jobs/", "jobs//update", "jobs/a/update", "jobs/start-next/accepted", "jobs/notify-next", "$aws/things/", "__proto__", "constructor", "\u0000\u202e\ud800", "<img src=x onerror=alert(1)>", "x".repeat(5000), "IN_PROGRESS, 40 %", "SUCCEEDED", "TerminalStateReached", '"\\', " [a=b]");
  const number = () => one(0, 1, 7, 65535, 1e15);
  const json = () => one('{"clientToken": "t"}', '{"a": 1e400, "a": [[], {}]}', "[".repeat(20000), "{", "", "\ufffd", '"\\u0000"', "x", "1".repeat(3000));
  const any = () => one(undefined, null, 7, NaN, "x", [], {}, [[null]], { toString: null }, true);
  const lane = () => one("device", "service", "cloud");
  const payload = () => one({ text: json(), size: number(), kept: number() }, { hex: "00ff", size: 2, kept: 2 }, { text: null, hex: null, size: 3, kept: 3 });
  const policy = () => one({ Statement: [] }, { Statement: { Sid: "one" } }, { Statement: [null, "x"] }, {}, null, "x");
  const moment = () => {
    const kind = one("open", "close", "message", "ack", "ping", "command", "state", "fault", "trouble", "policy");
    const made = { n: number(), at: 1.7e12 + next() * 1e7, connection: number(), kind, label: one("PUBLISH", "DISCONNECT", "create-job", text()), topic: text(), about: text(), says: text(), properties: text() };
    const maybe = (name, make) => next() < 0.5 && (made[name] = make());
    maybe("way", () => [lane(), lane()]);
    maybe("bad", () => one(true, false));
    maybe("qos", () => one(0, 1));
    maybe("packet_id", number);
    maybe("token", number);
    maybe("dup", () => true);
    maybe("retain", () => true);
    maybe("code", () => one(0, 0x87));
    maybe("payload", payload);
    maybe("checks", () => [{ action: "iot:Publish", resource: text(), allowed: one(true, false), statement: one(undefined, 0, 1, 99) }]);
    maybe("job_id", text);
    maybe("execution", () => ({ status: one("QUEUED", "IN_PROGRESS", "REMOVED", "SUCCEEDED", text()), version: 1, number: 1, document: one(json(), null), details: one({}, { [text()]: text() }, null) }));
    maybe("policy", policy);
    return made;
  };
  const sound = Array.from({ length: 100 }, moment);
  const spoil = () => one(null, undefined, 7, "x", [], { ...moment(), at: one(NaN, "x", 1e300, null) }, { ...moment(), kind: any() }, { ...moment(), topic: one(7, {}) }, { ...moment(), way: one(7, [any(), any()], "device") }, { ...moment(), checks: one(7, [null], {}) }, { ...moment(), payload: { text: {} } });
  const spoiled = Array.from({ length: 20 }, spoil);
  const all = [...sound];
  for (const one of spoiled) all.splice(Math.floor(next() * all.length), 0, one);
  const before = chart.moments.length;
  Object.assign(chart.filters, { acks: true, pings: true });
  take(all);
  const rows = chart.moments.slice(before);
  const refused = rows.filter((row) => row.label === "can't be shown").length;
  const lost = [];
  for (const row of rows) {
    try {
      chart.details(row);
      const element = chart.rowOrReason(row);
      if (element.textContent.includes("This row can't be shown")) lost.push(element.textContent);
    } catch (error) {
      lost.push(`${error.message}: ${JSON.stringify(row.label)}`);
    }
  }
  chart.filter();
  chart.drawNow();
  return { rows: rows.length, refused, lost };
}
