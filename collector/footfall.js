// SPDX-License-Identifier: Apache-2.0
// footfall.js: tells the collector of each view of a page that somebody sees.
//
//   <script async src="https://stats.example.com/footfall.js"></script>
//
// Hits go to v1/hits beside this file. Elsewhere: data-endpoint on the script element, or, where the element
// cannot be found (tag managers, bundles), window.footfall = { endpoint: "https://…/v1/hits" } before this runs.
//
// A view is counted once the page is visible: at load, when a prerendered page is activated, when it comes back
// from the back-forward cache, and when a single-page site changes path or query. No cookie, no storage, no wall
// clock; the address is sent without its fragment. Nothing here may throw into the page.
// It is served without comments and indentation, in less than 2,000 bytes (embed_script.cmake).
{
  const quietly = (step) => (event) => {
    try {
      return step(event);
    } catch {}
  };

  quietly(() => {
    const page = document;
    const settings = (window.footfall = window.footfall || {});
    // Null in modules and for injected scripts.
    const script = page.currentScript || page.querySelector('script[src*="footfall.js"]');
    const endpoint =
      settings.endpoint || (script && (script.dataset.endpoint || new URL("v1/hits", script.src)));
    if (!endpoint || settings.started) return;
    settings.started = true;

    let seen; // path and query of the view counted last
    let previous = page.referrer.slice(0, 3500);

    // True also where a content security policy then stops it: no fallback can know.
    const beacon = quietly((body) => navigator.sendBeacon(endpoint, body));

    const send = (body) =>
      beacon(body) ||
      fetch(endpoint, { method: "POST", body, keepalive: true, mode: "no-cors", credentials: "omit" }).catch(() => {});

    // Also where crypto.randomUUID is missing: pages without TLS.
    const random = () =>
      Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");

    const count = () => {
      const begun = performance.now();
      const url = location.href.split("#")[0].slice(0, 3500);
      const referrer = previous;
      const id = random();
      previous = url;
      // A router sets the title after the address: read it when this turn of the page is over.
      setTimeout(
        quietly(() =>
          send(
            JSON.stringify({
              url,
              referrer,
              // Half a surrogate pair would make the whole hit invalid.
              title: page.title.slice(0, 300).replace(/\p{Cs}/gu, ""),
              language: navigator.language,
              screen: screen.width + "x" + screen.height,
              id,
              age: Math.round(performance.now() - begun),
            }),
          ),
        ),
      );
    };

    // Counts when the address is another one than before; waits while nobody can see the page.
    const look = quietly(() => {
      const place = location.pathname + location.search;
      if (place === seen) return;
      if (page.visibilityState === "hidden") {
        page.addEventListener("visibilitychange", look, { once: true });
        return;
      }
      seen = place;
      count();
    });

    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function () {
        const result = original.apply(this, arguments);
        look();
        return result;
      };
    }
    addEventListener("popstate", look);
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      seen = null;
      previous = ""; // nobody says from where
      look();
    });
    if (page.prerendering) page.addEventListener("prerenderingchange", look, { once: true });
    else look();
  })();
}
