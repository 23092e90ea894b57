// Opens files and examples, and asks what a file does not say.
import { make } from "./player/controls.js";

const QUESTIONS = {
  unit: "does not say the unit of its lengths. Which is it?",
  up: "does not say which of its axes points up. Which does?",
  rate: "does not say how many frames it has in a second. How many?",
};
const by = (id) => document.getElementById(id);

export class Opening {
  // The page's: attempt(words, sorry, work), opened({title, answer, signal}), afresh(), model().
  constructor(server, page) {
    Object.assign(this, { server, page, examples: [], tried: null, last: null, shown: "" }); // files given last, and what is shown
    this.form = by("settings").querySelector("form");
    by("file").addEventListener("change", () => {
      this.open([...by("file").files]);
      by("file").value = "";
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#read(this.tried);
    });
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("over");
      this.open([...event.dataTransfer.files]);
    });
  }

  offer(examples) { // and opens the first, so that there is something to see
    this.examples = examples;
    this.list();
    if (this.tried) this.#read(this.tried); // given before the models were known
    else by("examples").querySelector("button")?.click();
  }

  list() { // those of the model that is chosen
    const fitting = this.examples.filter((example) => example.package === this.page.model().package);
    const alike = (title) => fitting.filter((example) => example.title === title);
    by("examples").hidden = !fitting.length;
    by("examples").querySelector("ul").replaceChildren(...fitting.map((example) => {
      const same = alike(example.title), title = same.length > 1 ? `${example.title} ${same.indexOf(example) + 1}` : example.title;
      const button = make("button", { type: "button", "data-name": example.name }, title);
      button.addEventListener("click", () => this.#example(example.name, title));
      return make("li", {}, button);
    }));
    this.#mark();
  }

  open(files) {
    if (!files.length) return;
    const ending = (name) => name.split(".").at(-1);
    if (ending(this.tried?.at(0).name ?? "") !== ending(files[0].name)) this.form.reset(); // answers are kept for files of the same kind
    this.tried = files;
    this.#read(files);
  }

  again() { // for another model
    if (this.last) this.#read(this.last);
    else this.page.afresh();
  }

  #example(name, title) {
    this.page.attempt(`Opening ${title} …`, `${title} cannot be forecast`, async (signal) => {
      await this.page.opened({ title, answer: await this.server.example(name), signal });
      this.#settle(null, name);
    });
  }

  #read(files) {
    if (!this.page.model()) return; // `offer` comes back to it
    const title = files.map((file) => file.name).join(", ");
    const options = { ...Object.fromEntries(new FormData(this.form)), package: this.page.model().package };
    by("settings").hidden = false;
    this.#quiet();
    this.page.attempt(`Reading ${title} …`, `${title} cannot be forecast`, async (signal) => {
      await this.page.opened({ title, answer: await this.server.read(files, options, signal), signal });
      this.#settle(files, null);
    });
  }

  #settle(files, name) { // what was opened is shown
    this.last = files;
    this.shown = name;
    if (!files) this.tried = null;
    by("settings").hidden = !files;
    by("settings").open = false;
    this.#mark();
  }

  #mark() {
    for (const each of by("examples").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each.dataset.name === this.shown));
  }

  // Whether the error is a question that a person can answer here.
  ask({ missing }) {
    const field = missing && this.tried && this.form.elements.namedItem(missing);
    if (!field) return false;
    by("settings").open = true;
    by("question").textContent = `${this.tried[0].name} ${QUESTIONS[missing]}`;
    field.setAttribute("aria-invalid", "true");
    field.focus();
    return true;
  }

  #quiet() {
    by("question").textContent = "";
    for (const field of this.form.elements) field.removeAttribute("aria-invalid");
  }
}
