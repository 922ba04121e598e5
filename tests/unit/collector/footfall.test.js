// SPDX-License-Identifier: Apache-2.0
// What footfall.js does in a page: run in a hand-made one, as it is written and as it is served.
// node footfall.test.js FILE…
"use strict";
const assert = require("node:assert");
const { webcrypto } = require("node:crypto"); // a global only since Node 19; Debian 12 has 18
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

class Target {
  #listeners = [];
  addEventListener(name, listener, options) {
    this.#listeners.push({ name, listener, once: options && options.once });
  }
  fire(name, event = {}) {
    const due = this.#listeners.filter((each) => each.name === name);
    this.#listeners = this.#listeners.filter((each) => each.name !== name || !each.once);
    for (const each of due) each.listener.call(this, event);
  }
}

// A page with just what the script touches. `sent` holds what left it.
function makePage(source, options = {}) {
  const sent = [];
  const timers = [];
  const page = new Target();
  const document = Object.assign(new Target(), {
    currentScript: { src: "https://stats.example.net/ff/footfall.js", dataset: {} },
    querySelector: () => null,
    referrer: "https://search.example/",
    title: "Shop",
    visibilityState: "visible",
    prerendering: false,
  });
  const go = (url) => {
    const { href, pathname, search } = new URL(url, page.location.href);
    page.location = { href, pathname, search };
  };
  Object.assign(page, {
    document,
    sent,
    go,
    now: 1000,
    location: { href: "https://www.example.com/" },
    history: {
      pushState(state, title, url) {
        if (url) go(url);
        return "pushed";
      },
      replaceState(state, title, url) {
        if (url) go(url);
      },
    },
    navigator: {
      language: "de-AT",
      sendBeacon(endpoint, body) {
        sent.push({ by: "beacon", endpoint: String(endpoint), type: typeof body, hit: JSON.parse(body) });
        return true;
      },
    },
    fetch(endpoint, request) {
      sent.push({ by: "fetch", endpoint: String(endpoint), request, hit: JSON.parse(request.body) });
      return Promise.resolve();
    },
    screen: { width: 1920, height: 1080 },
    performance: { now: () => page.now },
    crypto: { getRandomValues: (bytes) => webcrypto.getRandomValues(bytes) },
    setTimeout: (step) => timers.push(step),
    turn: () => timers.splice(0).forEach((step) => step()),
    Array, Uint8Array, URL, JSON, Math,
  });
  page.window = page;
  go(options.url || "/a?b=c#d");
  Object.assign(document, options.document);
  Object.assign(page, options.page);
  Object.assign(page.navigator, options.navigator);
  page.context = vm.createContext(
    new Proxy(page, {
      get: (target, name) =>
        name === "addEventListener" ? (...values) => target.addEventListener(...values) : target[name],
    }),
  );
  page.run = () => vm.runInContext(source, page.context);
  page.run();
  return page;
}

const urls = (page) => {
  page.turn();
  return page.sent.map(({ hit }) => hit.url);
};

