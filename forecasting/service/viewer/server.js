// Talks to the service this page came from. What goes wrong is a Problem, in the service's own words.

const PATIENCE = 3; // times a busy service is asked again

export class Problem extends Error {
  constructor({ title = "", detail = "", status = 0, missing = null }) {
    super(detail || title);
    Object.assign(this, { status, missing });
  }
}

export class Server {
  key = "";

  models() { return this.#ask("/models").then((answer) => answer.models); }

  examples() { return this.#ask("/examples").then((answer) => answer.examples); }

  example(name) { return this.#ask(`/examples/${encodeURIComponent(name)}`); }

  // Files that belong together -> scenes and findings. options: unit, up, rate, format, package; empty ones are left out.
  read(files, options, signal) {
    const said = Object.entries(options).filter(([, value]) => value);
    if (files.length === 1) {
      const query = new URLSearchParams([["name", files[0].name], ...said]);
      return this.#ask(`/read?${query}`, { method: "POST", body: files[0], headers: { "content-type": "application/octet-stream" }, signal });
    }
    const body = new FormData();
    for (const file of files) body.append("file", file, file.name);
    return this.#ask(`/read?${new URLSearchParams(said)}`, { method: "POST", body, signal });
  }

  predict(request, signal) {
    return this.#ask("/predict", {
      method: "POST", body: JSON.stringify(request), headers: { "content-type": "application/json" }, signal,
    });
  }

  async #ask(path, options = {}) {
    const headers = { ...options.headers, ...(this.key ? { authorization: `Bearer ${this.key}` } : {}) };
    for (let attempt = 0; ; attempt += 1) {
      const answer = await fetch(path, { ...options, headers }).catch((error) => {
        if (error.name === "AbortError") throw error;
        throw new Problem({ detail: "The service does not answer. See whether `forecast serve` is still running, then try again." });
      });
      if ((answer.status === 429 || answer.status === 503) && attempt < PATIENCE) {
        const wait = Math.min(Number(answer.headers.get("retry-after")) || 1, 5);
        await new Promise((done) => { setTimeout(done, 1000 * wait); });
        continue;
      }
      const content = await answer.json().catch(() => null);
      if (answer.ok && content) return content;
      throw new Problem({ title: `The service answered ${answer.status} without saying why.`, ...content, status: answer.status });
    }
  }
}
