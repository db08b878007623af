// Jobs: what waits, runs, fails and has died, and what can be done about it.

import { change, get } from "../core/api.js";
import { h } from "../core/dom.js";
import { count, duration, plain } from "../core/format.js";
import { poll } from "../core/poll.js";
import { address, amend } from "../core/router.js";
import * as session from "../core/session.js";
import { ago } from "../core/time.js";
import { ask } from "../parts/dialog.js";
import { barrier } from "../parts/login.js";
import { state } from "../parts/mark.js";
import { empty, failure, loading } from "../parts/notice.js";
import { say } from "../parts/toast.js";
import { detail } from "./job.js";

// Of each state so many are counted at most.
const COUNTED_MAX = 1000;
const STATES = [["dead", "Dead"], ["retrying", "Retrying"], ["running", "Running"], ["available", "Waiting"], ["scheduled", "Scheduled"]];
const NONE = {
  dead: "No job has died: none failed for good.", retrying: "No job waits for another try.", running: "No job runs at this moment.",
  available: "No job waits.", scheduled: "No job is set for later.",
};

export function jobs(redraw) {
  let answer = null;
  let error = null;
  let stop = null;
  let params = new URLSearchParams();

  const shown = () => params.get("state") ?? "dead";
  const begin = () => {
    stop?.();
    stop = poll(async (signal) => {
      try {
        answer = await get("/api/jobs", { limit: 100, ...(["dead", "running", "retrying"].includes(shown()) ? {} : { state: shown() }) }, signal);
        error = null;
      } catch (refusal) {
        if (refusal.name !== "AbortError") error = refusal;
      }
      redraw();
    }, 2000);
  };
  const isOpen = (id) => String(id) === params.get("job");
  const toggle = (id) => amend({ job: isOpen(id) ? null : id });

  return {
    place: (place, isAgain) => {
      const before = shown();
      params = place.params;
      if (!stop || isAgain || shown() !== before) begin();
    },
    render: () => {
      const list = answer?.[shown()] ?? (answer?.jobs ?? []).filter((job) => !job.state || job.state === shown());
      return [
        h("h1", { key: "title" }, "Jobs"), barrier(), failure(error),
        !answer && !error && loading("jobs"),
        answer && h("div", { class: "queues", key: "queues" }, (answer.queues ?? []).map(queue)),
        answer && h("section", { class: "card", key: "list" },
          h("header", {}, h("div", { class: "segments", role: "group", "aria-label": "State" }, STATES.map(([word, title]) =>
            h("button", { key: word, "aria-pressed": String(word === shown()), onclick: () => amend({ state: word === "dead" ? null : word, job: null }) }, title, numbered(answer, word))))),
          list.length ? table(list, shown(), isOpen, toggle, begin) : empty(NONE[shown()])),
      ];
    },
    close: () => stop?.(),
  };
}

function numbered(answer, word) {
  const number = answer[word]?.length;
  return number ? h("span", { class: "muted" }, ` ${number >= 100 ? "100+" : number}`) : null;
}

function queue({ name, available, running, scheduled, retrying, oldest_s: oldest, at_least: atLeast }) {
  const numbers = [["waiting", available], ["running", running], ["retrying", retrying], ["scheduled", scheduled]];
  return h("section", { class: "card", key: name, "aria-label": `Queue ${name}` },
    h("header", {}, h("h2", {}, name), h("span", { class: "muted push" }, available ? `oldest waits ${duration((oldest ?? 0) * 1000)}` : "nothing waits")),
    h("div", { class: "queue-numbers" }, numbers.map(([title, value]) => h("div", { key: title }, h("b", {}, count(value ?? 0) + (atLeast && value >= COUNTED_MAX ? "+" : "")), h("span", {}, title)))));
}

function table(list, word, isOpen, toggle, again) {
  return h("div", { class: "scroll" }, h("table", { class: "stacks" },
    h("thead", {}, h("tr", {}, ["Job", "Attempt", word === "dead" || word === "retrying" ? "Last error" : "Arguments", ""].map((title) => h("th", { key: title }, title)))),
    h("tbody", {}, list.flatMap((job) => row(job, word, isOpen(job.id), toggle, again)))));
}

function row(job, word, isOpen, toggle, again) {
  const last = job.errors?.at(-1);
  return [
    h("tr", { key: job.id },
      h("td", {}, h("button", { class: "link", "aria-expanded": String(isOpen), onclick: () => toggle(job.id) }, h("strong", {}, job.kind)),
        h("div", { class: "muted" }, h("small", {}, job.queue, " · ", h("span", { class: "mono" }, String(job.id))))),
      h("td", {}, state(word), h("div", { class: "muted" }, `${job.attempt ?? 0} of ${job.attempts_max ?? "–"}`)),
      h("td", {}, last ? [h("div", { class: "job-error mono" }, last.error), h("small", { class: "muted" }, ago(last.at))] : h("span", { class: "mono muted job-error" }, short(job.args))),
      h("td", {}, h("div", { class: "row" }, job.trace_id && h("a", { class: "button small", href: address(`/traces/${encodeURIComponent(job.trace_id)}`) }, "Trace"), actions(job, word, again)))),
    isOpen && h("tr", { key: `${job.id} open` }, h("td", { colspan: "4" }, detail(job))),
  ];
}

function short(args) {
  const text = plain(args ?? "");
  return text.length > 140 ? `${text.slice(0, 140)}…` : text;
}

function actions(job, word, again) {
  if (!session.mayOperate()) return null;
  const id = encodeURIComponent(job.id);
  const act = (title, path, done) => h("button", { class: "small", onclick: () => send(path, done, again) }, title);
  if (word === "dead") return act("Replay", `/api/jobs/dead/${id}/replay`, `${job.kind} is queued again`);
  return [
    word !== "running" && act("Run now", `/api/jobs/${id}/retry`, `${job.kind} is due now`),
    h("button", { class: "small", onclick: () => ask({
      title: `Cancel ${job.kind}?`, text: word === "running" ? "It is asked to stop; what it has done so far stays done." : "It will not run. This cannot be undone.",
      action: "Cancel the job", isGrave: true,
      send: async () => {
        await change("POST", `/api/jobs/${id}/cancel`);
        say(`${job.kind} is cancelled`);
        again();
      },
    }) }, "Cancel"),
  ];
}

async function send(path, done, again) {
  try {
    await change("POST", path);
    say(done);
  } catch (refusal) {
    say(refusal.message, "bad");
  }
  again();
}