const tests = {
  "a load is one hit with everything in it"(source) {
    const page = makePage(source);
    page.now += 7.4;
    page.turn();
    assert.strictEqual(page.sent.length, 1);
    const { by, endpoint, type, hit } = page.sent[0];
    assert.deepStrictEqual([by, endpoint, type], ["beacon", "https://stats.example.net/ff/v1/hits", "string"]);
    assert.match(hit.id, /^[0-9a-f]{32}$/);
    assert.deepStrictEqual(hit, {
      url: "https://www.example.com/a?b=c",
      referrer: "https://search.example/",
      title: "Shop",
      language: "de-AT",
      screen: "1920x1080",
      id: hit.id,
      age: 7,
    });
  },

  "ids differ"(source) {
    assert.notStrictEqual(firstHit(makePage(source)).id, firstHit(makePage(source)).id);
  },

  "a single-page site is counted by path and query"(source) {
    const page = makePage(source);
    assert.strictEqual(page.history.pushState({}, "", "/b"), "pushed");
    page.document.title = "B"; // set by the router after the address
    page.turn();
    page.history.replaceState({ scroll: 5 }, "", "/b");
    page.history.replaceState({ scroll: 6 });
    page.history.pushState({}, "", "/b#part");
    page.history.replaceState({}, "", "/b?x=1");
    page.go("/a?b=c");
    page.fire("popstate");
    page.fire("popstate");
    assert.deepStrictEqual(urls(page), [
      "https://www.example.com/a?b=c",
      "https://www.example.com/b",
      "https://www.example.com/b?x=1",
      "https://www.example.com/a?b=c",
    ]);
    const hits = page.sent.map(({ hit }) => hit);
    assert.strictEqual(hits[1].title, "B");
    assert.deepStrictEqual(
      hits.map(({ referrer }) => referrer),
      ["https://search.example/", "https://www.example.com/a?b=c", "https://www.example.com/b", "https://www.example.com/b?x=1"],
    );
    assert.strictEqual(new Set(hits.map(({ id }) => id)).size, 4);
  },

  "a prerendered page is counted when it is activated"(source) {
    const page = makePage(source, { document: { prerendering: true, visibilityState: "hidden" } });
    page.history.replaceState({}, "", "/early");
    assert.deepStrictEqual(urls(page), []);
    Object.assign(page.document, { prerendering: false, visibilityState: "visible" });
    page.document.fire("prerenderingchange");
    page.document.fire("visibilitychange");
    assert.deepStrictEqual(urls(page), ["https://www.example.com/early"]);
  },

  "a background tab is counted when it is seen"(source) {
    const page = makePage(source, { document: { visibilityState: "hidden" } });
    page.now += 3600000;
    page.document.fire("visibilitychange"); // still hidden
    assert.deepStrictEqual(urls(page), []);
    page.document.visibilityState = "visible";
    page.document.fire("visibilitychange");
    page.document.fire("visibilitychange");
    assert.deepStrictEqual(urls(page), ["https://www.example.com/a?b=c"]);
    assert.strictEqual(page.sent[0].hit.age, 0);
  },

  "a page from the back-forward cache is counted again"(source) {
    const page = makePage(source);
    page.fire("pageshow", { persisted: false });
    assert.strictEqual(urls(page).length, 1);
    page.fire("pageshow", { persisted: true });
    assert.strictEqual(urls(page).length, 2);
    assert.strictEqual(page.sent[1].hit.referrer, "");
    assert.notStrictEqual(page.sent[1].hit.id, page.sent[0].hit.id);
  },

  "what sendBeacon does not take, fetch sends"(source) {
    const refusals = [() => false, undefined, () => { throw new Error("blocked"); }];
    for (const sendBeacon of refusals) {
      const page = makePage(source, { navigator: { sendBeacon } });
      page.turn();
      assert.deepStrictEqual(page.sent.map(({ by, endpoint }) => [by, endpoint]), [["fetch", "https://stats.example.net/ff/v1/hits"]]);
      const { method, keepalive, mode, credentials } = page.sent[0].request;
      assert.deepStrictEqual([method, keepalive, mode, credentials], ["POST", true, "no-cors", "omit"]);
    }
  },

  "the endpoint comes from the global, the attribute, or the script's place"(source) {
    const attribute = { src: "https://x.example/footfall.js", dataset: { endpoint: "https://y.example/h" } };
    const found = { src: "https://z.example/js/footfall.js", dataset: {} };
    const endpoint = (options) => {
      const page = makePage(source, options);
      page.turn();
      return page.sent.map((each) => each.endpoint);
    };
    assert.deepStrictEqual(endpoint({ document: { currentScript: attribute } }), ["https://y.example/h"]);
    assert.deepStrictEqual(endpoint({ document: { currentScript: attribute }, page: { footfall: { endpoint: "/own" } } }), ["/own"]);
    assert.deepStrictEqual(endpoint({ document: { currentScript: null }, page: { footfall: { endpoint: "/own" } } }), ["/own"]);
    assert.deepStrictEqual(endpoint({ document: { currentScript: null, querySelector: () => found } }), ["https://z.example/js/v1/hits"]);
    assert.deepStrictEqual(endpoint({ document: { currentScript: null } }), []);
  },

  "two of it count once"(source) {
    const page = makePage(source);
    page.run();
    page.history.pushState({}, "", "/b");
    assert.strictEqual(urls(page).length, 2);
  },

  "long and broken texts are cut to what the collector takes"(source) {
    const page = makePage(source, {
      url: "/?" + "x".repeat(9000),
      document: { title: "\ud83d\ude00".repeat(149) + "x\ud83d\ude00", referrer: "https://r.example/" + "y".repeat(9000) },
    });
    page.turn();
    const { url, referrer, title } = page.sent[0].hit;
    assert.deepStrictEqual([url.length, referrer.length], [3500, 3500]);
    assert.strictEqual(title, "\ud83d\ude00".repeat(149) + "x"); // no half of a pair
    assert.ok(JSON.stringify(page.sent[0].hit).length < 8192);
  },

  "nothing is thrown into the page"(source) {
    const broken = () => { throw new Error("broken"); };
    const page = makePage(source, {
      page: { fetch: broken, performance: { now: broken } },
      navigator: { sendBeacon: broken },
    });
    assert.strictEqual(page.history.pushState({}, "", "/b"), "pushed");
    page.fire("popstate");
    page.fire("pageshow", { persisted: true });
    page.turn();
    makePage(source, { page: { crypto: undefined, screen: undefined } }).turn();
    makePage(source, { page: { fetch: broken }, navigator: { sendBeacon: broken } }).turn();
    makePage(source, { document: { currentScript: { src: "no url", dataset: {} } } }).turn();
    assert.throws(() => {
      const strict = makePage(source, { page: { history: { pushState: broken, replaceState: broken } } });
      strict.history.pushState({}, "", "/c"); // the page's own error stays the page's
    }, /broken/);
  },
};

function firstHit(page) {
  page.turn();
  return page.sent[0].hit;
}

let failed = 0;
for (const file of process.argv.slice(2)) {
  const source = fs.readFileSync(file, "utf8");
  for (const [name, test] of Object.entries(tests)) {
    try {
      test(source);
      console.log(`ok      ${path.basename(path.dirname(file))}/${path.basename(file)}: ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${file}: ${name}\n${error.stack}`);
    }
  }
}
process.exit(failed > 0 || process.argv.length < 3 ? 1 : 0);
